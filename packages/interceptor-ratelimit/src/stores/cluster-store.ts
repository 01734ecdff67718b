import {
  integer,
  LruMap,
  type MonotonicClock,
  monotonicClock,
  type OptionTable,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { type MachineLink, machineLink, type Question, type Reply, serveMachine } from './machine-link.ts'
import { type MemoryStore, memoryStore } from './memory-store.ts'
import type { Decision, Store, StoredLimit, SyncLimiter } from './store.ts'

export interface ClusterStoreOptions {
  /** Stores of the same name on one machine are one store. Default: `default`. */
  readonly name?: string
  /** The most keys remembered, over all limits. Counts in the primary process. Default: 100 000. */
  readonly maxKeys?: number
  /** Time of the process that counts. Default: monotonic time. */
  readonly clock?: MonotonicClock
}

export interface ClusterStore extends Store {
  /** Whether the counters are in this process. */
  readonly counts: boolean
}

const table = {
  name: text().default('default'),
  maxKeys: integer({ min: 1, max: 10_000_000 }).default(100_000),
  clock: monotonicClock(),
} satisfies OptionTable<ClusterStoreOptions>

/** Different sets of limits that workers ask about. An application has as many as it has `rateLimit()`s. */
const MAX_LIMITERS = 1000

/**
 * One limit for all processes of Node's `cluster` and all worker threads of a machine, without Redis. The primary process, in its main
 * thread, counts; workers ask it, by the channel that they have to it anyway. Make it in both:
 *
 *     const store = clusterStore()
 *     if (cluster.isPrimary) for (let i = 0; i < 4; i++) cluster.fork()
 *     else serve(rateLimit({ rate: 100, name: 'per-user', key: byPrincipal(principalVar), store }))
 *
 * A primary that does not answer, since it is busy or has no `clusterStore()`, is a store that failed: see `onStoreError`. Worker
 * threads of a cluster's worker reach no primary; those of the primary do.
 *
 * @returns the same store for the same name.
 * @throws TypeError for an option that is unknown or out of range, and for another `maxKeys` under a name that is taken.
 */
export function clusterStore(options: ClusterStoreOptions = {}): ClusterStore {
  const { name, maxKeys, clock } = readOptions('clusterStore', options, table, { show: quoted })
  const known = stores.get(name)
  if (known === undefined) {
    const store = open(name, maxKeys, clock)
    stores.set(name, { store, maxKeys })
    return store
  }
  if (known.maxKeys !== maxKeys) {
    throw new TypeError(
      `clusterStore: the store ${quoted(name)} was made with maxKeys ${known.maxKeys}, not ${maxKeys}: one name is one store`,
    )
  }
  return known.store
}

interface Known {
  readonly store: ClusterStore
  readonly maxKeys: number
}

// All copies of this package in a process share them: they would hear each other's answers.
const STORES: unique symbol = Symbol.for('@grpc-stack/interceptor-ratelimit.cluster-stores')
const scope = globalThis as { [STORES]?: Map<string, Known> }
scope[STORES] ??= new Map()
const stores = scope[STORES]

function open(name: string, maxKeys: number, clock: MonotonicClock): ClusterStore {
  const link = machineLink(name)
  if (!link.counts) return new AskingStore(link)
  const store = memoryStore({ maxKeys, clock })
  const limiters = new LruMap<string, SyncLimiter>(MAX_LIMITERS)
  serveMachine(name, (question) => answerTo(question, store, limiters))
  return { counts: true, shared: true, open: (limits) => store.open(limits) }
}

function answerTo(
  { id, limits, keys, costs }: Question,
  store: MemoryStore,
  limiters: LruMap<string, SyncLimiter>,
): Reply {
  try {
    let limiter = limiters.get(limits)
    if (limiter === undefined) {
      limiter = store.open(JSON.parse(limits) as StoredLimit[])
      limiters.set(limits, limiter)
    }
    return {
      id,
      decision: limiter.take(
        keys.map((key) => key ?? undefined),
        costs,
      ),
    }
  } catch (error) {
    return { id, error: String(error) }
  }
}

interface Waiting {
  resolve(decision: Decision): void
  reject(error: Error): void
}

/** Of a process that does not count. */
class AskingStore implements ClusterStore {
  readonly counts = false
  readonly shared = true
  readonly #link: MachineLink
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(link: MachineLink) {
    this.#link = link
    link.onReply((reply) => {
      const waiting = this.#taken(reply.id)
      if ('error' in reply) waiting?.reject(new Error(reply.error))
      else waiting?.resolve(reply.decision as Decision)
    })
    link.onLost(() => {
      for (const id of [...this.#waiting.keys()]) this.#taken(id)?.reject(new Error('the primary process is gone'))
    })
  }

  open(limits: readonly StoredLimit[]) {
    const asJson = JSON.stringify(limits)
    return {
      take: (keys: readonly (string | undefined)[], costs: readonly number[]): Promise<Decision> =>
        new Promise((resolve, reject) => {
          const id = ++this.#last
          this.#waiting.set(id, { resolve, reject })
          // What is answered too late is not waited for any more, but a primary that never answers must not fill the memory here.
          this.#forgetOldest()
          const question = { id, limits: asJson, keys: keys.map((key) => key ?? null), costs }
          this.#link.ask(question, (error) => this.#taken(id)?.reject(error))
        }),
    }
  }

  #taken(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  #forgetOldest(): void {
    if (this.#waiting.size <= MAX_WAITING) return
    for (const id of this.#waiting.keys()) {
      this.#taken(id)?.reject(new Error('the primary process does not answer'))
      return
    }
  }
}

const MAX_WAITING = 10_000
