import { isThenable, type MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { Decision, Limiter } from '../stores/store.ts'

export interface GuardOptions {
  readonly timeoutMs: number
  readonly retryMs: number
  readonly clock: MonotonicClock
  /** The store stopped answering, or answers again. */
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

/**
 * Bounds what a store can do to an RPC: no answer takes longer than the timeout, no error escapes, and a store that
 * fails is left alone for a while, so that a dead one costs one call in `retryMs` its time and piles up nothing.
 *
 *     state    asked                          answered in time    failed or late
 *     up       the store                      up                  down
 *     down     before retryMs: nobody
 *              after: the store, → probing
 *     probing  nobody                         up                  down
 */
export class GuardedLimiter {
  readonly #limiter: Limiter
  readonly #options: GuardOptions
  #state: 'up' | 'down' | 'probing' = 'up'
  #downUntil = 0
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
        setImmediate(() => settle(() => this.#failed(new Error(`no answer within ${timeoutMs} ms`), probing)))
      }, timeoutMs)
      answer.then(
        (decision) => settle(() => this.#judge(decision, count, probing)),
        (error: unknown) => settle(() => this.#failed(error, probing)),
      )
    })
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
      this.#downUntil = clock.now() + retryMs
      this.#cause = error
      if (!probing) onChange(false, error)
    }
    return new StoreFailure(Math.max(1, Math.ceil(this.#downUntil - clock.now())), error)
  }
}

function isDecision(value: unknown, count: number): value is Decision {
  const decision = value as Decision | null | undefined
  return typeof decision?.admitted === 'boolean' && decision.limits?.length === count
}
