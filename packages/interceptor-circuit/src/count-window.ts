import { integer, invalidOption, type OptionTable, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import type { FailurePolicy, FailureWindow, RateOptions, WindowCounts } from './failure-window.ts'
import { exceeds, type RateLimits, rateOptions } from './rate-limits.ts'

export interface CountWindowOptions extends RateOptions {
  /** How many of the latest calls are looked at. Default 100. */
  readonly size?: number
  /** Default: `size`, a full window. */
  readonly minCalls?: number
}

const WHERE = 'countWindow'
const table = {
  size: integer({ min: 1, max: 100_000 }).default(100),
  ...rateOptions,
} satisfies OptionTable<CountWindowOptions>

/**
 * Opens when too many of the latest calls failed, or were slow. They may be hours old where traffic is low: prefer
 * `timeWindow` there.
 * @throws TypeError for an option that is unknown or out of range.
 */
export function countWindow(options: CountWindowOptions = {}): FailurePolicy {
  const { size, ...rates } = readOptions(WHERE, options, table, { show: quoted })
  const limits = { ...rates, minCalls: rates.minCalls ?? size }
  if (limits.minCalls > size) throw invalidOption(WHERE, 'minCalls', `at most "size", ${size}`, limits.minCalls)
  return { slowMs: limits.slowMs, open: () => new CountWindow(size, limits) }
}

const FAILED = 1
const SLOW = 2

/** A ring of the latest outcomes, with running totals: each record costs the same, whatever the size. */
class CountWindow implements FailureWindow {
  readonly #ring: Uint8Array
  readonly #limits: RateLimits
  #next = 0
  #calls = 0
  #failures = 0
  #slow = 0

  constructor(size: number, limits: RateLimits) {
    this.#ring = new Uint8Array(size)
    this.#limits = limits
  }

  record(failed: boolean, slow: boolean): boolean {
    const ring = this.#ring
    if (this.#calls === ring.length) this.#count(ring[this.#next] ?? 0, -1)
    const outcome = (failed ? FAILED : 0) | (slow ? SLOW : 0)
    ring[this.#next] = outcome
    this.#count(outcome, 1)
    this.#next = (this.#next + 1) % ring.length
    return exceeds(this.#limits, this.counts())
  }

  #count(outcome: number, by: 1 | -1): void {
    this.#calls += by
    if (outcome & FAILED) this.#failures += by
    if (outcome & SLOW) this.#slow += by
  }

  clear(): void {
    this.#next = this.#calls = this.#failures = this.#slow = 0
  }

  counts(): WindowCounts {
    return { calls: this.#calls, failures: this.#failures, slow: this.#slow }
  }
}
