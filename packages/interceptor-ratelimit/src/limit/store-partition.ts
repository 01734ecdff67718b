import type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'

/** How a part of a store is, for health checks. */
export interface StorePartitionState {
  /** As the store calls it: the address of a master in a Redis Cluster. Empty for a store that is one whole. */
  readonly name: string
  readonly up: boolean
  /** Milliseconds that it is so. */
  readonly forMs: number
  /** What failed last, also if it answers again; undefined if nothing did. */
  readonly lastError: unknown
}

/** A part of a store is down after so many failures in a row, … */
const FAILURES = 5
/** … the first and the last of which are at least so far apart: a pause that calls side by side wait for is one event. */
const FAILURES_SPREAD_MS = 200
/** How long a part of a store is left alone at first: a connection that was lost is often back by then. */
const FIRST_RETRY_MS = 50

/**
 * Whether a part of a store is asked. One that is down is left alone for a while, so that it costs one call per while its
 * time and piles up nothing: 50 ms at first, doubled by each probe that fails, up to `retryMs`.
 *
 *     state    a call asks                      answered              failed or late
 *     up       the store                        up, none in a row     up; after 5 in a row over ≥ 200 ms: down, for 50 ms
 *     down     during the while: not the store
 *              after it: the store, → probing
 *     probing  not the store                    up                    down, for twice as long
 */
export class StorePartition {
  readonly name: string
  readonly #clock: MonotonicClock
  readonly #retryMs: number
  #state: 'up' | 'down' | 'probing' = 'up'
  #since: number
  #failuresInARow = 0
  #firstFailureAt = 0
  #downUntil = 0
  #downForMs = 0
  #lastError: unknown

  /** @param retryMs the longest that it is left alone */
  constructor(name: string, clock: MonotonicClock, retryMs: number) {
    this.name = name
    this.#clock = clock
    this.#retryMs = retryMs
    this.#since = clock.now()
  }

  get up(): boolean {
    return this.#state === 'up'
  }

  get lastError(): unknown {
    return this.#lastError
  }

  /** Whether the store may be asked: freely, to find out whether it is back, or not at all. */
  admit(): 'ask' | 'probe' | 'leave' {
    if (this.#state === 'up') return 'ask'
    if (this.#state === 'probing' || this.#clock.now() < this.#downUntil) return 'leave'
    this.#state = 'probing'
    return 'probe'
  }

  /** Milliseconds until it makes sense to call again. */
  retryMs(): number {
    const leftMs = this.up ? Math.min(FIRST_RETRY_MS, this.#retryMs) : this.#downUntil - this.#clock.now()
    return Math.max(1, Math.ceil(leftMs))
  }

  /** @returns whether it was down until now */
  answered(probe: boolean): boolean {
    if (this.#state === 'up') this.#failuresInARow = 0
    // Calls that were under way when it went down say nothing about now.
    if (!probe || this.#state !== 'probing') return false
    this.#become('up')
    return true
  }

  /** @returns whether there is something new to tell: it is down, or for another reason than before */
  failed(probe: boolean, error: unknown): boolean {
    if (this.#state !== (probe ? 'probing' : 'up')) return false
    const another = String(error) !== String(this.#lastError)
    this.#lastError = error
    if (!probe && !this.#isOutage()) return false
    this.#downForMs = Math.min(this.#retryMs, probe ? this.#downForMs * 2 : FIRST_RETRY_MS)
    this.#downUntil = this.#clock.now() + this.#downForMs
    if (probe) this.#state = 'down'
    else this.#become('down')
    return !probe || another
  }

  state(): StorePartitionState {
    const { name, up } = this
    return { name, up, forMs: this.#clock.now() - this.#since, lastError: this.#lastError }
  }

  #isOutage(): boolean {
    const now = this.#clock.now()
    if (this.#failuresInARow++ === 0) this.#firstFailureAt = now
    return this.#failuresInARow >= FAILURES && now - this.#firstFailureAt >= FAILURES_SPREAD_MS
  }

  #become(state: 'up' | 'down'): void {
    this.#state = state
    this.#since = this.#clock.now()
    this.#failuresInARow = 0
  }
}
