import type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'

interface Timer {
  readonly atMs: number
  readonly order: number
  callback: (() => void) | undefined
}

/** Time that passes only from one event to the next, in whole milliseconds: a minute of a fleet takes as long as its work does. */
export class SimulatedClock implements MonotonicClock {
  readonly kind = 'monotonic' as const
  readonly #heap: Timer[] = []
  #nowMs = 0
  #order = 0

  now(): number {
    return this.#nowMs
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const timer = { atMs: this.#nowMs + Math.max(0, Math.round(ms)), order: this.#order++, callback }
    this.#push(timer)
    return timer
  }

  clearTimeout(handle: unknown): void {
    if (handle !== undefined) (handle as Timer).callback = undefined
  }

  /** Runs all that is due up to `endMs`, and what follows from it. Promises of one millisecond go on before the next begins. */
  async run(endMs: number): Promise<void> {
    for (let next = this.#heap[0]; next !== undefined && next.atMs <= endMs; next = this.#heap[0]) {
      this.#nowMs = next.atMs
      for (let due: Timer | undefined = next; due !== undefined && due.atMs === this.#nowMs; due = this.#heap[0]) {
        this.#pop()
        due.callback?.()
      }
      await new Promise(setImmediate)
    }
    this.#nowMs = endMs
  }

  #push(timer: Timer): void {
    const heap = this.#heap
    let i = heap.length
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent]
      if (above === undefined || before(above, timer)) break
      heap[i] = above
      i = parent
    }
    heap[i] = timer
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      const [left, right] = [heap[child], heap[child + 1]]
      if (left === undefined) break
      if (right !== undefined && before(right, left)) child++
      const smaller = heap[child] as Timer
      if (before(last, smaller)) break
      heap[i] = smaller
      i = child
    }
    heap[i] = last
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
