import { status as Code } from '@grpc/grpc-js'

const SLOTS = 10
const SLOT_MS = 1000
const FEWEST_CALLS = 20
const OPEN_MS = 1000
const LONGEST_OPEN_MS = 60_000
const PROBES = 3

/**
 * Refuses while half of at least 20 calls of the last ten seconds have failed. After a second, longer each time, three probes go out:
 * when all have succeeded it closes, and when one fails it opens again.
 */
export class Circuit {
  readonly #calls = new Uint32Array(SLOTS)
  readonly #failures = new Uint32Array(SLOTS)
  #total = 0
  #failed = 0
  #slot = 0
  #state: 'closed' | 'open' | 'half-open' = 'closed'
  #openings = 0
  #openUntil = 0
  #probes = 0
  #successes = 0
  /** A verdict counts in the state that let its call through. */
  #generation = 0

  /** The right to make one call, to be given back with what came of it; undefined: refused. */
  enter(): number | undefined {
    if (this.#state === 'closed') return this.#generation
    if (this.#state === 'open') {
      if (performance.now() < this.#openUntil) return undefined
      this.#become('half-open')
    }
    if (this.#probes >= PROBES) return undefined
    this.#probes++
    return this.#generation
  }

  record(permit: number, code: Code): void {
    if (permit !== this.#generation) return
    // These are the caller's own doing.
    const silent = code === Code.CANCELLED || code === Code.RESOURCE_EXHAUSTED || code === Code.UNIMPLEMENTED
    if (this.#state === 'half-open') this.#probes--
    if (silent) return
    const failed =
      code === Code.UNAVAILABLE ||
      code === Code.INTERNAL ||
      code === Code.UNKNOWN ||
      code === Code.DATA_LOSS ||
      code === Code.DEADLINE_EXCEEDED
    if (this.#state === 'closed') {
      this.#count(failed)
      if (this.#total >= FEWEST_CALLS && this.#failed * 2 >= this.#total) this.#open()
    } else if (failed) this.#open()
    else if (++this.#successes === PROBES) {
      this.#openings = 0
      this.#forget(SLOTS)
      this.#become('closed')
    }
  }

  #count(failed: boolean): void {
    const slot = Math.floor(performance.now() / SLOT_MS)
    this.#forget(Math.min(slot - this.#slot, SLOTS), slot)
    const i = slot % SLOTS
    this.#calls[i] = (this.#calls[i] ?? 0) + 1
    this.#total++
    if (!failed) return
    this.#failures[i] = (this.#failures[i] ?? 0) + 1
    this.#failed++
  }

  #forget(slots: number, now: number = this.#slot): void {
    for (let n = 0; n < slots; n++) {
      const i = (now - n + SLOTS) % SLOTS
      this.#total -= this.#calls[i] ?? 0
      this.#failed -= this.#failures[i] ?? 0
      this.#calls[i] = this.#failures[i] = 0
    }
    this.#slot = now
  }

  #open(): void {
    const openMs = Math.min(LONGEST_OPEN_MS, OPEN_MS * 1.6 ** this.#openings++)
    this.#openUntil = performance.now() + openMs * (1 - 0.2 * Math.random())
    this.#become('open')
  }

  #become(state: 'closed' | 'open' | 'half-open'): void {
    this.#state = state
    this.#generation++
    this.#probes = this.#successes = 0
  }
}
