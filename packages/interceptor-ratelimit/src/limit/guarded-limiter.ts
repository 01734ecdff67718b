import { isThenable, type MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { Decision, Limiter } from '../stores/store.ts'

export interface GuardOptions {
  readonly timeoutMs: number
  /** The longest that a store that failed is left alone. */
  readonly retryMs: number
  readonly clock: MonotonicClock
  /** The store stopped answering, does not answer for another reason than before, or answers again. */
  onChange(up: boolean, error: unknown): void
}

/** The store did not decide. */
export class StoreFailure {
  /** Milliseconds until the store is asked again. */
  readonly retryMs: number
  readonly cause: unknown

  constructor(retryMs: number, cause: unknown) {
    this.retryMs = retryMs
    this.cause = cause
  }
}

/** How long a store is left alone after its first failure: a connection that was lost is often back by then. */
const FIRST_RETRY_MS = 50

/**
 * Bounds what a store can do to an RPC: no answer takes longer than the timeout, no error escapes, and a store that
 * fails is left alone for a while, so that a dead one costs one call in `retryMs` its time and piles up nothing. The
 * while is 50 ms at first, so that a blip is no outage, and doubles with each probe that fails, up to `retryMs`.
 *
 *     state    a call asks                      answered in time    failed or late
 *     up       the store                        up                  down, for 50 ms
 *     down     during the while: not the store
 *              after it: the store, → probing
 *     probing  not the store                    up                  down, for twice as long
 */
export class GuardedLimiter {
  readonly #limiter: Limiter
  readonly #options: GuardOptions
  #state: 'up' | 'down' | 'probing' = 'up'
  #downUntil = 0
  #downForMs = 0
  #cause: unknown

  constructor(limiter: Limiter, options: GuardOptions) {
    this.#limiter = limiter
    this.#options = options
  }

  take(
    keys: readonly (string | undefined)[],
    costs: readonly number[],
  ): Decision | StoreFailure | Promise<Decision | StoreFailure> {
    const probing = this.#state !== 'up'
    if (probing) {
      const left = this.#downUntil - this.#options.clock.now()
      if (this.#state === 'probing' || left > 0) return new StoreFailure(Math.max(1, Math.ceil(left)), this.#cause)
      this.#state = 'probing'
    }
    let answer: Decision | Promise<Decision>
    try {
      answer = this.#limiter.take(keys, costs)
    } catch (error) {
      return this.#failed(error, probing)
    }
    if (!isThenable(answer)) return this.#judge(answer, keys.length, probing)
    return this.#bounded(answer, keys.length, probing)
  }

  #bounded(answer: PromiseLike<Decision>, count: number, probing: boolean): Promise<Decision | StoreFailure> {
    const { clock, timeoutMs } = this.#options
    return new Promise((resolve) => {
      let settled = false
      const settle = (outcome: () => Decision | StoreFailure): void => {
        if (settled) return
        settled = true
        clock.clearTimeout(timer)
        resolve(outcome())
      }
      const timer = clock.setTimeout(() => {
        // An answer that waits in the socket while this process was busy is in time: let it be read first.
        setImmediate(() => settle(() => this.#failed(this.#late(), probing)))
      }, timeoutMs)
      answer.then(
        (decision) => settle(() => this.#judge(decision, count, probing)),
        (error: unknown) => settle(() => this.#failed(error, probing)),
      )
    })
  }

  #late(): Error {
    const why = this.#limiter.whyLate?.()
    return new Error(`no answer within ${this.#options.timeoutMs} ms${why === undefined ? '' : `: ${why}`}`)
  }

  #judge(answer: unknown, count: number, probing: boolean): Decision | StoreFailure {
    if (!isDecision(answer, count)) return this.#failed(new Error('the answer is no decision'), probing)
    if (probing && this.#state === 'probing') {
      this.#state = 'up'
      this.#cause = undefined
      this.#options.onChange(true, undefined)
    }
    return answer
  }

  #failed(error: unknown, probing: boolean): StoreFailure {
    const { clock, retryMs, onChange } = this.#options
    // Calls that were under way when the store went down say nothing new.
    if (this.#state === (probing ? 'probing' : 'up')) {
      this.#state = 'down'
      this.#downForMs = Math.min(retryMs, probing ? this.#downForMs * 2 : FIRST_RETRY_MS)
      this.#downUntil = clock.now() + this.#downForMs
      const news = !probing || String(error) !== String(this.#cause)
      this.#cause = error
      if (news) onChange(false, error)
    }
    return new StoreFailure(Math.max(1, Math.ceil(this.#downUntil - clock.now())), error)
  }
}

function isDecision(value: unknown, count: number): value is Decision {
  const decision = value as Decision | null | undefined
  return typeof decision?.admitted === 'boolean' && decision.limits?.length === count
}
