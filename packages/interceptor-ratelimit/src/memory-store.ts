import { type Clock, systemClock } from './clock.ts'
import { debtAt, type Quota, remaining, resetMs, unitsOf, waitMs } from './gcra.ts'
import { checkClock, checkNames, checkNumber } from './option-checks.ts'
import { newSpace, RecencySlots, type Space } from './recency-slots.ts'
import type { Decision, Limiter, LimitState, Store, StoredLimit } from './store.ts'

export interface MemoryStoreOptions {
  /**
   * The most keys remembered, over all limits of the store. Default: 100 000, about 15 MB when full. A key that owes
   * nothing is forgotten first; when all owe something, the one used longest ago is forgotten and starts with a fresh
   * burst when it comes back. Who can mint that many keys has a fresh burst for each of them anyway.
   */
  readonly maxKeys?: number
  /** Default: monotonic time. */
  readonly clock?: Clock
}

export interface MemoryStore extends Store {
  /** Keys remembered now. */
  readonly size: number
  /** Keys forgotten while they still owed something. More than a few: `maxKeys` is too small. */
  readonly evicted: number
}

/** Forgetting two keys per new one keeps up with any arrival rate. */
const SWEEP_PER_INSERT = 2

interface Entry {
  readonly space: Space
  readonly quota: Quota
}

/** Counters in this process. Decisions need no promise. */
export function memoryStore(options: MemoryStoreOptions = {}): MemoryStore {
  checkNames('memoryStore', options, ['maxKeys', 'clock'])
  const { maxKeys = 100_000, clock = systemClock } = options
  checkNumber('memoryStore', 'maxKeys', maxKeys, 'an integer from 1 to 10 000 000', (n) => {
    return Number.isInteger(n) && n >= 1 && n <= 1e7
  })
  checkClock('memoryStore', clock)
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

class MemoryLimiter implements Limiter {
  readonly #debts: Debts
  readonly #entries: readonly Entry[]

  constructor(debts: Debts, entries: readonly Entry[]) {
    this.#debts = debts
    this.#entries = entries
  }

  take(keys: readonly (string | undefined)[], costs: readonly number[]): Decision {
    const nowUs = this.#debts.nowUs()
    const entries = this.#entries
    const owed: number[] = []
    const units: number[] = []
    let admitted = true
    for (let i = 0; i < entries.length; i++) {
      const key = keys[i]
      const { space, quota } = entries[i] as Entry
      const debt = key === undefined ? 0 : this.#debts.owed(space, quota, key, nowUs)
      const cost = key === undefined ? 0 : unitsOf(quota, costs[i] as number)
      if (debt + cost > quota.capacity) admitted = false
      owed.push(debt)
      units.push(cost)
    }
    const limits: (LimitState | undefined)[] = []
    for (let i = 0; i < entries.length; i++) {
      const key = keys[i]
      const { space, quota } = entries[i] as Entry
      let debt = owed[i] as number
      const cost = units[i] as number
      const wait = admitted ? 0 : waitMs(quota, debt, cost)
      if (admitted && cost > 0) {
        debt += cost
        this.#debts.owe(space, key as string, debt, nowUs, quota)
      }
      if (key === undefined) limits.push(undefined)
      else limits.push({ waitMs: wait, remaining: remaining(quota, debt), resetMs: resetMs(quota, debt) })
    }
    return { admitted, limits }
  }
}

/** What each key owes, since when. */
class Debts {
  evicted = 0
  readonly #clock: Clock
  readonly #slots: RecencySlots
  #debt: Float64Array
  #lastUs: Float64Array
  #quotas: Quota[] = []

  constructor(maxKeys: number, clock: Clock) {
    this.#clock = clock
    this.#slots = new RecencySlots(maxKeys)
    this.#debt = new Float64Array(this.#slots.capacity)
    this.#lastUs = new Float64Array(this.#slots.capacity)
  }

  get size(): number {
    return this.#slots.size
  }

  nowUs(): number {
    return Math.floor(this.#clock.now() * 1000)
  }

  owed(space: Space, quota: Quota, key: string, nowUs: number): number {
    const slot = this.#slots.find(space, key)
    if (slot < 0) return 0
    // Also when refused: who keeps knocking is not forgotten.
    this.#slots.touch(slot)
    // After a clock stepped back the debt leaks from now on, not once the clock has caught up.
    if (nowUs < (this.#lastUs[slot] as number)) this.#lastUs[slot] = nowUs
    return debtAt(quota, this.#debt[slot] as number, this.#lastUs[slot] as number, nowUs)
  }

  owe(space: Space, key: string, debt: number, nowUs: number, quota: Quota): void {
    let slot = this.#slots.find(space, key)
    if (slot < 0) {
      this.#makeRoom(nowUs)
      slot = this.#slots.insert(space, key)
      if (this.#slots.capacity > this.#debt.length) this.#grow()
    }
    this.#debt[slot] = debt
    this.#lastUs[slot] = nowUs
    this.#quotas[slot] = quota
  }

  #makeRoom(nowUs: number): void {
    const slots = this.#slots
    for (let i = 0; i < SWEEP_PER_INSERT && slots.oldest >= 0; i++) {
      if (this.#owedBy(slots.oldest, nowUs) > 0) break
      slots.remove(slots.oldest)
    }
    if (!slots.full) return
    this.evicted++
    slots.remove(slots.oldest)
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
