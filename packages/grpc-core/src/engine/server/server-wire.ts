import type { AsyncResource } from 'node:async_hooks'
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { WireStatus } from '../../grpc-js/server-status.ts'

/** What grpc-js gives `start` and `sendStatus`; the types have no exported names. */
export type ServerListener = Parameters<ServerInterceptingCallInterface['start']>[0]

/** What stands behind the wire of a call and takes its events. */
interface WireOwner extends ServerListener {
  /** grpc-js has ended the RPC by itself. */
  endedBelow(status: WireStatus): void
}

/** Where grpc-js's call keeps the wire that listens to it. */
const WIRE: unique symbol = Symbol('grpc-stack.wire')

interface Listened extends ServerInterceptingCallInterface {
  [WIRE]: ServerWire
}

/**
 * The `sendStatus` of every call that a wire listens to. One function for all of them: where each call had a closure of its
 * own, V8 took to keeping them until the next full garbage collection, and with each its HTTP/2 stream and all of grpc-js's
 * objects, 6 KB a call. It came and went with how the code had warmed up, and not with V8's pretenuring turned off.
 */
function heardSendStatus(this: ServerInterceptingCallInterface, status: WireStatus): void {
  ;(this as Listened)[WIRE].endBelow(status)
}

/**
 * All that grpc-js's server call knows of ours. Node keeps an HTTP/2 stream that has ended, and grpc-js's call with it, until
 * the next full garbage collection: whatever they lead to is copied by every small one until then. So the way from there to
 * the call, its handler and its messages is cut here once the last event has come. For the same reason the end of an RPC is
 * written outside of the handler's asynchronous context, which the writes would keep.
 */
export class ServerWire implements ServerListener {
  readonly #base: ServerInterceptingCallInterface
  readonly #sendStatus: ServerInterceptingCallInterface['sendStatus']
  readonly #scope: AsyncResource | undefined
  #owner: WireOwner | undefined

  /** @param scope where the end is written. Default: wherever it is decided. */
  constructor(base: ServerInterceptingCallInterface, owner: WireOwner, scope: AsyncResource | undefined) {
    this.#base = base
    this.#owner = owner
    this.#scope = scope
    // grpc-js ends an RPC over a deadline, an unreadable or too large message by calling its own sendStatus, past every
    // interceptor (server-interceptors.ts, 1.14). Listening there is the only way to learn the true code.
    this.#sendStatus = base.sendStatus
    ;(base as Listened)[WIRE] = this
    base.sendStatus = heardSendStatus
  }

  /** grpc-js ends the RPC by itself. */
  endBelow(status: WireStatus): void {
    this.#owner?.endedBelow(status)
    this.sendStatus(status)
  }

  /** The response of a method with a unary response. When it is flushed is not told. */
  sendResponse(message: unknown): void {
    if (this.#scope === undefined) this.#base.sendMessage(message, NOOP)
    else this.#scope.runInAsyncScope(this.#base.sendMessage, this.#base, message, NOOP)
  }

  /** Past the listening above. */
  sendStatus(status: WireStatus): void {
    if (this.#scope === undefined) this.#sendStatus.call(this.#base, status)
    else this.#scope.runInAsyncScope(this.#sendStatus, this.#base, status)
  }

  // One parameter exactly: grpc-js tells a listener by the arity of onReceiveMetadata (server-interceptors.ts).
  onReceiveMetadata(metadata: Parameters<ServerListener['onReceiveMetadata']>[0]): void {
    this.#owner?.onReceiveMetadata(metadata)
  }

  onReceiveMessage(message: unknown): void {
    this.#owner?.onReceiveMessage(message)
  }

  onReceiveHalfClose(): void {
    this.#owner?.onReceiveHalfClose()
  }

  /** Comes at the end of every RPC, success included, and last (grpc-js #2771). */
  onCancel(): void {
    const owner = this.#owner
    this.#owner = undefined
    owner?.onCancel()
  }
}

const NOOP = (): void => undefined
