import type { Call } from '@grpc-stack/grpc-core'
import { accepts, func, type OptionTable, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import { type KeyFunction, peerNetwork } from '../keys/keys.ts'
import type { Quota } from '../quota/gcra.ts'
import { checkCost, costOption, nameOf, quotaOptions, resolveQuota } from '../quota/quota-options.ts'

/** One limit. */
export interface LimitOptions {
  /** Calls of cost 1 per period, in the long run. Fractions are allowed. */
  readonly rate: number
  /** The period in milliseconds. Default: 1000. */
  readonly perMs?: number
  /**
   * How many calls a caller at rest may make at once, ≥ 1. In any span of time a key is admitted at most
   * `burst + rate × span / perMs`. Default: `rate` (or 1, if that is less): a caller may spend its period at once.
   */
  readonly burst?: number
  /** What a call counts against. Default: the peer address without its port, IPv6 by /64. See `byPeer`, `byMetadata`, `byPrincipal`. */
  readonly key?: KeyFunction
  /**
   * What a call costs, ≥ 0, or how to tell from its metadata and method. Default: 1. More than `burst` is never
   * admitted, and the refusal says so instead of naming a wait.
   */
  readonly cost?: number | ((call: Call) => number)
  /**
   * Appears in refusals, headers and events, and names the counters in the store: limits with the same name on one store
   * are one limit. Default: from the numbers, such as `100/1000ms`, so that processes with the same options share it.
   * A limit with a `key` needs a name where `store` is given: two with equal numbers would share counters by the default one,
   * and a tenant who is called like an address would spend the budget of that address.
   */
  readonly name?: string
  /**
   * How a refusal names the caller to the caller (`QuotaFailure.subject`). Default: not at all, only the limit: a key
   * may be a secret, and error details end up in logs.
   */
  readonly subject?: (key: string) => string
}

/** A limit ready for use. */
export interface Limit {
  readonly name: string
  /** Names the limit in errors. */
  readonly where: string
  readonly rate: number
  readonly perMs: number
  readonly burst: number
  readonly quota: Quota
  readonly key: KeyFunction
  readonly cost: number | ((call: Call) => number)
  readonly subject: ((key: string) => string) | undefined
}

const table = {
  ...quotaOptions,
  key: func<KeyFunction>().default(peerNetwork).refusingUndefined('leave it out to count by peer'),
  cost: costOption<(call: Call) => number>(),
  // These characters mean the same in a header, a Redis key and a log.
  name: accepts('1 to 64 letters, digits and _ . : / -', (value): value is string => {
    return typeof value === 'string' && /^[\w.:/-]{1,64}$/.test(value)
  }).optional(),
  subject: func<(key: string) => string>().optional(),
} satisfies OptionTable<LimitOptions>

export const LIMIT_NAMES: readonly string[] = Object.keys(table)

/** @throws TypeError naming the option. */
export function resolveLimit(where: string, options: LimitOptions): Limit {
  const read = readOptions(where, options, table, { show: quoted })
  const { key, subject } = read
  const { rate, perMs, burst, quota } = resolveQuota(where, read)
  const cost = checkCost(where, read.cost, burst)
  const { name = nameOf({ rate, perMs, burst }) } = read
  return { name, where: `rateLimit: limit "${name}"`, rate, perMs, burst, quota, key, cost, subject }
}
