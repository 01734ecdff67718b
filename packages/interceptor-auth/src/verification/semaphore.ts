import { inThisContext } from '@grpc-stack/grpc-core/authoring'
import { FairQueue } from './fair-queue.ts'

interface Waiter {
  readonly acquired: () => void
  readonly evicted: () => void
}

// A key that holds three quarters of what the others leave gets no more: some place is always free for a new key, and four
// keys do not need a setting of their own to share. (Choudhury and Hahne, dynamic queue length thresholds.)
const SHARE = 3

/**
 * At most `max` holders at a time, each under a key, at most `maxQueued` waiting. No key takes all places, and keys that wait
 * get places in turn.
 */
export class Semaphore {
  readonly #max: number
  readonly #queue: FairQueue<Waiter>
  readonly #heldBy = new Map<string, number>()
  #held = 0
  #serving = false

  constructor(max: number, maxQueued: number) {
    this.#max = max
    this.#queue = new FairQueue(maxQueued, (waiter) => waiter.evicted())
  }

  /** Takes a place if the key may have one. */
  tryAcquire(key: string): boolean {
    if (!this.#mayAcquire(key)) return false
    this.#take(key)
    return true
  }

  /**
   * Calls back with a place held, once, in the context in which the wait began; or `evicted`, when the place in the queue
   * went to another key. Returns what gives the wait up, or undefined if the queue is full.
   */
  wait(key: string, acquired: () => void, evicted: () => void): (() => void) | undefined {
    // Places are given on in the event of the holder that gives one back, whose context is not the waiter's.
    const waiter = { acquired: inThisContext(acquired), evicted }
    return this.#queue.add(key, waiter) ? () => this.#queue.delete(key, waiter) : undefined
  }

  release(key: string): void {
    this.#held--
    const left = (this.#heldBy.get(key) ?? 1) - 1
    if (left === 0) this.#heldBy.delete(key)
    else this.#heldBy.set(key, left)
    this.#serve()
  }

  #mayAcquire = (key: string): boolean => {
    const free = this.#max - this.#held
    return free > 0 && (this.#heldBy.get(key) ?? 0) < SHARE * free
  }

  #take(key: string): void {
    this.#held++
    this.#heldBy.set(key, (this.#heldBy.get(key) ?? 0) + 1)
  }

  /** A loop: a waiter that gives its place back at once must not serve the next one from within. */
  #serve(): void {
    if (this.#serving) return
    this.#serving = true
    try {
      for (let next = this.#queue.shift(this.#mayAcquire); next; next = this.#queue.shift(this.#mayAcquire)) {
        this.#take(next.key)
        next.item.acquired()
      }
    } finally {
      this.#serving = false
    }
  }
}
