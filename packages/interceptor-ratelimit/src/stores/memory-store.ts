import {
  integer,
  type MonotonicClock,
  monotonicClock,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import { debtAt, type Quota, remaining, resetMs, unitsOf, waitMs } from '../quota/gcra.ts'
import { KeySlots, newSpace, type Space } from './key-slots.ts'
import type { Decision, LimitState, Store, StoredLimit, SyncLimiter } from './store.ts'

export interface MemoryStoreOptions {
  /**
   * The most keys remembered, over all limits of the store. Default: 100 000, about 15 MB when full. A key that owes
   * nothing is forgotten first; when all owe something, the one used longest ago is forgotten and starts with a fresh
   * burst when it comes back. A caller that can make up that many keys has a fresh burst for each of them anyway.
   */
  readonly maxKeys?: number
  /** Default: monotonic time. */
  readonly clock?: MonotonicClock
}

export interface MemoryStore extends Store {
  open(limits: readonly StoredLimit[]): SyncLimiter
  /** Keys remembered now. */
  readonly size: number
  /** Keys forgotten while they still owed something. More than a few: `maxKeys` is too small. */
  readonly evicted: number
}

/** Keys looked at for one to forget, before the store grows. Two keep up with any rate of arrival. */
const LOOKS = 2
/** Keys looked at for one to forget when the store may not grow. */
const LOOKS_WHEN_FULL = 8
const NO_SLOTS: readonly number[] = []

interface Entry {
  readonly space: Space
  readonly quota: Quota
}

const table = {
  maxKeys: integer({ min: 1, max: 10_000_000 }).default(100_000),
  clock: monotonicClock(),
} satisfies OptionTable<MemoryStoreOptions>

/** Counters in this process. Decisions need no promise. */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  const { maxKeys, clock } = readOptions('memoryStore', options, table, { show: quoted })
  const debts = new Debts(maxKeys, clock)
  const entries = new Map<string, Entry>()
  return {
    get size() {
      return debts.size
    },
    get evicted() {
      return debts.evicted
    },
    open(limits) {
      if (limits.length > maxKeys) {
        throw new TypeError(`memoryStore: option "maxKeys" must be at least the number of limits, ${limits.length}`)
      }
      return new MemoryLimiter(
        debts,
        limits.map((limit) => entryFor(entries, limit)),
      )
    },
  }
}

function entryFor(entries: Map<string, Entry>, { name, quota }: StoredLimit): Entry {
  const known = entries.get(name)
  if (known === undefined) {
    const entry = { space: newSpace(), quota }
    entries.set(name, entry)
    return entry
  }
  const { leakPerUs, unitsPerCall, capacity } = known.quota
  if (leakPerUs !== quota.leakPerUs || unitsPerCall !== quota.unitsPerCall || capacity !== quota.capacity) {
    throw new TypeError(`memoryStore: limit "${name}" is already there with other numbers; give one another name`)
  }
  return known
}

class MemoryLimiter implements SyncLimiter {
  readonly #debts: Debts
  readonly #entries: readonly Entry[]

  constructor(debts: Debts, entries: readonly Entry[]) {
    this.#debts = debts
    this.#entries = entries
  }

  take(keys: readonly (string | undefined)[], costs: readonly number[]): Decision {
    const [only] = this.#entries
    const [key] = keys
    if (this.#entries.length === 1 && only !== undefined && key !== undefined) {
      return this.#takeOne(only, key, costs[0] as number)
    }
    return this.#takeAll(keys, costs)
  }

  #takeOne({ space, quota }: Entry, key: string, cost: number): Decision {
    const nowUs = this.#debts.nowUs()
    const slot = this.#debts.use(space, key)
    const debt = this.#debts.owed(slot, quota, nowUs)
    const units = unitsOf(quota, cost)
    const wait = waitMs(quota, debt, units)
    if (wait > 0) return { admitted: false, limits: [stateOf(quota, debt, wait)] }
    if (units > 0) this.#debts.owe(slot, space, key, debt + units, nowUs, quota, NO_SLOTS)
    return { admitted: true, limits: [stateOf(quota, debt + units, 0)] }
  }

  #takeAll(keys: readonly (string | undefined)[], costs: readonly number[]): Decision {
    const nowUs = this.#debts.nowUs()
    const wanted = this.#entries.map(({ space, quota }, i) => {
      const key = keys[i]
      if (key === undefined) return undefined
      const slot = this.#debts.use(space, key)
      const debt = this.#debts.owed(slot, quota, nowUs)
      const units = unitsOf(quota, costs[i] as number)
      return { key, space, quota, slot, debt, units, wait: waitMs(quota, debt, units) }
    })
    const admitted = wanted.every((one) => one === undefined || one.wait === 0)
    const slots = wanted.map((one) => one?.slot ?? -1)
    const limits = wanted.map((one, i) => {
      if (one === undefined) return undefined
      const { key, space, quota, slot, debt, units, wait } = one
      if (!admitted) return stateOf(quota, debt, wait)
      if (units > 0) slots[i] = this.#debts.owe(slot, space, key, debt + units, nowUs, quota, slots)
      return stateOf(quota, debt + units, 0)
    })
    return { admitted, limits }
  }
}

