import { settle } from './gate.ts'

/** Time as the packages take it in their `clock` option. */
export interface Clock {
  /** Milliseconds; what the zero is does not matter. */
  now(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(handle: unknown): void
}

interface Timer {
  readonly due: number
  readonly order: number
  readonly callback: () => void
}

/**
 * A clock whose time passes when the test says so.
 *
 *     const clock = new FakeClock()
 *     const stub = server.client(retry({ clock }))
 *     stub.unary(request, callback)
 *     await clock.timerSet()        // the first attempt failed, the backoff has begun
 *     await clock.advance(100)      // it is over
 */
export class FakeClock implements Clock {
  #now: number
  #order = 0
  readonly #timers = new Map<unknown, Timer>()
  #watchers: (() => void)[] = []

  /** @param start the first value of `now()`, in milliseconds */
  constructor(start = 0) {
    this.#now = checked('start', start)
  }

  // Bound, so that a clock can be taken apart: `const { now } = clock`.
  readonly now = (): number => this.#now

  readonly setTimeout = (callback: () => void, ms: number): unknown => {
    if (typeof callback !== 'function') throw new TypeError('FakeClock.setTimeout: callback must be a function')
    const handle = { unref: () => handle, ref: () => handle, hasRef: () => true }
    const due = this.#now + Math.max(0, Number.isFinite(ms) ? ms : 0)
    this.#timers.set(handle, { due, order: this.#order++, callback })
    const watchers = this.#watchers
    this.#watchers = []
    for (const watcher of watchers) watcher()
    return handle
  }

  readonly clearTimeout = (handle: unknown): void => {
    this.#timers.delete(handle)
  }

  /** How many timers are waiting. Zero after a call has ended, or something outlived it. */
  get pending(): number {
    return this.#timers.size
  }

  /** Milliseconds until the next timer, or undefined when none waits. */
  get untilNext(): number | undefined {
    const next = this.#next(Number.POSITIVE_INFINITY)
    return next && next[1].due - this.#now
  }

  /** Resolves, once a timer waits, to the milliseconds until it is due. */
  async timerSet(): Promise<number> {
    while (this.untilNext === undefined) {
      await new Promise<void>((resolve) => {
        this.#watchers.push(resolve)
      })
    }
    return this.untilNext
  }

  /**
   * Lets time pass. Timers run in the order they are due, each at its own time, and what one sets in motion has some
   * turns of the event loop to settle before the next: a timer it sets within the span still runs.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + checked('ms', ms)
    await settle()
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      const [handle, timer] = next
      this.#timers.delete(handle)
      this.#now = Math.max(this.#now, timer.due)
      timer.callback()
      await settle()
    }
    this.#now = Math.max(this.#now, end)
  }

  /** Moves `now()` without running timers, backwards too: what a stepped or suspended clock does. */
  jump(ms: number): void {
    if (!Number.isFinite(ms)) throw new TypeError(`FakeClock.jump: ms must be a finite number, got ${ms}`)
    this.#now += ms
  }

  #next(until: number): [unknown, Timer] | undefined {
    let next: [unknown, Timer] | undefined
    for (const entry of this.#timers) {
      const [, { due, order }] = entry
      if (due > until) continue
      if (next === undefined || due < next[1].due || (due === next[1].due && order < next[1].order)) next = entry
    }
    return next
  }
}

function checked(name: string, ms: number): number {
  if (!Number.isFinite(ms) || ms < 0) throw new TypeError(`FakeClock: ${name} must be a number of ms ≥ 0, got ${ms}`)
  return ms
}
