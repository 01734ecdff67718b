import { createHash } from 'node:crypto'
import type { Call } from '@grpc-stack/grpc-core'
import { quotaOf } from './gcra.ts'
import { GuardedLimiter, StoreFailure } from './guarded-limiter.ts'
import { peerAddress, unlimited } from './keys.ts'
import type { Limit } from './limit-options.ts'
import { memoryStore } from './memory-store.ts'
import { show } from './option-checks.ts'
import type { RateLimitSettings } from './rate-limit-options.ts'
import type { Decision, Limiter, StoredLimit } from './store.ts'

export interface DeciderHooks {
  onStoreChange(up: boolean, error: unknown): void
  onInsured(): void
}

/** What the store says, or the insurance in its place, about calls under some limits. */
export class Decider {
  readonly #limits: readonly Limit[]
  readonly #guarded: GuardedLimiter
  readonly #insurance: Limiter | undefined
  readonly #hooks: DeciderHooks
  /** The costs, where they are the same for every call. */
  readonly #fixedCosts: readonly number[] | undefined

  constructor(limits: readonly Limit[], settings: RateLimitSettings, hooks: DeciderHooks) {
    const { store, clock, onStoreError, insuranceShare } = settings
    this.#limits = limits
    this.#hooks = hooks
    this.#guarded = new GuardedLimiter(store.open(limits.map(stored)), {
      timeoutMs: settings.storeTimeoutMs,
      retryMs: settings.storeRetryMs,
      clock,
      onChange: hooks.onStoreChange,
    })
    if (onStoreError === 'insurance') {
      this.#insurance = memoryStore({ clock }).open(
        limits.map((limit, i) => stored(shareOf(limit, insuranceShare), i, limits)),
      )
    }
    const fixed = limits.map(({ cost }) => cost).filter((cost) => typeof cost === 'number')
    this.#fixedCosts = fixed.length === limits.length ? fixed : undefined
  }

  /** Whom this call counts against, limit by limit. */
  keysOf(call: Call): (string | undefined)[] {
    const keys: (string | undefined)[] = []
    for (const limit of this.#limits) keys.push(keyOf(limit, call))
    return keys
  }

  costsOf(call: Call): readonly number[] {
    return (
      this.#fixedCosts ??
      this.#limits.map(({ name, cost }) => checkedCost(name, typeof cost === 'number' ? cost : cost(call)))
    )
  }

  decide(
    keys: readonly (string | undefined)[],
    costs: readonly number[],
  ): Decision | StoreFailure | Promise<Decision | StoreFailure> {
    const answer = this.#guarded.take(keys, costs)
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
  ): Decision | StoreFailure | Promise<Decision | StoreFailure> {
    if (this.#insurance === undefined) return failure
    this.#hooks.onInsured()
    return this.#insurance.take(keys, costs)
  }
}

function stored({ name, quota, key }: Limit, _index: number, limits: readonly Limit[]): StoredLimit {
  return { name, quota, sameKeyAsFirst: key === limits[0]?.key }
}

function shareOf(limit: Limit, share: number): Limit {
  const { rate, perMs, burst } = limit
  const quota = quotaOf(rate * share, perMs, Math.max(1, burst * share))
  if (quota === undefined)
    throw new TypeError(`rateLimit: option "insuranceShare" ${share} is too small for "${limit.name}"`)
  return { ...limit, quota }
}

/** Longer keys are kept as their digest: a caller may choose what goes into one. */
const LONGEST_KEY = 128

function keyOf(limit: Limit, call: Call): string | undefined {
  const key: unknown = limit.key(call)
  if (typeof key === 'string' && key !== '') {
    return key.length <= LONGEST_KEY ? key : `sha256:${createHash('sha256').update(key).digest('base64url')}`
  }
  if (key === unlimited) return undefined
  // The prefix is one no header can hold, so nobody can name himself like the peer of somebody else.
  if (key === undefined || key === '') return `\0peer=${peerAddress(call)}`
  throw new TypeError(`rateLimit: the key of limit "${limit.name}" must be a string, got ${show(key)}`)
}

export function checkedCost(name: string, cost: unknown): number {
  if (typeof cost === 'number' && cost >= 0) return cost
  throw new TypeError(`rateLimit: the cost of limit "${name}" must be a number ≥ 0, got ${show(cost)}`)
}
