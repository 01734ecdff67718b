import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { GrpcJsStatus } from '../../grpc-js/server-status.ts'
import type { ServerListener } from './connection-link.ts'
import { ForwardedFacts } from './forwarded-facts.ts'

/** The call behind the link; it does what the handler asks. */
export interface LinkOwner
  extends Pick<ServerInterceptingCallInterface, 'start' | 'startRead' | 'sendMetadata' | 'sendMessage' | 'sendStatus'> {
  readonly deadline: number
}

/** Marks the links of every copy of this package. */
const LINK: unique symbol = Symbol.for('@grpc-stack/grpc-core.link')

/** Whether what a server interceptor was given is the call of another stack of this library on the same server. */
export function isHandlerLink(call: ServerInterceptingCallInterface): boolean {
  return LINK in call
}

/**
 * The only object of ours that grpc-js's handlers refer to, as `ConnectionLink` is for its server call. The object that grpc-js
 * makes around a handler refers to its call for good, and Node 24 was seen to keep that object until the next full garbage
 * collection: with the call, minor collections until then would copy twice as much. So this link drops its reference to the
 * call at the last event. What a handler still asks after that, grpc-js's own call answers.
 */
export class HandlerLink extends ForwardedFacts implements ServerInterceptingCallInterface {
  #owner: LinkOwner | undefined
  #deadline = Number.POSITIVE_INFINITY

  static {
    Object.defineProperty(HandlerLink.prototype, LINK, { value: true })
  }

  /** @param base grpc-js's call */
  constructor(base: ServerInterceptingCallInterface, owner: LinkOwner) {
    super(base)
    this.#owner = owner
  }

  /** The RPC is over, and the handler has been told: what it still sends is dropped. */
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

  sendStatus(status: GrpcJsStatus): void {
    this.#owner?.sendStatus(status)
  }

  getDeadline(): number {
    return this.#owner?.deadline ?? this.#deadline
  }
}
