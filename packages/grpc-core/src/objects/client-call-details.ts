import type { CallCredentials, Metadata } from '@grpc/grpc-js'
import type { Compression } from '../contract/call.ts'
import { isMetadata } from '../contract/given-status.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { show } from '../runtime/show.ts'

/** Some of the details of a call. A member that is absent keeps its value, one that is undefined loses it. */
export interface ClientCallDetailsPatch {
  /** Another path to call. Only channels of this library can do that. */
  readonly method?: string | undefined
  /** Milliseconds from when the continuation is called. Undefined: no limit but the deadline. */
  readonly timeoutMs?: number | undefined
  /** Epoch milliseconds. Undefined: no limit but that of the whole call. */
  readonly deadline?: number | undefined
  /** Undefined: none. */
  readonly metadata?: Metadata | undefined
  /** Undefined: none but the channel's. */
  readonly credentials?: CallCredentials | undefined
  /** Undefined: fail with UNAVAILABLE while there is no connection, grpc-js's default. */
  readonly waitForReady?: boolean | undefined
  /** Undefined: the channel's. Anything but that and `identity` is refused: grpc-js compresses per channel. */
  readonly compression?: Compression | undefined
}

/** The details, complete. */
export interface ClientCallValues {
  readonly method: string
  readonly timeoutMs: number | undefined
  readonly deadline: number
  readonly metadata: Metadata
  readonly credentials: CallCredentials | undefined
  readonly waitForReady: boolean
  readonly compression: Compression | undefined
}

const MEMBERS: readonly string[] = [
  'method',
  'timeoutMs',
  'deadline',
  'metadata',
  'credentials',
  'waitForReady',
  'compression',
] satisfies (keyof ClientCallValues)[]

/** An outgoing call, as an interceptor object sees it. Frozen: `with` makes changed copies. */
export interface ClientCallDetails extends ClientCallValues {
  /** `/package.Service/Method` */
  readonly method: string
  /** Milliseconds the call may take from when the continuation is called. The earlier of this and `deadline` holds. */
  readonly timeoutMs: number | undefined
  /**
   * Epoch milliseconds, `Infinity` for none. The deadline the application gave holds for all that is done on its behalf:
   * a later one does not extend it.
   */
  readonly deadline: number
  /** A copy: each call of the continuation sends what is in it by then. */
  readonly metadata: Metadata
  /** Aborts when the call is cancelled or its deadline passes. Not part of what `with` changes. */
  readonly signal: AbortSignal
  /**
   * Changed details.
   * @throws TypeError for an unknown member or a wrong value.
   */
  with(patch: ClientCallDetailsPatch): ClientCallDetails
}

export class OutgoingCallDetails implements ClientCallDetails {
  readonly method: string
  readonly timeoutMs: number | undefined
  readonly deadline: number
  readonly metadata: Metadata
  readonly credentials: CallCredentials | undefined
  readonly waitForReady: boolean
  readonly compression: Compression | undefined
  readonly #signal: () => AbortSignal

  constructor(values: ClientCallValues, signal: () => AbortSignal) {
    this.method = values.method
    this.timeoutMs = values.timeoutMs
    this.deadline = values.deadline
    this.metadata = values.metadata
    this.credentials = values.credentials
    this.waitForReady = values.waitForReady
    this.compression = values.compression
    this.#signal = signal
    Object.freeze(this)
  }

  get signal(): AbortSignal {
    return this.#signal()
  }

  with(patch: ClientCallDetailsPatch): ClientCallDetails {
    return new OutgoingCallDetails(patched(this, patch, 'details.with'), this.#signal)
  }
}

/**
 * The details with those of the patch in their place.
 * @throws TypeError for an unknown member or a wrong value.
 */
export function patched(base: ClientCallValues, patch: ClientCallDetailsPatch, where: string): ClientCallValues {
  if (typeof patch !== 'object' || patch === null) {
    throw new TypeError(`${where}: details must be an object, got ${show(patch)}`)
  }
  const unknown = Object.keys(patch).find((key) => !MEMBERS.includes(key))
  if (unknown !== undefined) {
    throw new TypeError(`${where}: unknown member "${unknown}"; details have ${MEMBERS.join(', ')}`)
  }
  const values: ClientCallValues = {
    method: patch.method ?? base.method,
    timeoutMs: 'timeoutMs' in patch ? patch.timeoutMs : base.timeoutMs,
    deadline: 'deadline' in patch ? (patch.deadline ?? Number.POSITIVE_INFINITY) : base.deadline,
    metadata: 'metadata' in patch ? (patch.metadata ?? newMetadata()) : base.metadata,
    credentials: 'credentials' in patch ? patch.credentials : base.credentials,
    waitForReady: 'waitForReady' in patch ? (patch.waitForReady ?? false) : base.waitForReady,
    compression: 'compression' in patch ? patch.compression : base.compression,
  }
  check(values, where)
  return values
}

function check(values: ClientCallValues, where: string): void {
  const refuse = (member: keyof ClientCallValues, expected: string): never => {
    throw new TypeError(`${where}: ${member} must be ${expected}, got ${show(values[member])}`)
  }
  const { method, timeoutMs, deadline, metadata, credentials, waitForReady, compression } = values
  if (typeof method !== 'string' || !method.startsWith('/')) refuse('method', 'a path like "/package.Service/Method"')
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs))) {
    refuse('timeoutMs', 'a number of milliseconds')
  }
  if (typeof deadline !== 'number' || Number.isNaN(deadline)) refuse('deadline', 'a number of epoch milliseconds')
  if (!isMetadata(metadata)) refuse('metadata', 'a grpc-js Metadata')
  if (credentials !== undefined && typeof credentials?.generateMetadata !== 'function') {
    refuse('credentials', 'grpc-js CallCredentials')
  }
  if (typeof waitForReady !== 'boolean') refuse('waitForReady', 'a boolean')
  if (compression !== undefined && !['identity', 'deflate', 'gzip'].includes(compression)) {
    refuse('compression', '"identity", "deflate" or "gzip"')
  }
}
