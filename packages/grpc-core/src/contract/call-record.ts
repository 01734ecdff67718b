import { PROTOCOL } from '../runtime/version.ts'
import type { Call, CallAttempt } from './call.ts'
import type { MethodInfo } from './method.ts'
import type { Status } from './status.ts'

/**
 * Where a call keeps the record of the run at hand, for observers of every copy of this library. The engine puts it aside while
 * something runs inside a `next()` that may be repeated: what stands there is run once for each attempt.
 */
export const RECORD: unique symbol = Symbol.for(`@grpc-stack/grpc-core.record.${PROTOCOL}`)

/** Bytes of all messages of an RPC, each way. */
export interface MessageBytes {
  readonly requests: number
  readonly responses: number
}

/** Takes the credentials of a call out of a text. */
type Scrubber = (text: string) => string

/**
 * What observers know of one RPC together. Made by the first that stands on the call, and the same for the others: an interceptor that
 * `observe` made asks for what it needs in its `start`, and what several ask for is done once.
 *
 * An observer inside of `retry()`, or of the continuation of an interceptor object, runs once for each attempt. It has a record of that
 * attempt, which those outside do not see: neither counts what the other does. What differs from layer to layer, the status and the
 * duration, is not in here but given to each observer's `end`.
 */
export interface CallRecord {
  readonly call: Call
  readonly side: 'client' | 'server'
  readonly method: MethodInfo
  /** When the first observer began: milliseconds of Node's monotonic clock, `performance.now()`. */
  readonly startedAt: number
  /** The same moment in epoch milliseconds. Worked out when it is asked for. */
  readonly startTime: number
  /**
   * Request messages so far, as the outermost observer that counts them sees them; undefined where none does. Those of an inner
   * observer may differ, where an interceptor between them answers or adds by itself.
   */
  readonly requests: number | undefined
  /** Response messages so far, likewise. */
  readonly responses: number | undefined
  /** Attempts that were begun. Known in `end`; 1 where the status says nothing of attempts. */
  readonly attempts: number
  /** Those of the attempts that were hedges, known in `end`. */
  readonly hedges: number
  /** Address of the other side. */
  peer(): string
  /** Counts the request messages from here on. To be asked in `start`. */
  countRequests(): void
  /** Counts the response messages from here on. To be asked in `start`. */
  countResponses(): void
  /**
   * Adds up what `sizeOf` says of each message from here on. To be asked in `start`; asked again, it returns the same sums. Observers that give the same function share the
   * sums, so each message is measured once. What it throws, and what is no number, counts as nothing.
   * @param failed told of what `sizeOf` throws
   */
  measure(sizeOf: (message: unknown) => number, failed?: (error: unknown) => void): MessageBytes
  /**
   * Remembers the request metadata, and on a client what each attempt is sent with, so that `scrubber` knows their credentials. To be
   * asked in `start`.
   */
  followCredentials(): void
  /**
   * Whether attempts are to be told to `rememberAttempt`, and no other observer does so. `observe` asks, once an observer has begun on a
   * client.
   */
  claimAttempts(): boolean
  /** Remembers what an attempt is sent with. */
  rememberAttempt(attempt: CallAttempt): void
  /**
   * Takes credentials out of texts that are recorded of this call: those of `followCredentials`, of the trailers of a status, and
   * all that `credentialScrubber` knows.
   */
  scrubber(status?: Status): Scrubber
}