function stateOf(quota: Quota, debt: number, wait: number): LimitState {
  return { waitMs: wait, remaining: remaining(quota, debt), resetMs: resetMs(quota, debt) }
}

/** What each key owes, since when. */
class Debts {
  evicted = 0
  readonly #clock: MonotonicClock
  readonly #slots: KeySlots
  #debt: Float64Array
  #lastUs: Float64Array
  readonly #quotas: Quota[] = []

  constructor(maxKeys: number, clock: MonotonicClock) {
    this.#clock = clock
    this.#slots = new KeySlots(maxKeys)
    this.#debt = new Float64Array(this.#slots.capacity)
    this.#lastUs = new Float64Array(this.#slots.capacity)
  }

  get size(): number {
    return this.#slots.size
  }

  nowUs(): number {
    return Math.floor(this.#clock.now() * 1000)
  }

  /** The slot of a key, or -1. A refused call is a use, too: a caller that goes on calling is not forgotten. */
  use(space: Space, key: string): number {
    return this.#slots.use(space, key)
  }

  owed(slot: number, quota: Quota, nowUs: number): number {
    if (slot < 0) return 0
    const lastUs = this.#lastUs[slot] as number
    // After a clock stepped back the debt leaks from now on, not once the clock has caught up.
    if (nowUs < lastUs) this.#lastUs[slot] = nowUs
    return debtAt(quota, this.#debt[slot] as number, lastUs, nowUs)
  }

  /** @param keep slots of the same decision, which must not make room for each other */
  owe(
    known: number,
    space: Space,
    key: string,
    debt: number,
    nowUs: number,
    quota: Quota,
    keep: readonly number[],
  ): number {
    let slot = known
    if (slot < 0) {
      if (!this.#slots.hasSpare) this.#makeRoom(nowUs, keep)
      slot = this.#slots.insert(space, key)
      if (this.#slots.capacity > this.#debt.length) this.#grow()
      this.#quotas[slot] = quota
    }
    this.#debt[slot] = debt
    this.#lastUs[slot] = nowUs
    return slot
  }

  /**
   * Looks at keys in their turn and forgets those that owe nothing and were not used since the last look. When the store
   * is full the first goes that owes nothing or was not used, and if all of them do and were, the first.
   */
  #makeRoom(nowUs: number, keep: readonly number[]): void {
    const slots = this.#slots
    let victim = -1
    const most = slots.full ? keep.length + LOOKS_WHEN_FULL : LOOKS
    for (let looks = 0; looks < most; looks++) {
      const slot = slots.pass()
      if (slot < 0 || keep.includes(slot)) continue
      const used = slots.unmark(slot)
      const owes = this.#owedBy(slot, nowUs) > 0
      if (!slots.full) {
        if (!used && !owes) slots.remove(slot)
        continue
      }
      if (victim < 0 || !used || !owes) victim = slot
      if (!used || !owes) break
    }
    if (!slots.full) return
    if (this.#owedBy(victim, nowUs) > 0) this.evicted++
    slots.remove(victim)
  }

  #owedBy(slot: number, nowUs: number): number {
    return debtAt(this.#quotas[slot] as Quota, this.#debt[slot] as number, this.#lastUs[slot] as number, nowUs)
  }

  #grow(): void {
    const debt = new Float64Array(this.#slots.capacity)
    const lastUs = new Float64Array(this.#slots.capacity)
    debt.set(this.#debt)
    lastUs.set(this.#lastUs)
    this.#debt = debt
    this.#lastUs = lastUs
  }
}
