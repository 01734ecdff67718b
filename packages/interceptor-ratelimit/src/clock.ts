/** Time, injected. */
export interface Clock {
  /** Milliseconds since any fixed moment, fractions welcome. */
  now(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

const LONGEST_TIMEOUT = 2 ** 31 - 1 // Node: a longer one fires at once

/** Monotonic time of this process, and Node's timers. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(ms, LONGEST_TIMEOUT)),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout), // what setTimeout above returned
}
