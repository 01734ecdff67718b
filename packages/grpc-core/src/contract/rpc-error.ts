import { status as Code, Metadata, type StatusObject } from '@grpc/grpc-js'
import { isOptionsObject } from '../runtime/options-object.ts'
import { show } from '../runtime/show.ts'
import { causeWithin, sameCause } from './concealed-cause.ts'
import { isCode, isMetadata, type MeantStatus, meantStatus } from './given-status.ts'
import { receivedStatus, type Status } from './status.ts'

/** Marks an `RpcError`. Its shape is grpc-js's, and so the same in all protocols. */
const RPC_ERROR: unique symbol = Symbol.for('@grpc-stack/grpc-core.RpcError')

/** Adds machine-readable details to the trailers of a status. `@grpc-stack/error-details` makes those of google.rpc. */
export interface StatusDetail {
  addTo(trailers: Metadata, status: { readonly code: Code; readonly details: string }): void
}

/** What an `RpcError` may carry besides its code and details. */
export interface RpcErrorOptions {
  /** Trailers. Default: empty. */
  readonly metadata?: Metadata | undefined
  /** Machine-readable details for the peer, added to a copy of the trailers. Default: none. */
  readonly details?: readonly StatusDetail[] | undefined
  /** The underlying failure. Kept in this process, never sent to the peer. */
  readonly cause?: unknown
  readonly origin?: 'remote' | 'local' | undefined
  readonly refusedBy?: string | undefined
  readonly attempts?: number | undefined
  readonly hedges?: number | undefined
}

/**
 * An RPC that ended with a status other than OK, as applications catch it. Thrown by an interceptor or a
 * handler it becomes that status. Has the shape of grpc-js's `ServiceError`.
 *
 * `instanceof RpcError` holds for one that another copy of this package made too.
 *
 * @throws TypeError if `code` is not a status code from 1 to 16, `details` is not a string, or an option is not there.
 */
export class RpcError extends Error implements Status {
  readonly code: Code
  readonly details: string
  readonly metadata: Metadata
  readonly origin: 'remote' | 'local'
  declare readonly refusedBy?: string
  declare readonly attempts?: number
  declare readonly hedges?: number

  static {
    Object.defineProperty(RpcError.prototype, RPC_ERROR, { value: true })
    const { [Symbol.hasInstance]: ordinary } = Function.prototype
    Object.defineProperty(RpcError, Symbol.hasInstance, {
      // Inherited by classes that applications derive, which have instances of their own only.
      value(this: unknown, value: unknown): boolean {
        return this === RpcError ? isRpcError(value) : ordinary.call(this as typeof RpcError, value)
      },
    })
  }

  constructor(code: Code, details = '', options: RpcErrorOptions = {}) {
    if (!isCode(code) || code === Code.OK) {
      throw new TypeError(`RpcError: code must be a gRPC status code from 1 to 16, got ${show(code)}`)
    }
    if (typeof details !== 'string') throw new TypeError(`RpcError: details must be a string, got ${show(details)}`)
    checkOptions(options)
    if (options.metadata !== undefined && !isMetadata(options.metadata)) {
      throw new TypeError(`RpcError: options.metadata must be a grpc-js Metadata, got ${show(options.metadata)}`)
    }
    super(`${code} ${Code[code]}: ${details}`, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RpcError'
    this.code = code
    this.details = details
    this.metadata = trailersOf(this, options)
    this.origin = options.origin ?? 'local'
    if (options.refusedBy !== undefined) this.refusedBy = options.refusedBy
    if (options.attempts !== undefined) this.attempts = options.attempts
    if (options.hedges !== undefined) this.hedges = options.hedges
  }

  /**
   * The error an application catches for a status that is not OK. Never throws: a code that is none, and OK, become
   * UNKNOWN with what was given in the details.
   */
  static fromStatus(status: Status): RpcError {
    try {
      // The parts a peer can choose, made valid; the others are of this process.
      const { code, details, metadata } = receivedStatus(status as StatusObject)
      const { origin, refusedBy, attempts, hedges } = status ?? {}
      const options = { metadata, cause: status && causeWithin(status), origin, refusedBy, attempts, hedges }
      if (code !== Code.OK) return sameCause(new RpcError(code, details, options), status)
      return new RpcError(Code.UNKNOWN, `Status OK is no error${details === '' ? '' : `: ${details}`}`, options)
    } catch (error) {
      return new RpcError(Code.UNKNOWN, 'Invalid status', { cause: error }) // a getter's
    }
  }

  /**
   * Any thrown value as an `RpcError`: one already is itself, an error with the shape of grpc-js's `ServiceError` (a code from 1
   * to 16, details that are a string, Metadata if any) keeps its code, everything else is INTERNAL with the value as `cause`.
   * Never throws.
   */
  static from(error: unknown, details = 'Internal error'): RpcError {
    if (isRpcError(error)) return error
    const meant = isError(error) ? meantStatus(error) : undefined
    return meant === undefined ? new RpcError(Code.INTERNAL, details, { cause: error }) : ofMeant(meant)
  }
}

function ofMeant({ code, details, metadata, cause, ...given }: MeantStatus): RpcError {
  const local = {
    origin: given.origin === 'remote' ? given.origin : undefined,
    refusedBy: typeof given.refusedBy === 'string' ? given.refusedBy : undefined,
    attempts: typeof given.attempts === 'number' ? given.attempts : undefined,
    hedges: typeof given.hedges === 'number' ? given.hedges : undefined,
  } as const
  return new RpcError(code, details, { metadata, cause, ...local })
}

const OPTIONS = ['metadata', 'details', 'cause', 'origin', 'refusedBy', 'attempts', 'hedges']

/** What is no option would be missing from the status, and nothing would tell. */
function checkOptions(options: unknown): void {
  if (isMetadata(options)) throw new TypeError('RpcError: pass metadata as an option: { metadata }')
  if (isError(options)) throw new TypeError('RpcError: pass an error as an option: { cause }')
  if (!isOptionsObject(options)) throw new TypeError(`RpcError: options must be an object, got ${show(options)}`)
  for (const name in options) {
    if (!OPTIONS.includes(name)) {
      throw new TypeError(`RpcError: unknown option ${show(name)}; known are ${OPTIONS.join(', ')}`)
    }
  }
}

/** The trailers of a new error. The caller's own stay as they are when details are added. */
function trailersOf(error: RpcError, { metadata, details }: RpcErrorOptions): Metadata {
  if (details === undefined) return metadata ?? new Metadata()
  if (!Array.isArray(details) || !details.every((detail) => typeof detail?.addTo === 'function')) {
    throw new TypeError(`RpcError: options.details must be an array of status details, got ${show(details)}`)
  }
  const trailers = metadata?.clone() ?? new Metadata()
  for (const detail of details as readonly StatusDetail[]) detail.addTo(trailers, error)
  return trailers
}

/** Ends the RPC being intercepted or handled with this status, by throwing an `RpcError`. */
export function abort(code: Code, details = '', metadata?: Metadata): never {
  throw new RpcError(code, details, { metadata })
}

/** Whether a value is an `RpcError`, of whichever copy of this package. */
export function isRpcError(value: unknown): value is RpcError {
  try {
    return typeof value === 'object' && value !== null && RPC_ERROR in value
  } catch {
    return false // a proxy's trap, or a revoked proxy
  }
}

function isError(value: unknown): boolean {
  try {
    return value instanceof Error
  } catch {
    return false // a proxy's trap, or a revoked proxy
  }
}
