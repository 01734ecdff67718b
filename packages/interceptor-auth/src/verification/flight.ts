import type { WallClock } from '@grpc-stack/grpc-core/authoring'
import { isThenable } from '@grpc-stack/grpc-core/authoring'
import type { Outcome } from './outcome.ts'
import type { Semaphore } from './semaphore.ts'

/** What a flight asks, and what it makes of the answer. None but `ask` may throw. */
export interface FlightPlan {
  /** Whose places it takes. */
  readonly address: string
  readonly ask: () => unknown
  readonly judge: (answer: unknown) => Outcome
  readonly failed: (error: unknown) => Outcome
  readonly unavailable: (why: string) => Outcome
  /** Told once, before the calls that wait. */
  readonly settled: (outcome: Outcome) => void
}

export interface FlightBounds {
  readonly places: Semaphore
  readonly clock: WallClock
  readonly timeoutMs: number
}

const ABANDONED: Outcome = Object.freeze({ refusal: 'cancelled' })

/**
 * One verification, for one call or several.
 *
 *     state       begins with      holds a place   ends with
 *     waiting     no place free    no              a place; its last call gone; its place in the queue lost; the timeout
 *     asking      a place          yes             the answer; the timeout. Calls may go, the verifier is at work
 *     settled     an outcome       no              never
 */
export class Flight {
  readonly #plan: FlightPlan
  readonly #bounds: FlightBounds
  readonly #calls = new Set<(outcome: Outcome) => void>()
  readonly #deadline: number
  #leaveQueue: (() => void) | undefined
  #askedAt: number | undefined
  #timer: unknown
  #outcome: Outcome | undefined

  constructor(plan: FlightPlan, bounds: FlightBounds) {
    this.#plan = plan
    this.#bounds = bounds
    this.#deadline = bounds.clock.now() + bounds.timeoutMs
  }

  /** When the verifier was asked; undefined as long as it was not. */
  get askedAt(): number | undefined {
    return this.#askedAt
  }

  /** The outcome if there is one at once. */
  start(): Outcome | undefined {
    const { places, clock, timeoutMs } = this.#bounds
    const { address, unavailable } = this.#plan
    if (places.tryAcquire(address)) this.#ask()
    else {
      this.#leaveQueue = places.wait(
        address,
        () => this.#ask(),
        () => this.#settle(unavailable('its place in the queue went to another address')),
      )
      if (this.#leaveQueue === undefined) this.#settle(unavailable('too many verifications are waiting'))
    }
    if (this.#outcome === undefined) {
      this.#timer = clock.setTimeout(
        () => this.#settle(unavailable(`no answer within ${timeoutMs} ms, waiting included`)),
        timeoutMs,
      )
    }
    return this.#outcome
  }

  /** Tells a call the outcome to come. Returns how the call leaves; what is left by all before it began never begins. */
  join(tell: (outcome: Outcome) => void): () => void {
    this.#calls.add(tell)
    return () => {
      this.#calls.delete(tell)
      if (this.#calls.size === 0 && this.#askedAt === undefined) this.#settle(ABANDONED)
    }
  }

  #ask(): void {
    const { clock } = this.#bounds
    const { ask, judge, failed, unavailable } = this.#plan
    this.#leaveQueue = undefined
    this.#askedAt = clock.now()
    if (this.#askedAt >= this.#deadline) {
      this.#settle(unavailable('no verification could start in time'))
      return
    }
    let answer: unknown
    try {
      answer = ask()
      if (!isThenable(answer)) {
        this.#settle(judge(answer))
        return
      }
    } catch (error) {
      this.#settle(failed(error))
      return
    }
    // Adopted, because the `then` of a foreign object may throw, call back twice or at once.
    Promise.resolve(answer).then(
      (value) => this.#settle(judge(value)),
      (error: unknown) => this.#settle(failed(error)),
    )
  }

  #settle(outcome: Outcome): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    const { clock, places } = this.#bounds
    const { address, settled } = this.#plan
    if (this.#timer !== undefined) clock.clearTimeout(this.#timer)
    this.#leaveQueue?.()
    settled(outcome)
    for (const tell of this.#calls) tell(outcome)
    this.#calls.clear()
    if (this.#askedAt !== undefined) places.release(address)
  }
}
