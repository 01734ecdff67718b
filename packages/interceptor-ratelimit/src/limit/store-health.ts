import type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import type { Limiter } from '../stores/store.ts'
import { StorePartition, type StorePartitionState } from './store-partition.ts'

/** How the store of a `rateLimit()` is, for health checks. */
export interface StoreState {
  /** Whether every part is up. */
  readonly up: boolean
  /** The parts that were asked: one, or for a Redis Cluster one per master. */
  readonly partitions: readonly StorePartitionState[]
}

export interface StoreHealthOptions {
  readonly clock: MonotonicClock
  /** The longest that a part which failed is left alone. */
  readonly retryMs: number
  /** A part is down, or is down for another reason than before. */
  onDown(partition: string, error: unknown): void
  /** A part answers again, or no key leads to it any more. */
  onUp(partition: string): void
}

type Keys = readonly (string | undefined)[]

/** Parts that are told apart. A Redis Cluster has at most about a thousand nodes. */
const MAX_PARTITIONS = 1024

/** What is known of the parts of one store. A part that fails speaks for its own keys only. */
export class StoreHealth {
  readonly #options: StoreHealthOptions
  /** The store, where it has no parts. */
  readonly #whole: StorePartition
  readonly #partitions = new Map<string, StorePartition>()
  /** Of the parts that are down: whether keys that failed there still lead there. */
  readonly #outages = new Map<string, () => boolean>()
  #lookedAt = 0

  constructor(options: StoreHealthOptions) {
    this.#options = options
    this.#whole = new StorePartition('', options.clock, options.retryMs)
  }

  /** The part that decides about these keys. */
  partitionFor(limiter: Limiter, keys: Keys): StorePartition {
    if (limiter.partitionOf === undefined) return this.#whole
    if (this.#outages.size > 0) this.#forgetAbandoned()
    const name = partitionName(limiter, keys)
    if (name === undefined) return this.#whole
    return this.#partitions.get(name) ?? this.#added(name)
  }

  answered(partition: StorePartition, probe: boolean): void {
    if (!partition.answered(probe)) return
    this.#outages.delete(partition.name)
    this.#options.onUp(partition.name)
  }

  failed(partition: StorePartition, probe: boolean, error: unknown, limiter: Limiter, keys: Keys): void {
    if (!partition.failed(probe, error)) return
    const { name } = partition
    if (this.#partitions.get(name) === partition) {
      this.#outages.set(name, () => partitionName(limiter, keys) === name)
    }
    this.#options.onDown(name, error)
  }

  state(): StoreState {
    this.#forgetAbandoned()
    const parts = [...this.#partitions.values()]
    const asked = parts.length === 0 || !this.#whole.up ? [this.#whole, ...parts] : parts
    return { up: asked.every(({ up }) => up), partitions: asked.map((partition) => partition.state()) }
  }

  #added(name: string): StorePartition {
    if (this.#partitions.size >= MAX_PARTITIONS) {
      for (const oldest of this.#partitions.keys()) {
        this.#forget(oldest)
        break
      }
    }
    const partition = new StorePartition(name, this.#options.clock, this.#options.retryMs)
    this.#partitions.set(name, partition)
    return partition
  }

  /** A master that died is down for ever; its keys are those of the replica that was promoted. */
  #forgetAbandoned(): void {
    const { clock, retryMs } = this.#options
    const now = clock.now()
    if (now - this.#lookedAt < retryMs) return
    this.#lookedAt = now
    for (const [name, stillMeant] of this.#outages) {
      if (!stillMeant()) this.#forget(name)
    }
  }

  #forget(name: string): void {
    this.#partitions.delete(name)
    if (this.#outages.delete(name)) this.#options.onUp(name)
  }
}

/** A store that cannot tell is one whole. */
function partitionName(limiter: Limiter, keys: Keys): string | undefined {
  try {
    return limiter.partitionOf?.(keys)
  } catch {
    return undefined
  }
}
