import {
  integer,
  invalidOption,
  milliseconds,
  number,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'

/** How a call went, as far as it says something about load. */
export interface ConcurrencySample {
  /** How long the server took, in milliseconds; where `unfinished`, the least it would have taken. */
  readonly rttMs: number
  /** Calls under way when it started, itself included. */
  readonly inFlight: number
  /** The server refused it for its own state: UNAVAILABLE from the server, on a client. */
  readonly dropped: boolean
  /**
   * It reached its deadline before there was an answer. Callers choose deadlines, so this is no loss by itself: a limit must
   * not fall further for it than for the same call that was left to finish.
   */
  readonly unfinished: boolean
  /** When it started and ended, in milliseconds of the same clock. */
  readonly startedMs: number
  readonly endedMs: number
}

/** A concurrency limit that moves with what it observes. Give each `concurrencyLimit()` its own. */
export interface AdaptiveLimit {
  /** Calls at the same time, a whole number ≥ 1. */
  readonly limit: number
  onSample(sample: ConcurrencySample): void
}

export interface AimdOptions {
  /** Default: 20. */
  readonly initial?: number
  /** Default: 1. */
  readonly min?: number
  /** Default: 200. */
  readonly max?: number
  /** What is left of the limit after a loss, 0.5 up to 1. Default: 0.9. */
  readonly backoffRatio?: number
  /**
   * A call that takes longer counts as lost, whether it is answered or reaches its deadline then, in milliseconds. Default:
   * 5000. Set it between the time calls usually take and the deadlines callers use: calls that reach their deadline earlier
   * than this say nothing, since callers choose their deadlines, and a limit that counted them would be theirs to lower.
   */
  readonly timeoutMs?: number
}

const count = integer({ min: 1 })

const aimdTable = {
  initial: count.optional().refusingUndefined('leave it out for 20, or the bound next to it'),
  min: count.default(1),
  max: count.default(200).refusingUndefined('leave it out for 200'),
  backoffRatio: number({ min: 0.5, below: 1 }).default(0.9).refusingUndefined('leave it out for 0.9'),
  timeoutMs: milliseconds({ above: 0 }).default(5000).refusingUndefined('leave it out for five seconds'),
} satisfies OptionTable<AimdOptions>

/**
 * Additive increase, multiplicative decrease, as in TCP: one more after each good call while the limit is in use, a tenth
 * less after a loss. Calls that were already under way at the last decrease do not cause another: one jam is one decrease.
 * After Netflix concurrency-limits, AIMDLimit.
 *
 * A loss is a unary call for which the server took longer than `timeoutMs`, and on a client one that the server ended
 * UNAVAILABLE. Nothing else is: no stream, no cancel, no error or quota, no deadline that came before `timeoutMs`.
 */
export function aimdLimit(options: AimdOptions = {}): AdaptiveLimit {
  const read = readOptions('aimdLimit', options, aimdTable, { show: quoted })
  const { min, max, initial } = checkRange('aimdLimit', read)
  const { backoffRatio, timeoutMs } = read
  let limit = initial
  let decreasedMs = Number.NEGATIVE_INFINITY
  return {
    get limit() {
      return limit
    },
    onSample({ rttMs, inFlight, dropped, unfinished, startedMs, endedMs }) {
      if (dropped || rttMs > timeoutMs) {
        if (startedMs < decreasedMs) return
        decreasedMs = endedMs
        limit = Math.max(min, Math.min(limit - 1, Math.floor(limit * backoffRatio)))
      } else if (!unfinished && inFlight * 2 >= limit) limit = Math.min(max, limit + 1)
    },
  }
}

export interface GradientOptions {
  /** Default: 20. */
  readonly initial?: number
  /** Default: 20. Never so low that too few calls are left to measure by. */
  readonly min?: number
  /** Default: 200. */
  readonly max?: number
  /** How much slower than usual is still fine. Default: 1.5. */
  readonly tolerance?: number
  /** Calls that may queue up at the server before the limit falls. Default: 4. */
  readonly queueSize?: number
  /** Weight of a new value of the limit against the old, over 0 and up to 1. Default: 0.2. */
  readonly smoothing?: number
  /** Samples are averaged over this time, in milliseconds, and at least ten of them. Default: 1000. */
  readonly windowMs?: number
}

const gradientTable = {
  initial: count.optional().refusingUndefined('leave it out for 20, or the bound next to it'),
  min: count.default(20).refusingUndefined('leave it out for 20'),
  max: count.default(200).refusingUndefined('leave it out for 200'),
  tolerance: number({ min: 1 }).default(1.5).refusingUndefined('leave it out for 1.5'),
  queueSize: number({ min: 0 }).default(4).refusingUndefined('leave it out for 4'),
  smoothing: number({ above: 0, max: 1 }).default(0.2),
  windowMs: milliseconds({ above: 0 }).default(1000),
} satisfies OptionTable<GradientOptions>

const MIN_SAMPLES = 10
const LONG_WINDOWS = 600
const WARM_UP_WINDOWS = 10

/**
 * Compares how long calls take now with how long they usually take, and lowers the limit in proportion when they
 * have become slower by more than the tolerance. Grows only while at least half of it is in use. After Netflix
 * concurrency-limits, Gradient2Limit; a window in which the server refused calls (client only) counts as twice as slow.
 *
 * Unary calls count, when they succeed. A call that reaches its deadline counts with the time it had if that was more than
 * the usual time, and not at all if it was less: a caller with a short deadline cannot make the server look slow.
 */
export function gradientLimit(options: GradientOptions = {}): AdaptiveLimit {
  const read = readOptions('gradientLimit', options, gradientTable, { show: quoted })
  const { min, max, initial } = checkRange('gradientLimit', read)
  const { tolerance, queueSize, smoothing, windowMs } = read
  let limit = initial
  let usualMs = 0
  let windows = 0
  let window = { endsMs: Number.NEGATIVE_INFINITY, samples: 0, sumMs: 0, inFlight: 0, dropped: false }

  const close = (): void => {
    const shortMs = (window.sumMs / window.samples) * (window.dropped ? 2 : 1)
    windows = Math.min(LONG_WINDOWS, windows + 1)
    // A plain average at first, then an exponential one.
    const weight = windows < WARM_UP_WINDOWS ? 1 / windows : 2 / (LONG_WINDOWS + 1)
    usualMs += (shortMs - usualMs) * weight
    // After a long jam the usual time is far too long: come down from it faster.
    if (usualMs / shortMs > 2) usualMs *= 0.95
    if (window.inFlight < limit / 2) return
    const gradient = Math.max(0.5, Math.min(1, (tolerance * usualMs) / shortMs))
    const aim = limit * gradient + queueSize
    limit = Math.max(min, Math.min(max, limit * (1 - smoothing) + aim * smoothing))
  }

  return {
    get limit() {
      return Math.floor(limit)
    },
    onSample({ rttMs, inFlight, dropped, unfinished, endedMs }) {
      if (unfinished && (windows === 0 || rttMs <= usualMs)) return
      if (window.endsMs === Number.NEGATIVE_INFINITY) window.endsMs = endedMs + windowMs
      window.samples++
      window.sumMs += Math.max(rttMs, 0.001)
      window.inFlight = Math.max(window.inFlight, inFlight)
      window.dropped ||= dropped
      if (endedMs < window.endsMs || window.samples < MIN_SAMPLES) return
      close()
      window = { endsMs: endedMs + windowMs, samples: 0, sumMs: 0, inFlight: 0, dropped: false }
    },
  }
}

function checkRange(
  where: string,
  range: { readonly initial: number | undefined; readonly min: number; readonly max: number },
): { initial: number; min: number; max: number } {
  const { min, max } = range
  const { initial = Math.min(max, Math.max(min, 20)) } = range
  if (max < min) throw invalidOption(where, 'max', `an integer ≥ min, ${min}`, max)
  if (initial < min || initial > max) {
    throw invalidOption(where, 'initial', `an integer from ${min} to ${max}`, initial)
  }
  return { initial, min, max }
}
