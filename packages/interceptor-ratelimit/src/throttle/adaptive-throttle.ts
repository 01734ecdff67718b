import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Next, Status } from '@grpc-stack/grpc-core'
import {
  func,
  integer,
  type MonotonicClock,
  milliseconds,
  monotonicClock,
  number,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import { RollingCounts } from './rolling-counts.ts'
import { acceptanceOf, isUnavailable } from './throttle-evidence.ts'

export interface AdaptiveThrottleOptions {
  /**
   * How many calls are sent per call the server accepts, ≥ 1. Default: 2: half of what is sent may be refused before calls
   * are held back. Lower is gentler to the server, higher notices sooner that it has recovered.
   */
  readonly k?: number
  /**
   * How far back is counted, in milliseconds. Default: 10 000. The book counts two minutes; with that, a client
   * would go on holding back most calls for minutes after an outage has ended.
   */
  readonly windowMs?: number
  /**
   * Calls the server must have refused within `windowMs` before any is held back, an integer ≥ 1. Default: 20, as many calls
   * as a `circuitBreaker()` looks at: less is a pod that restarts, which `retry()` hides. Calls held back here are none of them,
   * so they alone never hold back others. Lower it for a client that calls seldom and whose calls are costly to the server.
   */
  readonly minRejections?: number
  /** The largest part of calls held back, 0 up to 1. Default: 0.9: one in ten still finds out how the server is. */
  readonly maxRejection?: number
  /**
   * Which answers mean that the server refuses calls for its own state. Default: UNAVAILABLE. RESOURCE_EXHAUSTED is the quota
   * of one caller as often, and must not hold back the others; it counts for nothing. Where a server answers it for its load
   * only, or `key` sets apart what has quotas of its own, widen it:
   *
   *     isRejected: ({ code }) => code === Code.UNAVAILABLE || code === Code.RESOURCE_EXHAUSTED
   *
   * Not asked about refusals by interceptors here and requests that cannot be serialized, which count for nothing either.
   */
  readonly isRejected?: (status: Status) => boolean
  /** What shares its counts. Default: the target of the channel, where grpc-core made it, else all calls. */
  readonly key?: (call: ClientCall) => string
  /** Default: monotonic time. */
  readonly clock?: MonotonicClock
  /** From 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number
}

/** What the throttle knows of one target. */
export interface AdaptiveThrottleState {
  readonly requests: number
  readonly accepts: number
  /** Probability that the next call is held back; 0 while the server has refused fewer than `minRejections`. */
  readonly rejection: number
}

const table = {
  k: number({ min: 1 }).default(2).refusingUndefined('leave it out for 2'),
  windowMs: milliseconds({ above: 0 }).default(10_000),
  minRejections: integer({ min: 1 }).default(20).refusingUndefined('leave it out for 20'),
  maxRejection: number({ min: 0, max: 1 }).default(0.9).refusingUndefined('leave it out for 0.9'),
  isRejected: func<(status: Status) => boolean>()
    .default(isUnavailable)
    .refusingUndefined('leave it out to count UNAVAILABLE'),
  key: func<(call: ClientCall) => string>()
    .default((call) => call.target ?? '')
    .refusingUndefined('leave it out to count by target'),
  clock: monotonicClock(),
  random: func<() => number>().default(Math.random),
} satisfies OptionTable<AdaptiveThrottleOptions>

/** Targets beyond this are forgotten, oldest first. An application that talks to more has other problems. */
const MAX_KEYS = 10_000

/**
 * Adaptive throttling as in Site Reliability Engineering, chapter 21: a call is held back with the probability
 *
 *     max(0, (requests − k × accepts) / (requests + 1))
 *
 * As there, calls held back count as requests: what the server gets is then about k × what it accepts, however many calls the
 * application makes. If they did not count, a client with ten times the calls would send about three times as many. Three
 * things differ:
 *
 * - A request counts when its outcome is known. What is under way is no evidence of refusal, and would hold back the first
 *   burst of calls to a healthy server.
 * - Nothing is held back until the server itself has refused `minRejections` calls within the window. By the formula alone,
 *   one refusal of the first call holds back every second of the next, and each of these raises the probability further. A
 *   client that calls seldom knows too little of the server, and sends everything.
 * - The window is ten seconds, not two minutes. An outage that a client has seen holds calls back for no longer than that
 *   after the last of its refusals.
 */
export class AdaptiveThrottle {
  readonly #k: number
  readonly #windowMs: number
  readonly #minRejections: number
  readonly #maxRejection: number
  readonly #isRejected: (status: Status) => boolean
  readonly #key: (call: ClientCall) => string
  readonly #clock: MonotonicClock
  readonly #random: () => number
  readonly #counts = new Map<string, RollingCounts>()

  constructor(where: string, options: AdaptiveThrottleOptions) {
    const { k, windowMs, minRejections, maxRejection, isRejected, key, clock, random } = readOptions(
      where,
      options,
      table,
      { show: quoted },
    )
    this.#k = k
    this.#windowMs = windowMs
    this.#minRejections = minRejections
    this.#maxRejection = maxRejection
    this.#isRejected = isRejected
    this.#key = key
    this.#clock = clock
    this.#random = random
  }

  intercept(call: ClientCall, next: Next): Status | Promise<Status> {
    const counts = this.#countsOf(this.#key(call))
    const now = this.#clock.now()
    counts.advance(now)
    const rejection = this.#rejection(counts)
    if (rejection > 0 && this.#random() < rejection) {
      counts.add(now, 'heldBack')
      const share = Math.round(rejection * 100)
      return { code: Code.RESOURCE_EXHAUSTED, details: `Throttled: the server refuses calls, ${share} % are held back` }
    }
    this.#watch(call, counts)
    return next()
  }

  /** Counts the call when it is known what the server made of it. */
  #watch(call: ClientCall, counts: RollingCounts): void {
    let counted = false
    // A stream that had a message was accepted; servers that restart under long streams refuse nothing.
    if (call.method.responseStream) {
      call.onResponse(() => {
        if (counted) return
        counted = true
        counts.add(this.#clock.now(), 'accepted')
      })
    }
    call.onStatus((status) => {
      if (counted) return
      counted = true
      const acceptance = acceptanceOf(status, this.#isRejected)
      if (acceptance !== undefined) counts.add(this.#clock.now(), acceptance)
    })
  }

  state(key: string): AdaptiveThrottleState {
    const counts = this.#counts.get(key)
    if (counts === undefined) return { requests: 0, accepts: 0, rejection: 0 }
    counts.advance(this.#clock.now())
    return { requests: counts.requests, accepts: counts.accepts, rejection: this.#rejection(counts) }
  }

  #rejection({ requests, accepts, rejections }: RollingCounts): number {
    if (rejections < this.#minRejections) return 0
    return Math.min(this.#maxRejection, Math.max(0, (requests - this.#k * accepts) / (requests + 1)))
  }

  #countsOf(key: string): RollingCounts {
    let counts = this.#counts.get(key)
    if (counts === undefined) {
      const [oldest] = this.#counts.size >= MAX_KEYS ? this.#counts.keys() : []
      if (oldest !== undefined) this.#counts.delete(oldest)
      counts = new RollingCounts(this.#windowMs)
      this.#counts.set(key, counts)
    }
    return counts
  }
}
