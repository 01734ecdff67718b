import type { MonotonicTime } from '@grpc-stack/grpc-core/authoring'
import type { Allowance } from './token-bucket.ts'

const SLOTS = 10

/**
 * Retries as a share of calls: within a sliding window there may be `ratio` retries per call, and a few per second
 * besides, so that a client with little traffic can retry too. The scheme of Finagle's RetryBudget.
 */
export class RatioBudget implements Allowance {
  readonly #ratio: number
  readonly #reserve: number
  readonly #slotMs: number
  readonly #clock: MonotonicTime
  readonly #calls = new Uint32Array(SLOTS)
  readonly #retries = new Uint32Array(SLOTS)
  #totalCalls = 0
  #totalRetries = 0
  #slot: number

  constructor(ratio: number, minRetriesPerSecond: number, windowMs: number, clock: MonotonicTime) {
    this.#ratio = ratio
    this.#reserve = (minRetriesPerSecond * windowMs) / 1000
    this.#slotMs = windowMs / SLOTS
    this.#clock = clock
    this.#slot = Math.floor(clock.now() / this.#slotMs)
  }

  get retriesLeft(): number {
    this.#advance()
    return Math.max(0, Math.floor(this.#reserve + this.#ratio * this.#totalCalls - this.#totalRetries + 1e-9))
  }

  started(): void {
    const i = this.#advance()
    this.#calls[i] = (this.#calls[i] ?? 0) + 1
    this.#totalCalls++
  }

  succeeded(): void {}

  failed(): void {}

  spend(): boolean {
    if (this.retriesLeft < 1) return false
    const i = this.#advance()
    this.#retries[i] = (this.#retries[i] ?? 0) + 1
    this.#totalRetries++
    return true
  }

  /** Forgets the slots that time has left behind and returns the index of the current one. */
  #advance(): number {
    const now = Math.floor(this.#clock.now() / this.#slotMs)
    const passed = Math.min(now - this.#slot, SLOTS) // negative if the clock went back: stay where we are
    for (let n = 1; n <= passed; n++) {
      const i = (this.#slot + n) % SLOTS
      this.#totalCalls -= this.#calls[i] ?? 0
      this.#totalRetries -= this.#retries[i] ?? 0
      this.#calls[i] = 0
      this.#retries[i] = 0
    }
    if (passed > 0) this.#slot = now
    return this.#slot % SLOTS
  }
}
