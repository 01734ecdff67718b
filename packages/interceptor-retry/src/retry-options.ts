import type { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Matcher, Status } from '@grpc-stack/grpc-core'
import type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { Jitter } from './backoff.ts'
import type { GiveUpReason } from './decision.ts'
import type { Allowance } from './token-bucket.ts'

/** A retry about to be waited for. */
export interface RetryEvent {
  readonly call: ClientCall
  /** How the attempt ended. */
  readonly status: Status
  /** Attempts made so far. */
  readonly attempts: number
  /** The wait before the next one, ms. */
  readonly delayMs: number
}

/** A call that ends with an error. */
export interface GiveUpEvent {
  readonly call: ClientCall
  /** How the last attempt ended. */
  readonly status: Status
  /** Attempts made. */
  readonly attempts: number
  readonly reason: GiveUpReason
}

/** What one call may decide for itself. */
export interface RetryOverrides {
  /** 1 switches retries off for this call. */
  readonly maxAttempts?: number
  readonly perAttemptTimeoutMs?: number
  readonly retryableStatusCodes?: readonly Code[]
  readonly idempotent?: boolean
}

export interface RetryOptions {
  /** Attempts in all, the first included. Default 3: one retry for a blip, one for the instance tried next. No upper limit. */
  readonly maxAttempts?: number
  /** Wait before the first retry, ms, before jitter. Default 100. */
  readonly initialBackoffMs?: number
  /** No wait is longer, ms, before jitter. Default 5000. */
  readonly maxBackoffMs?: number
  /** Each wait is this many times the one before, up to the cap. Default 2. */
  readonly backoffMultiplier?: number
  /**
   * How chance spreads the waits. Default `full`, which takes the most load off a server that comes back;
   * `proportional` is gRFC A6's ± 20 %, the default for policies of a service config.
   */
  readonly jitter?: Jitter
  /**
   * Statuses to retry. Default UNAVAILABLE alone: the one code that says to try again. RESOURCE_EXHAUSTED is retried
   * besides whenever the server says by pushback or RetryInfo how long to wait.
   */
  readonly retryableStatusCodes?: readonly Code[]
  /**
   * Time for one attempt until its response begins, ms. An attempt that uses it up ends with DEADLINE_EXCEEDED, which is retried
   * where the method is `idempotent`: the server may have done the work. It chooses between attempts, so a stream that flows is not
   * cut. Default: none.
   */
  readonly perAttemptTimeoutMs?: number
  /** Methods that may be executed twice. Default: none. */
  readonly idempotent?: Matcher
  /**
   * Decides instead of the status codes whether a failure may be retried; undefined leaves it to them. Refusals,
   * pushback, commitment, number, deadline and budget hold all the same. If it throws, the last status is returned.
   */
  readonly retryIf?: (
    status: Status,
    facts: { readonly call: ClientCall; readonly attempts: number },
  ) => boolean | undefined
  /** The wait before retry `retry` (1, 2, …) in ms, instead of the policy's; no jitter is added. Pushback still wins. Asked last, only for a failure that is retried. */
  readonly backoff?: (retry: number, status: Status) => number
  /**
   * Retries statuses that an interceptor inside this one made without a server: all, or those of interceptors with
   * these names. Default: none. An open circuit or a local rate limit does not change within a backoff.
   */
  readonly retryRefusals?: boolean | readonly string[]
  /**
   * What the calls of a channel may spend on retries together. Default: a `RetryBudget` per channel target: 20 % of
   * calls plus 10 per second. `false` for none; an own one to share it more widely.
   */
  readonly budget?: Allowance | false
  /** Longest wait to accept from a server, ms; a longer one ends the call. Default: 2^31-1, all that gRFC A6 allows. */
  readonly maxPushbackMs?: number
  /**
   * What commits a call, so that it is not retried any more: `headers`, as gRFC A6 has it, or where the request is a single message
   * the first response `message`. With `message` response headers are held back until then: a server that sends headers and waits for
   * the client to act on them waits for ever. Default `headers`.
   */
  readonly commit?: 'headers' | 'message'
  /** Bytes of a request stream to keep for replay, per call. More commits the call. Default 1 MiB, as in grpc-js. */
  readonly maxReplayBytes?: number
  /** Messages of a request stream to keep for replay, per call. More commits the call. Default 1000. */
  readonly maxReplayMessages?: number
  /**
   * A gRPC service config, as JSON text or parsed. Its `retryPolicy` decides for the methods it names, others are not
   * retried unless `retry.perCall` asks for it; its `retryThrottling` is the default budget. The options above that a `retryPolicy` lacks hold besides.
   */
  readonly serviceConfig?: string | object
  /** Called before each wait. What it throws is reported as a process warning. */
  readonly onRetry?: (event: RetryEvent) => void
  /** Called when a call ends with an error. What it throws is reported as a process warning. */
  readonly onGiveUp?: (event: GiveUpEvent) => void
  /** Default: monotonic time and Node's timers. */
  readonly clock?: MonotonicClock
  /** From 0 to 1. Default `Math.random`. */
  readonly random?: () => number
}
