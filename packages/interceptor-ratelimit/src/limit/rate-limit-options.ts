import { status as Code } from '@grpc/grpc-js'
import {
  accepts,
  anything,
  flag,
  listOf,
  type MonotonicClock,
  milliseconds,
  monotonicClock,
  number,
  type OptionTable,
  oneOf,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { refusalCode } from '../admission/refusal-code.ts'
import { type MemoryStoreOptions, memoryStore } from '../stores/memory-store.ts'
import type { Store } from '../stores/store.ts'
import { type LeaseOptions, resolveLease } from './leases.ts'
import { LIMIT_NAMES, type Limit, type LimitOptions, resolveLimit } from './limit-options.ts'
import { type MessageLimit, type PerMessageOptions, resolvePerMessage } from './message-limit.ts'

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
   * The longest that a store that is down is left alone before one call tries it again, in milliseconds. A store, or the part
   * of a store that a key leads to, is down after 5 failures in a row over at least 200 ms. It is left alone for 50 ms at first,
   * since a lost connection is often back by then, and twice as long after each failure. Default: 1000: short beside an outage,
   * and a dead store costs one call per second its time.
   */
  readonly storeRetryMs?: number
  /**
   * The part of each limit that the insurance grants, over 0 and up to 1. Default: 1, with a warning where other processes use
   * the store, too: n processes then grant n times the limit. 1/n keeps their sum within it during an outage; each key must
   * then spread over all of them.
   */
  readonly insuranceShare?: number
  /**
   * Refuse a caller again, without asking the store, until the time that its last refusal named, for a second at most. A caller
   * far over its limit then costs no round trips. It concerns stores outside of this process only. Default: true: until then
   * the store would say the same, unless what the caller owes is deleted there.
   */
  readonly rememberRefusals?: boolean
  /**
   * Take so many calls of a busy caller from the store at once, and let them go on without asking. Default: none, each call asks.
   * In any span of time a key is then admitted at most `burst + rate × (span + ms) ÷ perMs`, and n processes admit at most
   * n × `tokens` more than without leases. A caller that stops loses what is left of its lease. Needs costs that are numbers.
   */
  readonly lease?: LeaseOptions
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
  readonly clock?: MonotonicClock
}

/** Options ready for use. */
export interface RateLimitSettings {
  readonly limits: readonly Limit[]
  readonly store: Store
  readonly clock: MonotonicClock
  readonly onStoreError: 'insurance' | 'refuse'
  readonly storeTimeoutMs: number
  readonly storeRetryMs: number
  readonly insuranceShare: number
  readonly rememberRefusals: boolean
  readonly lease: LeaseOptions | undefined
  readonly perMessage: MessageLimit | undefined
  readonly shadow: boolean
  readonly headers: boolean
  readonly code: Code
  readonly domain: string
}

const WHERE = 'rateLimit'

/** Read later, by the limit or the store that it belongs to. */
const passedOn = anything().optional()

const table = {
  rate: passedOn,
  perMs: passedOn,
  burst: passedOn,
  key: passedOn,
  cost: passedOn,
  name: passedOn,
  subject: passedOn,
  limits: listOf(passedOn, { min: 1, expected: 'a list of at least one limit' })
    .optional()
    .refusingUndefined('leave it out where there is one limit'),
  store: accepts('a store, such as memoryStore()', isStore)
    .optional()
    .refusingUndefined('leave it out for counters of this process alone'),
  onStoreError: oneOf('insurance', 'refuse').default('refuse'),
  storeTimeoutMs: milliseconds({ above: 0 }).default(50),
  storeRetryMs: milliseconds({ above: 0 }).default(1000),
  insuranceShare: number({ above: 0, max: 1 }).default(1).refusingUndefined('leave it out to grant the whole limit'),
  rememberRefusals: flag().default(true),
  lease: passedOn.expecting('{ tokens, ms }').refusingUndefined('leave it out to ask about each call'),
  perMessage: passedOn.expecting('a limit of messages').refusingUndefined('leave it out to count a stream as one call'),
  shadow: flag().default(false),
  headers: flag().default(false),
  code: refusalCode.default(Code.RESOURCE_EXHAUSTED),
  domain: text().default('grpc-stack'),
  maxKeys: passedOn,
  clock: monotonicClock(),
} satisfies OptionTable<RateLimitOptions>

/** @throws TypeError naming the option. */
export function resolveRateLimit(options: RateLimitOptions): RateLimitSettings {
  const read = readOptions(WHERE, options, table, { show: quoted })
  const { store, onStoreError, storeTimeoutMs, storeRetryMs, insuranceShare, rememberRefusals } = read
  const { shadow, headers, code, domain, clock } = read
  const limits = resolveLimits(WHERE, options)
  const { maxKeys, perMessage, lease } = options
  if (onStoreError === 'insurance' && store?.shared === true && options.insuranceShare === undefined) {
    warnOfShares(limits)
  }
  return {
    limits,
    store: resolveStore(WHERE, store, { clock, ...(maxKeys !== undefined && { maxKeys }) }),
    clock,
    onStoreError,
    storeTimeoutMs,
    storeRetryMs,
    insuranceShare,
    rememberRefusals,
    lease: lease === undefined ? undefined : resolveLease(`${WHERE}: lease`, lease, limits),
    perMessage: perMessage === undefined ? undefined : resolvePerMessage(`${WHERE}: perMessage`, perMessage, limits),
    shadow,
    headers,
    code,
    domain,
  }
}

function warnOfShares(limits: readonly Limit[]): void {
  process.emitWarning(
    `rateLimit: while the store does not answer, each process grants the whole of ${limits.map(({ name }) => `"${name}"`).join(', ')}, ` +
      'so n processes grant n times that. Write insuranceShare: 1 / n, or insuranceShare: 1 if it is meant so',
    { type: 'GrpcStackWarning', code: 'GRPC_STACK_INSURANCE_SHARE' },
  )
}

function resolveLimits(where: string, options: RateLimitOptions): readonly Limit[] {
  if (options.limits === undefined) {
    const given = LIMIT_NAMES.filter((name) => name in options)
    // resolveLimit checks it, `rate` included. What is written out and undefined must stay so.
    const one = Object.fromEntries(given.map((name) => [name, options[name as keyof LimitOptions]])) as unknown
    return [resolveOne(where, one as LimitOptions, options.store)]
  }
  const both = LIMIT_NAMES.find((name) => name in options)
  if (both !== undefined) throw new TypeError(`${where}: options "limits" and "${both}" exclude each other`)
  const limits = options.limits.map((one, i) => resolveOne(`${where}: limits[${i}]`, one, options.store))
  const twice = limits.find(({ name }, i) => limits.findIndex((other) => other.name === name) < i)
  if (twice !== undefined) throw new TypeError(`${where}: two limits have the name "${twice.name}"; give one another`)
  return limits
}

function resolveOne(where: string, options: LimitOptions, store: Store | undefined): Limit {
  const limit = resolveLimit(where, options)
  checkNamed(where, options, store)
  return limit
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
  return store
}

function isStore(value: unknown): value is Store {
  return typeof value === 'object' && value !== null && typeof (value as Partial<Store>).open === 'function'
}
