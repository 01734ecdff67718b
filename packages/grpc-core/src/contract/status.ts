import { status as Code, Metadata, type StatusObject } from '@grpc/grpc-js'
import { show } from '../runtime/show.ts'
import { PROTOCOL } from '../runtime/version.ts'
import { passCause } from './concealed-cause.ts'
import { isCode, usableMetadata } from './given-status.ts'

/**
 * How an RPC ended. An interceptor may return `{ code }` alone; what `next()` resolves to always has
 * `details`, `metadata` (the trailers) and `origin` filled in.
 *
 * The members after `metadata` are local facts: they reach observers and the application of this process and are
 * never sent to the peer.
 */
export interface Status {
  readonly code: Code
  readonly details?: string
  readonly metadata?: Metadata
  /** What made the RPC fail, when it failed in this process. */
  readonly cause?: unknown
  /** `remote`: came from grpc-js or the peer. `local`: made by an interceptor or by this library. */
  readonly origin?: 'remote' | 'local'
  /** Name of the interceptor that refused the RPC without letting it through. */
  readonly refusedBy?: string
  /**
   * How many attempts were begun inside the interceptor that gets this status, since it called `next()`; on the application's status
   * and error, in the whole call. Absent unless there were several. Counted by this library, on clients, whether a call was repeated by
   * `next()` or by the continuation of an interceptor object. What an interceptor puts here is replaced, and an RPC that an inner
   * interceptor refused has not begun.
   */
  readonly attempts?: number
  /**
   * How many of the `attempts` were hedges: begun while another attempt of the same interceptor object was running. Absent if none
   * was. The others but the first are retries: they began when no attempt was running.
   */
  readonly hedges?: number
}

/**
 * What a status of this library says it is, to every copy of the library that knows the same protocol: `remote`, for a
 * `RemoteStatus`, or `local`. To another it is a status like an application's.
 */
const KIND: unique symbol = Symbol.for(`@grpc-stack/grpc-core.status.${PROTOCOL}`)

const NO_METADATA: () => Metadata = () => new Metadata()

/**
 * The status grpc-js reported. Only `code`, `details` and `metadata` are own properties: grpc-js copies own
 * properties of a status onto the application's error (grpc-js: call.ts), and a pass-through stack must add none.
 *
 * It is valid whatever it is made of: peers, handlers and interceptors of grpc-js give codes that are none (grpc-js turns
 * the peer's text into a number and checks nothing) and members of any type.
 */
export class RemoteStatus implements Status {
  readonly code: Code
  readonly details: string
  readonly metadata: Metadata

  static {
    Object.defineProperty(RemoteStatus.prototype, KIND, { value: 'remote' })
  }

  constructor(code: Code, details: string | undefined, metadata: Metadata | null | undefined) {
    this.code = isCode(code) ? code : Code.UNKNOWN
    this.details = validDetails(code, details)
    this.metadata = usableMetadata(metadata) ?? NO_METADATA()
  }

  get origin(): 'remote' | 'local' {
    return 'remote'
  }
}

/**
 * A cancel or a deadline that came while no attempt was running, so that grpc-js had no status for it. The application
 * must not be able to tell, which is why this adds no own properties either.
 */
export class UnattemptedStatus extends RemoteStatus {
  override get origin(): 'local' {
    return 'local'
  }
}

/** A status that came up a call, as a valid one. One of this library is passed on as it is. */
export function receivedStatus(raw: StatusObject): RemoteStatus | LocalStatus {
  if (isComplete(raw)) return raw
  if (typeof raw !== 'object' || raw === null) {
    return new RemoteStatus(Code.UNKNOWN, `Invalid status ${show(raw)}`, undefined)
  }
  return new RemoteStatus(raw.code, raw.details, raw.metadata)
}

/** Whether a value is a status that this library has made valid and complete. */
export function isComplete(value: unknown): value is RemoteStatus | LocalStatus {
  return kindOf(value) !== undefined
}

function kindOf(value: unknown): 'remote' | 'local' | undefined {
  return (value as { [KIND]?: 'remote' | 'local' } | null | undefined)?.[KIND]
}

/** The details of a status with this code, or with UNKNOWN in the place of a code that is none. */
function validDetails(code: unknown, details: unknown): string {
  const text = plainText(details)
  if (isCode(code)) return text
  return text === '' ? `Invalid status code ${show(code)}` : `Invalid status code ${show(code)}: ${text}`
}

/**
 * What stands in the place of details, as a text that can be sent: grpc-js throws on half a surrogate pair (encodeURI), which
 * would lose the RPC. The text of an object says nothing, and making it may throw.
 */
export function plainText(value: unknown): string {
  if (typeof value === 'string') return value.toWellFormed()
  return value === undefined || typeof value === 'object' || typeof value === 'function' ? '' : String(value)
}

/** A complete status made in this process. Members that have no value are absent. */
export class LocalStatus implements Status {
  readonly code: Code
  readonly details: string
  readonly metadata: Metadata
  readonly origin: 'remote' | 'local'
  declare readonly cause?: unknown
  declare readonly refusedBy?: string
  declare readonly attempts?: number
  declare readonly hedges?: number

  static {
    Object.defineProperty(LocalStatus.prototype, KIND, { value: 'local' })
  }

  /** @param metadata in the place of the status' own */
  constructor(given: Status, refusedBy?: string, metadata: Metadata | undefined = given.metadata) {
    this.code = isCode(given.code) ? given.code : Code.UNKNOWN
    this.details = validDetails(given.code, given.details)
    this.metadata = usableMetadata(metadata) ?? NO_METADATA()
    this.origin = given.origin ?? 'local'
    passCause(given, this)
    if (given.attempts !== undefined) this.attempts = given.attempts
    if (given.hedges !== undefined) this.hedges = given.hedges
    const refuser = given.refusedBy ?? refusedBy
    if (refuser !== undefined) this.refusedBy = refuser
  }
}

/** The same status with other trailers. */
export function withMetadata(status: Status, metadata: Metadata | undefined): Status {
  if (metadata === undefined || metadata === status.metadata) return status
  const { code, details = '' } = status
  if (kindOf(status) !== 'remote') return new LocalStatus(status, undefined, metadata)
  const copy = withAttempts(new RemoteStatus(code, details, metadata), status.attempts ?? 0, status.hedges ?? 0)
  passCause(status, copy)
  return copy
}

/** The same status with these numbers of attempts and hedges, each absent where it says nothing. */
export function withAttempts(status: Status, begun: number, hedged: number): Status {
  const attempts = begun > 1 ? begun : undefined
  const hedges = hedged > 0 ? hedged : undefined
  if (status.attempts === attempts && status.hedges === hedges) return status
  // Of the same class: to the application a status that grpc-js reported has no other own properties than these.
  const copy: Status & { attempts?: number; hedges?: number } = Object.create(Object.getPrototypeOf(status) as object)
  Object.defineProperties(copy, Object.getOwnPropertyDescriptors(status))
  passCause(status, copy)
  delete copy.attempts
  delete copy.hedges
  return Object.assign(copy, attempts && { attempts }, hedges && { hedges })
}
