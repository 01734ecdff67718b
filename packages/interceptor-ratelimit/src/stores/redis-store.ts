import { accepts, flag, type OptionTable, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import { type Quota, remaining, resetMs, unitsOf, waitMs } from '../quota/gcra.ts'
import { isCluster, type RedisClient, type ScriptRunner, scriptRunner } from './redis-client.ts'
import { nodeOf } from './redis-cluster.ts'
import { messageOf } from './redis-errors.ts'
import { TAKE_SCRIPT, TAKE_SHA } from './redis-script.ts'
import type { Decision, Limiter, LimitState, Store, StoredLimit } from './store.ts'

export interface RedisStoreOptions {
  /** Start of every key in Redis. Default: `ratelimit:`. */
  readonly prefix?: string
  /**
   * Whether the keys of one decision must live on one node. Default: whether `client` is a cluster client. Set it to true
   * for another client whose server is a proxy in front of a cluster.
   */
  readonly cluster?: boolean
}

const table = {
  prefix: accepts('a string without braces', (value): value is string => {
    return typeof value === 'string' && !/[{}]/.test(value)
  }).default('ratelimit:'),
  cluster: flag().optional(),
} satisfies OptionTable<RedisStoreOptions>

/**
 * Counters in Redis (5 or newer, or Valkey), shared by all processes that use the same server, prefix and limit name.
 * Each decision is one script run, atomic and by the clock of the server, in one round trip.
 *
 *     import { Redis } from 'ioredis'
 *     rateLimit({ rate: 100, store: redisStore(new Redis()) })
 *
 *     import { createClient } from 'redis'
 *     rateLimit({ rate: 100, store: redisStore(await createClient().connect()) })
 *
 * The client stays yours: connect it, configure its reconnecting, close it. It may be a cluster client. The store listens for
 * its 'error' events: a lost connection cannot end the process, and the last error stands in `storeDown` events.
 *
 * Limits of one name, on one server and with one prefix, are one limit, alone or beside others.
 *
 * On a cluster the keys of one decision must live on one node. Limits that count by the same spread over the nodes by key. A
 * `rateLimit()` whose limits count by different keys keeps its counters on the node of the prefix, apart from those of limits
 * that spread: there, give the limits of such a `rateLimit()` names of their own. Two `rateLimit()`s, one after the other,
 * spread, but charge the first when the second refuses.
 *
 * @throws TypeError if `client` is neither an ioredis nor a node-redis client.
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): Store {
  const { prefix, cluster } = readOptions('redisStore', options, table, { show: quoted })
  const runner = scriptRunner(client, TAKE_SCRIPT, TAKE_SHA)
  const node = (cluster ?? isCluster(client)) ? (key: string) => nodeOf(client, key) : undefined
  return { open: (limits) => new RedisLimiter(runner, limits, prefix, node) }
}

/** Another version of this package that keeps something else under a key has another number. */
const LAYOUT = 1

class RedisLimiter implements Limiter {
  readonly #runner: ScriptRunner
  readonly #limits: readonly StoredLimit[]
  readonly #keyFor: (limit: StoredLimit, key: string) => string
  /** Of a cluster: which node has a key. */
  readonly #nodeOf: ((redisKey: string) => string) | undefined

  constructor(
    runner: ScriptRunner,
    limits: readonly StoredLimit[],
    prefix: string,
    node: ((redisKey: string) => string) | undefined,
  ) {
    this.#runner = runner
    this.#limits = limits
    this.#nodeOf = node
    const oneNode = node !== undefined && !limits.every(({ sameKeyAsFirst }) => sameKeyAsFirst)
    // What is in braces decides about the node. A name is one limit whatever stands beside it, so neither form names others.
    this.#keyFor = oneNode
      ? ({ name }, key) => `${prefix}${LAYOUT}:one-node:{${prefix}}${name}:${escaped(key)}`
      : ({ name }, key) => `${prefix}${LAYOUT}:{${escaped(key)}}${name}`
  }

  async take(keys: readonly (string | undefined)[], costs: readonly number[]): Promise<Decision> {
    const redisKeys: string[] = []
    const args: string[] = []
    for (const [i, limit] of this.#limits.entries()) {
      const key = keys[i]
      if (key === undefined) continue
      const { quota } = limit
      redisKeys.push(this.#keyFor(limit, key))
      args.push(String(quota.leakPerUs), String(quota.capacity), String(unitsOf(quota, costs[i] as number)))
    }
    const reply: unknown = await this.#runner.run(this.partitionOf(keys), redisKeys, args)
    const [admitted, , ...debts] = numbersOf(reply, redisKeys.length + 2)
    let next = 0
    const limits = this.#limits.map(({ quota }, i) =>
      keys[i] === undefined ? undefined : stateOf(quota, debts[next++] as number, costs[i] as number, admitted === 1),
    )
    return { admitted: admitted === 1, limits }
  }

  partitionOf(keys: readonly (string | undefined)[]): string | undefined {
    if (this.#nodeOf === undefined) return undefined
    const i = keys.findIndex((key) => key !== undefined)
    return i < 0 ? undefined : this.#nodeOf(this.#keyFor(this.#limits[i] as StoredLimit, keys[i] as string))
  }

  concernsKeyOnly(error: unknown): boolean {
    return /^(WRONGTYPE|TRYAGAIN|CROSSSLOT)\b/.test(messageOf(error) ?? '')
  }

  whyLate(keys: readonly (string | undefined)[]): string | undefined {
    return this.#runner.lastError(this.partitionOf(keys))
  }
}

function stateOf(quota: Quota, debt: number, cost: number, admitted: boolean): LimitState {
  const units = unitsOf(quota, cost)
  const after = admitted ? debt + units : debt
  return {
    waitMs: admitted ? 0 : waitMs(quota, debt, units),
    remaining: remaining(quota, after),
    resetMs: resetMs(quota, after),
  }
}

/** The integers of a reply, whatever types the client gives them. */
function numbersOf(reply: unknown, count: number): readonly number[] {
  const numbers = Array.isArray(reply) ? reply.map(Number) : []
  if (numbers.length === count && numbers.every(Number.isSafeInteger)) return numbers
  throw new Error(`redisStore: expected ${count} integers from the script`)
}

/** Callers choose what is in a key: braces would choose the node, too. */
function escaped(key: string): string {
  return key.replace(/[{}%\0-\x20]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
