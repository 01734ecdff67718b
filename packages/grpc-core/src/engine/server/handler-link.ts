import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { WireStatus } from '../../grpc-js/server-status.ts'
import type { ServerListener } from './server-wire.ts'

/** What stands behind the link and does what the handler asks. */
interface LinkOwner
  extends Pick<ServerInterceptingCallInterface, 'start' | 'startRead' | 'sendMetadata' | 'sendMessage' | 'sendStatus'> {
  getDeadline(): number
}

/** Marks the links of every copy of this package. */
const LINK: unique symbol = Symbol.for('@grpc-stack/grpc-core.link')

/** Whether what a server interceptor was given is the call of another stack of this library on the same server. */
export function isHandlerLink(call: ServerInterceptingCallInterface): boolean {
  return LINK in call
}

/**
 * All that grpc-js's handlers know of our call, as `ServerWire` is all that its connection does. What grpc-js makes around a
 * handler holds its call for good, and Node 24 was seen to keep that until the next full garbage collection: with the call, twice
 * as much for each small one to copy until then. So the way to the call is cut here once its last event has come. What a
 * handler may still ask then, grpc-js's own call answers.
 */
export class HandlerLink implements ServerInterceptingCallInterface {
  readonly #base: ServerInterceptingCallInterface
  #owner: LinkOwner | undefined
  #deadline = Number.POSITIVE_INFINITY

  static {
    Object.defineProperty(HandlerLink.prototype, LINK, { value: true })
  }

  /** @param base grpc-js's call */
  constructor(base: ServerInterceptingCallInterface, owner: LinkOwner) {
    this.#base = base
    this.#owner = owner
  }

  /** The RPC is over, and the handler has heard of it: whatever it still sends goes nowhere. */
  cut(): void {
    this.#deadline = this.getDeadline()
    this.#owner = undefined
  }

  start(listener: ServerListener): void {
    this.#owner?.start(listener)
  }

  startRead(): void {
    this.#owner?.startRead()
  }

  sendMetadata(metadata: Metadata): void {
    this.#owner?.sendMetadata(metadata)
  }

  sendMessage(message: unknown, callback: () => void): void {
    this.#owner?.sendMessage(message, callback)
  }

  sendStatus(status: WireStatus): void {
    this.#owner?.sendStatus(status)
  }

  getDeadline(): number {
    return this.#owner?.getDeadline() ?? this.#deadline
  }

  getPeer(): string {
    return this.#base.getPeer()
  }

  getHost(): string {
    return this.#base.getHost()
  }

  getAuthContext(): ReturnType<ServerInterceptingCallInterface['getAuthContext']> {
    return this.#base.getAuthContext()
  }

  getConnectionInfo(): ReturnType<ServerInterceptingCallInterface['getConnectionInfo']> {
    return this.#base.getConnectionInfo()
  }

  getMetricsRecorder(): ReturnType<ServerInterceptingCallInterface['getMetricsRecorder']> {
    return this.#base.getMetricsRecorder()
  }
}
