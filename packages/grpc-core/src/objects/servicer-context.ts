import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { ServerCall } from '../contract/call.ts'
import { isCode, isMetadata } from '../contract/given-status.ts'
import { RpcError } from '../contract/rpc-error.ts'
import type { InterceptedServerCall } from '../engine/server/server-call.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { show } from '../runtime/show.ts'

/** The RPC, as a behaviour sees it. */
export interface ServicerContext {
  /** `/package.Service/Method` */
  readonly method: string
  readonly invocationMetadata: Metadata
  /** Address of the client. */
  readonly peer: string
  /** Epoch milliseconds, `Infinity` when there is none. */
  readonly deadline: number
  /** Aborts when the RPC is cancelled or its deadline passes. */
  readonly signal: AbortSignal
  /** TLS facts of the connection. */
  readonly authContext: ServerCall['authContext']
  /** Sent with the status. Add to it. */
  readonly trailers: Metadata
  /**
   * Sends the response headers now instead of with the first response.
   * @throws Error if they have been sent.
   */
  sendInitialMetadata(metadata: Metadata): void
  /**
   * Ends the RPC with this status, by throwing. It holds even if the error is swallowed, and the first one holds. A code
   * that is none, or OK, makes the status UNKNOWN.
   */
  abort(code: Code, details?: string, metadata?: Metadata): never
}

export class HandlerContext implements ServicerContext {
  readonly #call: InterceptedServerCall
  readonly invocationMetadata: Metadata
  /** What `abort` was called with. */
  aborted: RpcError | undefined
  headersSent = false
  #trailers: Metadata | undefined

  constructor(call: InterceptedServerCall, invocationMetadata: Metadata) {
    this.#call = call
    this.invocationMetadata = invocationMetadata
  }

  get method(): string {
    return this.#call.method.path
  }

  get peer(): string {
    return this.#call.peer()
  }

  get deadline(): number {
    return this.#call.deadline
  }

  get signal(): AbortSignal {
    return this.#call.signal
  }

  get authContext(): ServerCall['authContext'] {
    return this.#call.authContext
  }

  get trailers(): Metadata {
    this.#trailers ??= newMetadata()
    return this.#trailers
  }

  /** The trailers, if the behaviour has read them. */
  get ownTrailers(): Metadata | undefined {
    return this.#trailers
  }

  sendInitialMetadata(metadata: Metadata): void {
    if (!isMetadata(metadata)) {
      throw new TypeError(`context.sendInitialMetadata: expected a grpc-js Metadata, got ${show(metadata)}`)
    }
    if (this.headersSent) throw new Error('context.sendInitialMetadata: the response headers have been sent')
    this.headersSent = true
    this.#call.sendMetadata(metadata)
  }

  abort(code: Code, details = '', metadata?: Metadata): never {
    const valid = isCode(code) && code !== Code.OK
    this.aborted ??= new RpcError(valid ? code : Code.UNKNOWN, String(details), { metadata })
    throw this.aborted
  }
}
