/**
 * Time, injected. Here `now()` must be epoch milliseconds, not any monotonic count: tokens say on that scale when they
 * expire.
 */
export interface Clock {
  now(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

/** Wall-clock time and Node's timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout), // what setTimeout above returned
}

const LONGEST_TIMEOUT = 2 ** 31 - 1 // Node: a longer one fires at once

/** Calls back once `clock.now()` has reached `at`, however far that is. Returns what calls it off. */
export function callAt(clock: Clock, at: number, callback: () => void): () => void {
  let handle: unknown
  const wait = (): void => {
    const left = at - clock.now()
    if (left <= 0) callback()
    else handle = clock.setTimeout(wait, Math.min(Math.ceil(left), LONGEST_TIMEOUT))
  }
  handle = clock.setTimeout(wait, Math.min(Math.max(0, Math.ceil(at - clock.now())), LONGEST_TIMEOUT))
  return () => clock.clearTimeout(handle)
}
