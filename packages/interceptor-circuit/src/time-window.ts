import {
  type MonotonicTime,
  milliseconds,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import type { FailurePolicy, FailureWindow, RateOptions, WindowCounts } from './failure-window.ts'
import { exceeds, type RateLimits, rateOptions } from './rate-limits.ts'

export interface TimeWindowOptions extends RateOptions {
  /** How far back calls are looked at, ms. Moves on in tenths. Default 10 000: an outage opens the circuit within seconds. */
  readonly windowMs?: number
  /** Default 20: below that one unlucky call is a large share. */
  readonly minCalls?: number
}

const table = {
  windowMs: milliseconds({ above: 0 }).default(10_000),
  ...rateOptions,
} satisfies OptionTable<TimeWindowOptions>

const FEWEST_CALLS = 20

/**
 * Opens when too many calls of the last seconds failed, or were slow. What is older is forgotten, also after a silence.
 * @throws TypeError for an option that is unknown or out of range.
 */
export function timeWindow(options: TimeWindowOptions = {}): FailurePolicy {
  const { windowMs, ...rates } = readOptions('timeWindow', options, table, { show: quoted })
  const limits = { ...rates, minCalls: rates.minCalls ?? FEWEST_CALLS }
  return { slowMs: limits.slowMs, open: () => new TimeWindow(windowMs, limits) }
}

const SLOTS = 10

/** A ring of time slots with running totals: a record costs the same, whatever the traffic. */
class TimeWindow implements FailureWindow {
  readonly #slotMs: number
  readonly #limits: RateLimits
  readonly #calls = new Uint32Array(SLOTS)
  readonly #failures = new Uint32Array(SLOTS)
  readonly #slow = new Uint32Array(SLOTS)
  readonly #total = { calls: 0, failures: 0, slow: 0 }
  #slot = Number.NEGATIVE_INFINITY

  constructor(windowMs: number, limits: RateLimits) {
    this.#slotMs = windowMs / SLOTS
    this.#limits = limits
  }

  record(failed: boolean, slow: boolean, clock: MonotonicTime): boolean {
    const i = this.#advance(clock)
    const total = this.#total
    this.#calls[i] = (this.#calls[i] ?? 0) + 1
    total.calls++
    if (failed) {
      this.#failures[i] = (this.#failures[i] ?? 0) + 1
      total.failures++
    }
    if (slow) {
      this.#slow[i] = (this.#slow[i] ?? 0) + 1
      total.slow++
    }
    return exceeds(this.#limits, total)
  }

  clear(): void {
    for (let i = 0; i < SLOTS; i++) this.#forget(i)
  }

  counts(clock: MonotonicTime): WindowCounts {
    this.#advance(clock)
    return { ...this.#total }
  }

  /** Forgets the slots that time has left behind and returns the index of the current one. */
  #advance(clock: MonotonicTime): number {
    const slot = Math.floor(clock.now() / this.#slotMs)
    const passed = Math.min(slot - this.#slot, SLOTS) // negative if the clock went back: stay where we are
    if (passed > 0) {
      for (let n = 0; n < passed; n++) this.#forget(index(slot - n))
      this.#slot = slot
    }
    return index(this.#slot)
  }

  #forget(i: number): void {
    const total = this.#total
    total.calls -= this.#calls[i] ?? 0
    total.failures -= this.#failures[i] ?? 0
    total.slow -= this.#slow[i] ?? 0
    this.#calls[i] = this.#failures[i] = this.#slow[i] = 0
  }
}

/** A clock may count from anywhere, so slots may be negative. */
function index(slot: number): number {
  return ((slot % SLOTS) + SLOTS) % SLOTS
}
