/** Time, injected. */
export interface Clock {
  /** Milliseconds since any fixed moment. */
  now(): number
}

/** Monotonic time of this process. */
export const systemClock: Clock = { now: () => performance.now() }
