import type { Call } from '@grpc-stack/grpc-core'
import { isThenable, quoted } from '@grpc-stack/grpc-core/authoring'
import { sameKey } from '../keys/key-traits.ts'
import { peerKey } from '../keys/keys.ts'
import { resolveKey } from '../keys/resolve-key.ts'
import { quotaOf } from '../quota/gcra.ts'
import { memoryStore } from '../stores/memory-store.ts'
import type { Decision, StoredLimit, SyncLimiter } from '../stores/store.ts'
import { GuardedLimiter, type StoreCounters, StoreFailure } from './guarded-limiter.ts'
import { type LeaseOptions, Leases } from './leases.ts'
import type { Limit } from './limit-options.ts'
import type { RateLimitSettings } from './rate-limit-options.ts'
import type { StoreHealth } from './store-health.ts'

/** What the deciders of one `rateLimit()` share. */
export interface Decided {
  readonly health: StoreHealth
  readonly counters: StoreCounters & { insured: number; leased: number }
}

/** Asks the store about calls under some limits, or the insurance in its place. */
export class Decider {
  readonly #limits: readonly Limit[]
  readonly #asked: Pick<GuardedLimiter, 'take'>
  readonly #insurance: SyncLimiter | undefined
  readonly #counters: Decided['counters']
  /** The costs, where they are the same for every call. */
  readonly #fixedCosts: readonly number[] | undefined

  constructor(
    limits: readonly Limit[],
    settings: RateLimitSettings,
    { health, counters }: Decided,
    lease?: LeaseOptions,
  ) {
    const { store, clock, onStoreError, insuranceShare } = settings
    this.#limits = limits
    this.#counters = counters
    const guarded = new GuardedLimiter(store.open(limits.map(stored)), {
      timeoutMs: settings.storeTimeoutMs,
      rememberRefusals: settings.rememberRefusals,
      clock,
      health,
      counters,
    })
    this.#asked =
      lease === undefined
        ? guarded
        : new Leases(guarded, {
            ...lease,
            timeoutMs: settings.storeTimeoutMs,
            clock,
            onLeased: () => {
              counters.leased++
            },
          })
    if (onStoreError === 'insurance') {
      this.#insurance = memoryStore({ clock }).open(
        limits.map((limit, i) => stored(shareOf(limit, insuranceShare), i, limits)),
      )
    }
    const fixed = limits.map(({ cost }) => cost).filter((cost) => typeof cost === 'number')
    this.#fixedCosts = fixed.length === limits.length ? fixed : undefined
  }

  /**
   * What this call counts against, limit by limit. An unregistered method counts against its peer: key functions are not asked,
   * since callers make up such paths, and a function that looks at the method would make a key of each.
   */
  keysOf(call: Call): (string | undefined)[] {
    if (!call.method.registered) return this.#limits.map(({ key }) => peerKey(key, call))
    const keys: (string | undefined)[] = []
    for (const limit of this.#limits) keys.push(resolveKey(limit.where, limit.key, call))
    return keys
  }

  costsOf(call: Call): readonly number[] {
    if (!call.method.registered) return this.#limits.map(() => 1)
    return (
      this.#fixedCosts ??
      this.#limits.map(({ name, cost }) => checkedCost(name, typeof cost === 'number' ? cost : cost(call)))
    )
  }

  decide(
    keys: readonly (string | undefined)[],
    costs: readonly number[],
  ): Decision | StoreFailure | Promise<Decision | StoreFailure> {
    const answer = this.#asked.take(keys, costs)
    if (answer instanceof StoreFailure) return this.#insured(answer, keys, costs)
    if (answer instanceof Promise) {
      return answer.then((late) => (late instanceof StoreFailure ? this.#insured(late, keys, costs) : late))
    }
    return answer
  }

  #insured(
    failure: StoreFailure,
    keys: readonly (string | undefined)[],
    costs: readonly number[],
  ): Decision | StoreFailure {
    if (this.#insurance === undefined) return failure
    this.#counters.insured++
    const decision = this.#insurance.take(keys, costs)
    // What is too much for a share of the limit may fit the whole one, when the store is back.
    const limits = decision.limits.map((state) =>
      state?.waitMs === Number.POSITIVE_INFINITY ? { ...state, waitMs: failure.retryMs } : state,
    )
    return { ...decision, limits }
  }
}

function stored({ name, quota, key }: Limit, _index: number, limits: readonly Limit[]): StoredLimit {
  return { name, quota, sameKeyAsFirst: sameKey(key, limits[0]?.key ?? key) }
}

function shareOf(limit: Limit, share: number): Limit {
  const { rate, perMs, burst } = limit
  const quota = quotaOf(rate * share, perMs, Math.max(1, burst * share))
  if (quota === undefined)
    throw new TypeError(`rateLimit: option "insuranceShare" ${share} is too small for "${limit.name}"`)
  return { ...limit, quota }
}

export function checkedCost(name: string, cost: unknown): number {
  if (typeof cost === 'number' && cost >= 0) return cost
  // A promise may reject later, which would end the process.
  if (isThenable(cost)) cost.then(undefined, () => undefined)
  throw new TypeError(`rateLimit: the cost of limit "${name}" must be a number ≥ 0, got ${quoted(cost)}`)
}
