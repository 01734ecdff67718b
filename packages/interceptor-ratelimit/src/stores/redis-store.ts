import { accepts, flag, LruMap, type OptionTable, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import { digest } from '../keys/digest.ts'
import { type Quota, remaining, resetMs, unitsOf, waitMs } from '../quota/gcra.ts'
import { isCluster, type RedisClient, type ScriptRunner, scriptRunner } from './redis-client.ts'
import { nodeOf, slotOf } from './redis-cluster.ts'
import { messageOf } from './redis-errors.ts'
import { hasOneConnection, type WaitReplicas, waitForReplicas } from './redis-replicas.ts'
import { ADMITTED, ARGS_PER_LIMIT, LATE, TAKE_SCRIPT, TAKE_SHA } from './redis-script.ts'
import { ServerClock } from './server-clock.ts'
import type { Decision, Limiter, LimitState, Store, StoredLimit } from './store.ts'

export interface RedisStoreOptions {
  /** Start of every key in Redis. Default: `ratelimit:`. */
  readonly prefix?: string
  /**
   * Whether the keys of one decision must live on one node. Default: whether `client` is a cluster client. Set it to true
   * for another client whose server is a proxy in front of a cluster.
   */
  readonly cluster?: boolean
  /**
   * For limits that a failover must not forget: a call goes on once so many replicas have its charge (`WAIT`). If they do not in
   * time, the store has failed (`onStoreError`), and the call is charged. Costs another round trip per admitted call, and the
   * commands of the client behind it wait, too. Default: none.
   */
  readonly waitReplicas?: WaitReplicas
}

const table = {
  prefix: accepts('a string without braces', (value): value is string => {
    return typeof value === 'string' && !/[{}]/.test(value)
  }).default('ratelimit:'),
  cluster: flag().optional(),
  waitReplicas: accepts('{ count, timeoutMs }, two whole numbers ≥ 1', isWaitReplicas)
    .optional()
    .refusingUndefined('leave it out to wait for none'),
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
 * All that a caller owes stands in one key, `{prefix}1:{<caller>}`, by the name of the limit. So a limit is the same alone and
 * beside others, before and after another is added or renamed, and callers spread over the nodes of a cluster.
 *
 * A decision that the server gets to too late for its answer to matter charges nothing.
 *
 * On a cluster one decision must be about one node. A `rateLimit()` whose limits count by different keys, such as one by peer
 * and one by principal, keeps all its counters on the node of the prefix, apart from those of limits that spread. Two
 * `rateLimit()`s, one after the other, spread, but charge the first when the second refuses.
 *
 * @throws TypeError if `client` is neither an ioredis nor a node-redis client.
 */
export function redisStore(client: RedisClient, options: RedisStoreOptions = {}): Store {
  const { prefix, cluster, waitReplicas } = readOptions('redisStore', options, table, { show: quoted })
  const runner = scriptRunner(client, TAKE_SCRIPT, TAKE_SHA)
  const node = (cluster ?? isCluster(client)) ? (key: string) => nodeOf(client, key) : undefined
  const clocks = new LruMap<string, ServerClock>(MAX_NODES)
  if (waitReplicas !== undefined && !hasOneConnection(client)) {
    throw new TypeError(
      'redisStore: option "waitReplicas" needs a client with one connection to a node; a pool or createSentinel() has several, ' +
        'and WAIT knows the writes of its own only',
    )
  }
  const settled =
    waitReplicas &&
    ((key: string) => waitForReplicas(client, node === undefined ? undefined : slotOf(key), waitReplicas))
  return { shared: true, open: (limits) => new RedisLimiter(runner, limits, prefix, node, clocks, settled) }
}

function isWaitReplicas(value: unknown): value is WaitReplicas {
  const { count, timeoutMs, ...others } = (value ?? {}) as Partial<WaitReplicas>
  return (
    [count, timeoutMs].every((one) => Number.isInteger(one) && (one as number) >= 1) && Object.keys(others).length === 0
  )
}

/** Another version of this package that keeps something else under a key has another number. */
const LAYOUT = 1
/** Nodes whose clocks are remembered. */
const MAX_NODES = 1024

class RedisLimiter implements Limiter {
  readonly #runner: ScriptRunner
  readonly #limits: readonly StoredLimit[]
  readonly #names: readonly string[]
  readonly #keyFor: (key: string) => string
  /** Of a cluster: which node has a key. */
  readonly #nodeOf: ((redisKey: string) => string) | undefined
  readonly #clocks: LruMap<string, ServerClock>
  /** Until a charge is safe. */
  readonly #settled: ((redisKey: string) => Promise<void>) | undefined

  constructor(
    runner: ScriptRunner,
    limits: readonly StoredLimit[],
    prefix: string,
    node: ((redisKey: string) => string) | undefined,
    clocks: LruMap<string, ServerClock>,
    settled: ((redisKey: string) => Promise<void>) | undefined,
  ) {
    this.#runner = runner
    this.#limits = limits
    this.#names = limits.map(({ name }) => escaped(name))
    this.#nodeOf = node
    this.#clocks = clocks
    this.#settled = settled
    const oneNode = node !== undefined && !limits.every(({ sameKeyAsFirst }) => sameKeyAsFirst)
    const start = `${prefix}${LAYOUT}`
    // What is in braces decides about the node. Neither form names the keys of the other.
    this.#keyFor = oneNode ? (key) => `${start}:{${start}}${escaped(key)}` : (key) => `${start}:{${escaped(key)}}`
  }

  async take(keys: readonly (string | undefined)[], costs: readonly number[], withinMs?: number): Promise<Decision> {
    const redisKeys: string[] = []
    const args: string[] = ['0']
    for (const [i, { quota }] of this.#limits.entries()) {
      const key = keys[i]
      if (key === undefined) continue
      const redisKey = this.#keyFor(key)
      if (!redisKeys.includes(redisKey)) redisKeys.push(redisKey)
      args.push(String(redisKeys.indexOf(redisKey) + 1), this.#names[i] as string)
      args.push(String(quota.leakPerUs), String(quota.capacity), String(unitsOf(quota, costs[i] as number)))
    }
    const untilMs = withinMs === undefined ? undefined : performance.now() + withinMs
    let reply = await this.#run(redisKeys, args, untilMs)
    // The clock of the server may have been set forward. Its answer has told the time, so a second question settles it.
    if (reply[0] === LATE && performance.now() < (untilMs ?? 0)) reply = await this.#run(redisKeys, args, untilMs)
    const [verdict, , ...debts] = reply
    if (verdict === LATE) throw new Error('Redis got to the question too late, and charged nothing')
    const admitted = verdict === ADMITTED
    if (admitted && this.#settled !== undefined) await this.#settled(redisKeys[0] as string)
    let next = 0
    const limits = this.#limits.map(({ quota }, i) =>
      keys[i] === undefined ? undefined : stateOf(quota, debts[next++] as number, costs[i] as number, admitted),
    )
    return { admitted, limits }
  }

  async #run(keys: string[], args: string[], untilMs: number | undefined): Promise<readonly number[]> {
    const node = this.#nodeOf?.(keys[0] as string)
    const clock = this.#clockOf(node)
    if (untilMs !== undefined) args[0] = String(clock.deadlineUs(untilMs))
    const reply = numbersOf(await this.#runner.run(node, keys, args), (args.length - 1) / ARGS_PER_LIMIT)
    clock.heard(reply[1] as number, performance.now())
    return reply
  }

  #clockOf(node = ''): ServerClock {
    let clock = this.#clocks.get(node)
    if (clock === undefined) {
      clock = new ServerClock()
      this.#clocks.set(node, clock)
    }
    return clock
  }

  partitionOf(keys: readonly (string | undefined)[]): string | undefined {
    if (this.#nodeOf === undefined) return undefined
    const i = keys.findIndex((key) => key !== undefined)
    return i < 0 ? undefined : this.#nodeOf(this.#keyFor(keys[i] as string))
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
function numbersOf(reply: unknown, limits: number): readonly number[] {
  const numbers = Array.isArray(reply) ? reply.map(Number) : []
  const expected = numbers[0] === LATE ? 2 : limits + 2
  if (numbers.length === expected && numbers.every(Number.isSafeInteger)) return numbers
  throw new Error(`redisStore: expected ${expected} integers from the script`)
}

/** Callers choose what is in a key: braces would choose the node, too. */
function escaped(text: string): string {
  // What is no Unicode would look the same as another such text in UTF-8.
  if (!text.isWellFormed()) return digest(text)
  return text.replace(/[{}%\0-\x20]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
}
