import {
  integer,
  LruMap,
  type MonotonicClock,
  milliseconds,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import type { Decision } from '../stores/store.ts'
import { StoreFailure } from './guarded-limiter.ts'
import type { Limit } from './limit-options.ts'
import { idOf } from './refusal-memory.ts'

/** Calls of a busy caller that a process takes from the store at once. */
export interface LeaseOptions {
  /** How many, ≥ 2. They must fit into the burst of each limit. */
  readonly tokens: number
  /** How long the process may use them, in milliseconds. What is left then is lost to the caller. */
  readonly ms: number
}

const table = {
  tokens: integer({ min: 2, max: 1_000_000 }),
  ms: milliseconds({ above: 0 }),
} satisfies OptionTable<LeaseOptions>

/** @throws TypeError naming the option. */
export function resolveLease(where: string, options: LeaseOptions, limits: readonly Limit[]): LeaseOptions {
  const lease = readOptions(where, options, table, { show: quoted })
  for (const { name, cost, burst } of limits) {
    if (typeof cost !== 'number') {
      throw new TypeError(`${where}: needs costs that are numbers; that of limit "${name}" is a function`)
    }
    if (cost * lease.tokens > burst) {
      throw new TypeError(
        `${where}: option "tokens" ${lease.tokens} does not fit into the burst of limit "${name}", ${burst}`,
      )
    }
  }
  return lease
}

type Keys = readonly (string | undefined)[]
type Costs = readonly number[]
type Outcome = Decision | StoreFailure

/** What decides where there is no lease. */
export interface Asked {
  take(keys: Keys, costs: Costs, withinMs: number): Outcome | Promise<Outcome>
}

export interface LeasesSettings extends LeaseOptions {
  /** How long a decision may take. */
  readonly timeoutMs: number
  readonly clock: MonotonicClock
  onLeased(): void
}

interface Lease {
  readonly limits: Decision['limits']
  readonly untilMs: number
  left: number
}

interface Caller {
  /** Questions since a time that is at most `ms` ago. */
  asked: number
  sinceMs: number
  /** Near its limit: no leases until then. */
  exactUntilMs: number
  lease: Lease | undefined
  /** A lease that was asked for: why it failed, or undefined. */
  coming: Promise<StoreFailure | undefined> | undefined
}

const MAX_CALLERS = 10_000

/**
 * Takes calls of a busy caller from the store many at once, and lets them go on without asking. Of one caller, all calls cost the same.
 *
 *     a caller is      when                                               a call
 *     not busy         else                                               asks for itself
 *     busy             it asked more than `tokens` times in `ms`,         asks for `tokens` calls; calls of the same caller wait
 *                      or used up a lease in time                         for the answer instead of asking
 *     on a lease       there was enough, until used up or `ms` passed     does not ask
 *     near its limit   there was not enough, for `ms`                     asks for itself, so that the limit is exact
 *
 * A lease is charged before it is used, and used within `ms`: in any span of time a key is admitted at most
 * `burst + rate × (span + ms) ÷ perMs`. A process has one lease of a caller: at most n × `tokens` more than without leases.
 */
export class Leases {
  readonly #asked: Asked
  readonly #settings: LeasesSettings
  readonly #callers = new LruMap<string, Caller>(MAX_CALLERS)

  constructor(asked: Asked, settings: LeasesSettings) {
    this.#asked = asked
    this.#settings = settings
  }

  take(keys: Keys, costs: Costs): Outcome | Promise<Outcome> {
    const { clock, timeoutMs } = this.#settings
    return this.#take(this.#callerOf(keys), keys, costs, clock.now() + timeoutMs)
  }

  #take(caller: Caller, keys: Keys, costs: Costs, untilMs: number): Outcome | Promise<Outcome> {
    const now = this.#settings.clock.now()
    const leased = this.#fromLease(caller, now)
    if (leased !== undefined) return leased
    // What came meanwhile waits, too: the lease may be enough for all. For whom it is not, the next is asked for.
    const next = (failure: StoreFailure | undefined): Outcome | Promise<Outcome> =>
      failure ?? this.#take(caller, keys, costs, untilMs)
    if (caller.coming !== undefined) return caller.coming.then(next)
    const withinMs = Math.max(1, untilMs - now)
    if (!this.#isBusy(caller, now)) return this.#asked.take(keys, costs, withinMs)
    const answer = this.#asked.take(keys, this.#many(costs), withinMs)
    if (!(answer instanceof Promise)) return next(this.#received(caller, answer, now))
    caller.coming = answer.then((outcome) => this.#received(caller, outcome, now))
    return caller.coming.then(next)
  }

  #callerOf(keys: Keys): Caller {
    const id = idOf(keys)
    let caller = this.#callers.get(id)
    if (caller === undefined) {
      caller = { asked: 0, sinceMs: 0, exactUntilMs: 0, lease: undefined, coming: undefined }
      this.#callers.set(id, caller)
    }
    return caller
  }

  #fromLease({ lease }: Caller, now: number): Decision | undefined {
    if (lease === undefined || lease.left === 0 || now >= lease.untilMs) return undefined
    const left = --lease.left
    this.#settings.onLeased()
    return {
      admitted: true,
      limits: lease.limits.map((state) => state && { ...state, remaining: state.remaining + left }),
    }
  }

  #isBusy(caller: Caller, now: number): boolean {
    const { tokens, ms } = this.#settings
    const { lease } = caller
    caller.lease = undefined
    if (now < caller.exactUntilMs) return false
    if (lease?.left === 0 && now < lease.untilMs) return true
    if (lease !== undefined || now - caller.sinceMs > ms) {
      caller.asked = 0
      caller.sinceMs = now
    }
    return ++caller.asked > tokens
  }

  #many(costs: Costs): Costs {
    return costs.map((cost) => cost * this.#settings.tokens)
  }

  /** @param atMs when it was asked for, which is before it was charged */
  #received(caller: Caller, outcome: Outcome, atMs: number): StoreFailure | undefined {
    const { tokens, ms } = this.#settings
    caller.coming = undefined
    if (outcome instanceof StoreFailure) return outcome
    if (outcome.admitted) caller.lease = { limits: outcome.limits, untilMs: atMs + ms, left: tokens }
    else caller.exactUntilMs = atMs + ms
    return undefined
  }
}
