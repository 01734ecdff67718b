import { status as Code } from '@grpc/grpc-js'
import { type Clock, systemClock } from './clock.ts'
import { LIMIT_NAMES, type Limit, type LimitOptions, resolveLimit } from './limit-options.ts'
import { type MemoryStoreOptions, memoryStore } from './memory-store.ts'
import { type MessageLimit, type PerMessageOptions, resolvePerMessage } from './message-limit.ts'
import {
  checkBoolean,
  checkClock,
  checkNames,
  checkNumber,
  checkOneOf,
  checkPositive,
  invalid,
} from './option-checks.ts'
import type { Store } from './store.ts'

/** Options of `rateLimit()`: one limit, or several as `limits`, and what they have in common. */
export interface RateLimitOptions extends Partial<LimitOptions> {
  /** Several limits instead of one. A call is charged to all of them or, if one refuses, to none. */
  readonly limits?: readonly LimitOptions[]
  /**
   * Where the counters live. Default: `memoryStore()`, one per `rateLimit()`. Limits on a store given here may share it with
   * others, so those with a `key` need a `name`.
   */
  readonly store?: Store
  /**
   * What to do while the store does not answer. `refuse`, the default: calls end UNAVAILABLE, since a limit that cannot be
   * checked is not kept. `insurance`: a limiter in this process, of the same numbers times `insuranceShare`, decides.
   */
  readonly onStoreError?: 'insurance' | 'refuse'
  /** How long a decision may take, in milliseconds. Default: 50, many times what Redis needs in the same network. */
  readonly storeTimeoutMs?: number
  /**
   * How long a store that failed is left alone before one call tries it again, in milliseconds. Default: 1000: short
   * beside an outage, and a dead store costs one call per second its time.
   */
  readonly storeRetryMs?: number
  /**
   * The part of each limit that the insurance grants, over 0 and up to 1. Default: 1. With n processes behind one limit,
   * 1/n keeps their sum within it during an outage; each key must then spread over all of them.
   */
  readonly insuranceShare?: number
  /**
   * A limit of its own for the request messages of streams, with the key of the first limit. The message that breaks
   * it ends the stream. Default: none; a stream counts as one call.
   */
  readonly perMessage?: PerMessageOptions
  /** Decide, count and tell, but let everything through: for trying out numbers in production. Default: false. */
  readonly shadow?: boolean
  /** Tell callers where they stand, in `ratelimit-policy` and `ratelimit` response headers (server). Default: false. */
  readonly headers?: boolean
  /** Code of refusals. Default: RESOURCE_EXHAUSTED, as gRPC defines it. UNAVAILABLE is what Envoy answers by default. */
  readonly code?: Code
  /** `ErrorInfo.domain`: who refused. Default: `grpc-stack`. */
  readonly domain?: string
  /** `maxKeys` of the default store. */
  readonly maxKeys?: number
  /** Time of the default store, the insurance and the timeouts. Default: monotonic time. */
  readonly clock?: Clock
}

/** Options ready for use. */
export interface RateLimitSettings {
  readonly limits: readonly Limit[]
  readonly store: Store
  readonly clock: Clock
  readonly onStoreError: 'insurance' | 'refuse'
  readonly storeTimeoutMs: number
  readonly storeRetryMs: number
  readonly insuranceShare: number
  readonly perMessage: MessageLimit | undefined
  readonly shadow: boolean
  readonly headers: boolean
  readonly code: Code
  readonly domain: string
}

const OWN_NAMES = [
  'limits',
  'store',
  'onStoreError',
  'storeTimeoutMs',
  'storeRetryMs',
  'insuranceShare',
  'perMessage',
  'shadow',
  'headers',
  'code',
  'domain',
  'maxKeys',
  'clock',
]

/** @throws TypeError naming the option. */
export function resolveRateLimit(options: RateLimitOptions): RateLimitSettings {
  const where = 'rateLimit'
  checkNames(where, options, [...LIMIT_NAMES, ...OWN_NAMES])
  const { onStoreError = 'refuse', storeTimeoutMs = 50, storeRetryMs = 1000, insuranceShare = 1 } = options
  const { code = Code.RESOURCE_EXHAUSTED, domain = 'grpc-stack', clock = systemClock, maxKeys } = options
  checkOneOf(where, 'onStoreError', onStoreError, ['insurance', 'refuse'])
  checkPositive(where, 'storeTimeoutMs', storeTimeoutMs)
  checkPositive(where, 'storeRetryMs', storeRetryMs)
  checkNumber(where, 'insuranceShare', insuranceShare, 'a number over 0 and up to 1', (n) => n > 0 && n <= 1)
  checkNumber(where, 'code', code, 'a status code from 1 to 16', (n) => Number.isInteger(n) && n >= 1 && n <= 16)
  checkClock(where, clock)
  if (typeof domain !== 'string' || domain === '') throw invalid(where, 'domain', 'a non-empty string', domain)
  const limits = resolveLimits(where, options)
  return {
    limits,
    store: resolveStore(where, options.store, { clock, ...(maxKeys !== undefined && { maxKeys }) }),
    clock,
    onStoreError,
    storeTimeoutMs,
    storeRetryMs,
    insuranceShare,
    perMessage: options.perMessage && resolvePerMessage(`${where}: perMessage`, options.perMessage, limits),
    shadow: checkBoolean(where, 'shadow', options.shadow),
    headers: checkBoolean(where, 'headers', options.headers),
    code,
    domain,
  }
}

function resolveLimits(where: string, options: RateLimitOptions): readonly Limit[] {
  if (options.limits === undefined) {
    const { rate, perMs, burst, key, cost, name, subject } = options
    // An option set to undefined is an option not set; resolveLimit checks the rest, `rate` included.
    const one = { rate, perMs, burst, key, cost, name, subject } as LimitOptions
    checkNamed(where, one, options.store)
    return [resolveLimit(where, one)]
  }
  const both = LIMIT_NAMES.find((name) => options[name as keyof LimitOptions] !== undefined)
  if (both !== undefined) throw new TypeError(`${where}: options "limits" and "${both}" exclude each other`)
  if (!Array.isArray(options.limits) || options.limits.length === 0) {
    throw invalid(where, 'limits', 'a list of at least one limit', options.limits)
  }
  const limits = options.limits.map((one: LimitOptions, i) => {
    const limit = resolveLimit(`${where}: limits[${i}]`, one)
    checkNamed(`${where}: limits[${i}]`, one, options.store)
    return limit
  })
  const twice = limits.find(({ name }, i) => limits.findIndex((other) => other.name === name) < i)
  if (twice !== undefined) throw new TypeError(`${where}: two limits have the name "${twice.name}"; give one another`)
  return limits
}

/** The default name tells the numbers only, and what a key stands for is not to be seen in it. */
function checkNamed(where: string, { key, name }: LimitOptions, store: Store | undefined): void {
  if (store === undefined || key === undefined || name !== undefined) return
  throw new TypeError(
    `${where}: option "name" is needed beside "key" and "store": limits of one name on one store share their counters, ` +
      'and the default name is the same for all with these numbers; write one such as "per-tenant"',
  )
}

function resolveStore(where: string, store: Store | undefined, options: MemoryStoreOptions): Store {
  if (store === undefined) return memoryStore(options)
  if (options.maxKeys !== undefined) {
    throw new TypeError(`${where}: option "maxKeys" belongs to the default store; give it to the store`)
  }
  if (typeof store?.open !== 'function') throw invalid(where, 'store', 'a store, such as memoryStore()', store)
  return store
}
