/** At most `max` holders at a time, at most `maxQueued` waiting, first come first served. */
export class Semaphore {
  readonly #max: number
  readonly #maxQueued: number
  readonly #waiting = new Set<() => void>()
  #held = 0

  constructor(max: number, maxQueued: number) {
    this.#max = max
    this.#maxQueued = maxQueued
  }

  /** Takes a place if one is free. */
  tryAcquire(): boolean {
    if (this.#held >= this.#max) return false
    this.#held++
    return true
  }

  /** Calls back with a place held, once. Returns what gives the wait up, or undefined if the queue is full. */
  wait(acquired: () => void): (() => void) | undefined {
    if (this.#waiting.size >= this.#maxQueued) return undefined
    const waiter = (): void => acquired()
    this.#waiting.add(waiter)
    return () => this.#waiting.delete(waiter)
  }

  release(): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      waiter() // the place changes hands
      return
    }
    this.#held--
  }
}
