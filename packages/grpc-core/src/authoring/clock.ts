import type { OptionKind } from './option-kind.ts'
import { accepts } from './option-kinds.ts'

/** Node's timers, or those of a test. */
export interface Timers {
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

/** What time it is on a monotonic clock. Enough to measure durations. */
export interface MonotonicTime {
  /** Milliseconds since any fixed moment, fractions too. Never goes back: a clock that was set does not change it. */
  now(): number
  /** Left out by clocks of tests, which may serve as either kind. */
  readonly kind?: 'monotonic'
}

/** Time that is injected, for durations: waits, windows, rates. */
export interface MonotonicClock extends MonotonicTime, Timers {}

/** Time that is injected, for moments that another machine names, such as the expiry of a token. */
export interface WallClock extends Timers {
  /** Epoch milliseconds. Jumps when the clock of the machine is set. */
  now(): number
  readonly kind?: 'wall'
}

/** Node: a longer one fires at once. */
export const LONGEST_TIMEOUT_MS = 2_147_483_647

const nodeTimers: Timers = {
  setTimeout: (callback, ms) => setTimeout(callback, Math.min(ms, LONGEST_TIMEOUT_MS)),
  clearTimeout: (handle) => clearTimeout(handle as NodeJS.Timeout), // made by `setTimeout` above
}

/** Monotonic time of this process, and Node's timers. */
export const systemMonotonicClock: MonotonicClock = Object.freeze({
  ...nodeTimers,
  kind: 'monotonic',
  now: () => performance.now(),
})

/** Wall-clock time, and Node's timers. */
export const systemWallClock: WallClock = Object.freeze({ ...nodeTimers, kind: 'wall', now: () => Date.now() })

/** An option that takes a `MonotonicClock`. Default: the system's. */
export function monotonicClock(): OptionKind<MonotonicClock> {
  return accepts(EXPECTED, (value): value is MonotonicClock => isClock(value, 'monotonic')).default(
    systemMonotonicClock,
  )
}

/** An option that takes a clock that only tells the time. Default: the system's. */
export function monotonicTime(): OptionKind<MonotonicTime> {
  return accepts('an object with now(), monotonic', (value): value is MonotonicTime =>
    isClock(value, 'monotonic', ['now']),
  ).default(systemMonotonicClock)
}

/** An option that takes a `WallClock`. Default: the system's. */
export function wallClock(): OptionKind<WallClock> {
  return accepts(`${EXPECTED}, of epoch milliseconds`, (value): value is WallClock => isClock(value, 'wall')).default(
    systemWallClock,
  )
}

const CLOCK_METHODS: readonly string[] = ['now', 'setTimeout', 'clearTimeout']
const EXPECTED = 'an object with now, setTimeout and clearTimeout'

function isClock(value: unknown, kind: 'monotonic' | 'wall', methods = CLOCK_METHODS): boolean {
  if (typeof value !== 'object' || value === null) return false
  const clock = value as Record<string, unknown>
  const complete = methods.every((name) => typeof clock[name] === 'function')
  return complete && (clock.kind === undefined || clock.kind === kind)
}
