import type { AsyncResource } from 'node:async_hooks'
import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { GrpcJsStatus } from '../../grpc-js/server-status.ts'

/** What grpc-js gives `start` and `sendStatus`; the types have no exported names. */
export type ServerListener = Parameters<ServerInterceptingCallInterface['start']>[0]

/** The call behind the link; it takes the events of the connection. */
interface LinkOwner extends ServerListener {
  /** grpc-js has ended the RPC by itself. */
  endedBelow(status: GrpcJsStatus): void
}

/** Where grpc-js's call keeps the link that listens to it. */
const LINK: unique symbol = Symbol('grpc-stack.connectionLink')

interface Listened extends ServerInterceptingCallInterface {
  [LINK]: ConnectionLink
}

/**
 * The `sendStatus` of every call that a link listens to. One function for all of them: where each call had a closure of its
 * own, V8 kept these closures until the next full garbage collection, and with each its HTTP/2 stream and all of grpc-js's
 * objects, 6 KB a call. Whether it did depended on how the code had warmed up; with V8's pretenuring turned off it never did.
 */
function heardSendStatus(this: ServerInterceptingCallInterface, status: GrpcJsStatus): void {
  ;(this as Listened)[LINK].endBelow(status)
}

/** The same for `sendMetadata`, which calls of grpc-js call by themselves as the first message goes out. */
function heardSendMetadata(this: ServerInterceptingCallInterface, metadata: Metadata): void {
  ;(this as Listened)[LINK].sendHeadersBelow(this, metadata)
}

/**
 * The only object of ours that grpc-js's server call refers to. Node keeps an HTTP/2 stream that has ended, and grpc-js's call
 * with it, until the next full garbage collection: every minor collection until then copies all that they refer to. So this
 * link drops its reference to the call, and with it the handler and the messages, at the last event. For the same reason the
 * end of an RPC is written outside of the handler's asynchronous context, which the writes would keep.
 */
export class ConnectionLink implements ServerListener {
  readonly #base: ServerInterceptingCallInterface
  readonly #sendStatus: ServerInterceptingCallInterface['sendStatus']
  readonly #sendMetadata: ServerInterceptingCallInterface['sendMetadata']
  readonly #scope: AsyncResource | undefined
  #owner: LinkOwner | undefined
  /** What is to go out with the message at hand. */
  #headers: Metadata | undefined

  /** @param scope where the end is written. Default: wherever it is decided. */
  constructor(base: ServerInterceptingCallInterface, owner: LinkOwner, scope: AsyncResource | undefined) {
    this.#base = base
    this.#owner = owner
    this.#scope = scope
    // grpc-js ends an RPC over a deadline, an unreadable or too large message by calling its own sendStatus, past every
    // interceptor (server-interceptors.ts, 1.14). Listening there is the only way to learn the true code.
    this.#sendStatus = base.sendStatus
    ;(base as Listened)[LINK] = this
    base.sendStatus = heardSendStatus
    this.#sendMetadata = base.sendMetadata
    base.sendMetadata = heardSendMetadata
  }

  /** grpc-js ends the RPC by itself. */
  endBelow(status: GrpcJsStatus): void {
    this.#owner?.endedBelow(status)
    this.sendStatus(status)
  }

  /** What a call below that sends no headers by itself has to send with the message it was given. */
  takeHeaders(): Metadata | undefined {
    const headers = this.#headers
    this.#headers = undefined
    return headers
  }

  /** A call of grpc-js sends headers by itself: the message serializes, and goes out behind them. */
  sendHeadersBelow(base: ServerInterceptingCallInterface, metadata: Metadata): void {
    this.#sendMetadata.call(base, this.takeHeaders() ?? metadata)
  }

  /** @param headers to go out with the message, once it is known to serialize: a status that says it does not goes alone */
  sendMessage(message: unknown, written: () => void, headers: Metadata | undefined): void {
    this.#headers = headers
    this.#base.sendMessage(message, written)
    this.#headers = undefined
  }

  /** The response of a method with a unary response. When it is flushed is not told. */
  sendResponse(message: unknown, headers: Metadata | undefined): void {
    if (this.#scope === undefined) this.sendMessage(message, NOOP, headers)
    else this.#scope.runInAsyncScope(this.sendMessage, this, message, NOOP, headers)
  }

  /** Past the listening above. */
  sendStatus(status: GrpcJsStatus): void {
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
