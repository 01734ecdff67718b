import { isThenable, type MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { Decision, Limiter } from '../stores/store.ts'
import { RefusalMemory } from './refusal-memory.ts'
import type { StoreHealth } from './store-health.ts'
import type { StorePartition } from './store-partition.ts'

export interface GuardOptions {
  readonly timeoutMs: number
  /** Refuse again, without asking, whom the store has refused until a later time. */
  readonly rememberRefusals: boolean
  readonly clock: MonotonicClock
  /** Shared by all limiters on the same store. */
  readonly health: StoreHealth
  readonly counters: StoreCounters
}

/** What a store outside of this process did, since construction. */
export interface StoreCounters {
  /** Answers in time. */
  storeAnswers: number
  /** Milliseconds that these took, together. */
  storeAnswersMs: number
  /** Questions without an answer in time. */
  storeLate: number
  /** Questions answered by an error. */
  storeErrors: number
  /** Calls refused without asking, since the store had refused the same until a later time. */
  remembered: number
  /** Questions not put, since that part of the store was down. */
  storeLeftAlone: number
}

/** The store did not decide. */
export class StoreFailure {
  /** Milliseconds until it makes sense to ask the store again. */
  readonly retryMs: number
  readonly cause: unknown

  constructor(retryMs: number, cause: unknown) {
    this.retryMs = retryMs
    this.cause = cause
  }
}

/** One question to the store. */
interface Asked {
  readonly keys: readonly (string | undefined)[]
  readonly partition: StorePartition
  readonly probe: boolean
}

/**
 * Bounds what a store can do to an RPC: no answer takes longer than the timeout, no error escapes, and a part of the store
 * that is down is left alone for a while (`StorePartition`).
 */
export class GuardedLimiter {
  readonly #limiter: Limiter
  readonly #options: GuardOptions
  readonly #refusals = new RefusalMemory()

  constructor(limiter: Limiter, options: GuardOptions) {
    this.#limiter = limiter
    this.#options = options
  }

  take(
    keys: readonly (string | undefined)[],
    costs: readonly number[],
    withinMs: number = this.#options.timeoutMs,
  ): Decision | StoreFailure | Promise<Decision | StoreFailure> {
    const { health, counters, clock } = this.#options
    const remembered = this.#refusals.recall(keys, costs, clock)
    if (remembered !== undefined) {
      counters.remembered++
      return remembered
    }
    const partition = health.partitionFor(this.#limiter, keys)
    const admitted = partition.admit()
    if (admitted === 'leave') {
      counters.storeLeftAlone++
      return new StoreFailure(partition.retryMs(), partition.lastError)
    }
    const asked: Asked = { keys, partition, probe: admitted === 'probe' }
    let answer: Decision | Promise<Decision>
    try {
      answer = this.#limiter.take(keys, costs, withinMs)
    } catch (error) {
      return this.#erred(asked, error)
    }
    return isThenable(answer) ? this.#bounded(asked, costs, answer, withinMs) : this.#judge(asked, answer)
  }

  #bounded(
    asked: Asked,
    costs: readonly number[],
    answer: PromiseLike<Decision>,
    withinMs: number,
  ): Promise<Decision | StoreFailure> {
    const { clock, counters, rememberRefusals } = this.#options
    const begin = clock.now()
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
        setImmediate(() => settle(() => this.#late(asked)))
      }, withinMs)
      answer.then(
        (decision) =>
          settle(() => {
            counters.storeAnswers++
            counters.storeAnswersMs += clock.now() - begin
            const outcome = this.#judge(asked, decision)
            if (rememberRefusals && !(outcome instanceof StoreFailure) && !outcome.admitted) {
              this.#refusals.remember(asked.keys, costs, outcome, begin)
            }
            return outcome
          }),
        (error: unknown) => settle(() => this.#erred(asked, error)),
      )
    })
  }

  #judge(asked: Asked, answer: unknown): Decision | StoreFailure {
    if (!isDecision(answer, asked.keys.length)) return this.#erred(asked, new Error('the answer is no decision'))
    this.#options.health.answered(asked.partition, asked.probe)
    return answer
  }

  #late(asked: Asked): StoreFailure {
    this.#options.counters.storeLate++
    const why = this.#limiter.whyLate?.(asked.keys)
    const text = `no answer within ${this.#options.timeoutMs} ms${why === undefined ? '' : `: ${why}`}`
    return this.#failed(asked, new Error(text))
  }

  #erred(asked: Asked, error: unknown): StoreFailure {
    const { counters, health } = this.#options
    counters.storeErrors++
    if (this.#limiter.concernsKeyOnly?.(error) !== true) return this.#failed(asked, error)
    health.answered(asked.partition, asked.probe)
    return new StoreFailure(asked.partition.retryMs(), error)
  }

  #failed({ keys, partition, probe }: Asked, error: unknown): StoreFailure {
    this.#options.health.failed(partition, probe, error, this.#limiter, keys)
    return new StoreFailure(partition.retryMs(), error)
  }
}

function isDecision(value: unknown, count: number): value is Decision {
  const decision = value as Decision | null | undefined
  return typeof decision?.admitted === 'boolean' && decision.limits?.length === count
}
