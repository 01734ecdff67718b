import type { Metadata } from '@grpc/grpc-js'
import type { ServerCall } from '../contract/call.ts'
import { isMetadata } from '../contract/given-status.ts'
import type { Pattern } from '../contract/method.ts'
import type { InterceptedServerCall } from '../engine/server/server-call.ts'
import { show } from '../runtime/show.ts'

/** What may be changed of the details of an incoming RPC. */
export interface HandlerCallDetailsPatch {
  /** What inner interceptors and the handler see. */
  readonly invocationMetadata?: Metadata
  /** Only the method it already is: an RPC cannot be sent to another handler. */
  readonly method?: string
}

const MEMBERS: readonly string[] = ['method', 'invocationMetadata']

/** An RPC that has just arrived, as `interceptService` sees it. Frozen; `with` makes a changed copy. */
export interface HandlerCallDetails {
  /** `/package.Service/Method` */
  readonly method: string
  /** The RPC's own copy: what is changed in it, inner interceptors and the handler see. */
  readonly invocationMetadata: Metadata
  /** The kind of the method; `unknown` for an unregistered method. */
  readonly pattern: Pattern
  /** Address of the client. */
  readonly peer: string
  /** Epoch milliseconds, `Infinity` when there is none. */
  readonly deadline: number
  /** Aborts when the RPC is cancelled or its deadline passes. */
  readonly signal: AbortSignal
  /** TLS facts of the connection. */
  readonly authContext: ServerCall['authContext']
  /**
   * Changed details.
   * @throws TypeError for an unknown member or a wrong value.
   */
  with(patch: HandlerCallDetailsPatch): HandlerCallDetails
}

export class ArrivedCallDetails implements HandlerCallDetails {
  readonly method: string
  readonly invocationMetadata: Metadata
  readonly #call: InterceptedServerCall

  constructor(call: InterceptedServerCall, invocationMetadata: Metadata) {
    this.method = call.method.path
    this.invocationMetadata = invocationMetadata
    this.#call = call
    Object.freeze(this)
  }

  get pattern(): Pattern {
    return this.#call.method.pattern
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

  with(patch: HandlerCallDetailsPatch): HandlerCallDetails {
    return new ArrivedCallDetails(this.#call, patchedMetadata(this, patch, 'details.with'))
  }
}

/**
 * The metadata of the details with this patch.
 * @throws TypeError for anything else that is to be changed, and for what is no metadata.
 */
export function patchedMetadata(details: HandlerCallDetails, patch: HandlerCallDetailsPatch, where: string): Metadata {
  if (typeof patch !== 'object' || patch === null) {
    throw new TypeError(`${where}: details must be an object, got ${show(patch)}`)
  }
  const unknown = Object.keys(patch).find((key) => !MEMBERS.includes(key))
  if (unknown !== undefined) {
    throw new TypeError(`${where}: "${unknown}" cannot be changed; what can is ${MEMBERS.join(', ')}`)
  }
  if (patch.method !== undefined && patch.method !== details.method) {
    throw new TypeError(
      `${where}: ${details.method} cannot be served as ${show(patch.method)}: return a handler for it`,
    )
  }
  const metadata = patch.invocationMetadata ?? details.invocationMetadata
  if (!isMetadata(metadata)) {
    throw new TypeError(`${where}: invocationMetadata must be a grpc-js Metadata, got ${show(metadata)}`)
  }
  return metadata
}
