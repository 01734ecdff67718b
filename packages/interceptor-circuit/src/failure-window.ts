import type { MonotonicTime } from '@grpc-stack/grpc-core/authoring'

/** What a window remembers of recent calls. */
export interface WindowCounts {
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

/** Recent outcomes of one circuit, and whether they are bad enough. */
export interface FailureWindow {
  /** Notes an outcome. Returns whether the circuit should open. Reading the clock costs; ask it only if time matters. */
  record(failed: boolean, slow: boolean, clock: MonotonicTime): boolean
  clear(): void
  counts(clock: MonotonicTime): WindowCounts
}

/** Makes the windows of a breaker, one per circuit. */
export interface FailurePolicy {
  /**
   * Calls that take longer count as slow, ms; undefined: none does. Unary calls that reach a deadline of their own count as
   * failures if they had more time than this; where undefined, more than four times the usual.
   */
  readonly slowMs?: number | undefined
  open(): FailureWindow
}

/** When the rates in a window are too high. */
export interface RateOptions {
  /** Share of calls that fail, from above 0 to 1, at which the circuit opens. Default 0.5. */
  readonly failureRate?: number
  /** Calls that must be in the window before rates mean anything. */
  readonly minCalls?: number
  /**
   * Calls that take longer are slow, ms; for a response stream: until the first message, of a bidi from the latest request
   * message on. A client stream never is, since its caller chooses how long it takes. Default: none is. Set it below the
   * deadlines of callers: unary calls that reach a deadline of their own are failures if they had more time than this, and
   * nothing if they had less.
   */
  readonly slowMs?: number
  /** Share of slow calls at which the circuit opens. Default 1, all of them. */
  readonly slowRate?: number
}
