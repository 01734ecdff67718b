import { status as Code } from '@grpc/grpc-js'
import type { Status } from '@grpc-stack/grpc-core'
import type { SimulatedClock } from './simulated-clock.ts'

/** What happens to the server. */
export interface Outage {
  /** `down`: connections are refused at once. `stalled`: it takes requests and works on none. */
  readonly kind: 'down' | 'stalled'
  readonly fromMs: number
  readonly toMs: number
  /** After it has been `down`, caches are cold: work takes up to `coldFactor` times as long, less from moment to moment. */
  readonly coldMs: number
  readonly coldFactor: number
}

/** Requests that the server works on at once, and how long one takes on average, exponentially distributed. */
export const WORKERS = 20
export const SERVICE_MS = 10
/** Requests a second that it can serve. */
export const CAPACITY = (WORKERS * 1000) / SERVICE_MS

const OK: Status = { code: Code.OK, details: '', origin: 'remote' }
const DOWN: Status = { code: Code.UNAVAILABLE, details: 'No connection established', origin: 'remote' }
/** Until a refused connection is noticed. */
const NOTICED_MS = 1

/**
 * A server without any protection, the case to be careful with: it queues what it cannot work on without a bound, first come,
 * first served, and works for callers that have left as well.
 */
export class SimulatedServer {
  readonly #clock: SimulatedClock
  readonly #random: () => number
  readonly #outage: Outage
  readonly #waiting: ((status: Status) => void)[] = []
  #head = 0
  #busy = 0
  received = 0

  constructor(clock: SimulatedClock, random: () => number, outage: Outage) {
    this.#clock = clock
    this.#random = random
    this.#outage = outage
    clock.setTimeout(() => this.#work(), outage.toMs)
  }

  get queued(): number {
    return this.#waiting.length - this.#head
  }

  /** @param answer is called once, in a later event */
  take(answer: (status: Status) => void): void {
    this.received++
    if (this.#outage.kind === 'down' && this.#inOutage) {
      this.#clock.setTimeout(() => answer(DOWN), NOTICED_MS)
      return
    }
    this.#waiting.push(answer)
    this.#work()
  }

  get #inOutage(): boolean {
    const now = this.#clock.now()
    return now >= this.#outage.fromMs && now < this.#outage.toMs
  }

  #work(): void {
    while (this.#busy < WORKERS && this.queued > 0 && !this.#inOutage) {
      const answer = this.#waiting[this.#head++] as (status: Status) => void
      if (this.#head > 4096) {
        this.#waiting.splice(0, this.#head)
        this.#head = 0
      }
      this.#busy++
      this.#clock.setTimeout(() => {
        this.#busy--
        answer(OK)
        this.#work()
      }, this.#serviceMs())
    }
  }

  #serviceMs(): number {
    const { kind, toMs, coldMs, coldFactor } = this.#outage
    const warm = (this.#clock.now() - toMs) / coldMs
    const factor = kind === 'down' && warm >= 0 && warm < 1 ? coldFactor - (coldFactor - 1) * warm : 1
    return -Math.log(1 - this.#random()) * SERVICE_MS * factor
  }
}
