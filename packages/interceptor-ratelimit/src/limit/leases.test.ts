import { FakeClock } from '@grpc-stack/grpc-testing'
import { array, assert as assertAsync, asyncProperty, constantFrom, integer, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExactGcra } from '../../test/exact-gcra.ts'
import type { Decision } from '../stores/store.ts'
import { StoreFailure } from './guarded-limiter.ts'
import { type Asked, Leases } from './leases.ts'
import { rateLimit } from './rate-limit.ts'
import type { RateLimitOptions } from './rate-limit-options.ts'

const TOKENS = 4
const LEASE_MS = 100

/** GCRA behind a connection: it decides when it is asked, and its answers arrive when the test says so. */
class DistantStore implements Asked {
  readonly model: ExactGcra
  readonly #clock: FakeClock
  readonly asked: number[] = []
  #answers: (() => void)[] = []
  failing = false

  constructor(model: ExactGcra, clock: FakeClock) {
    this.model = model
    this.#clock = clock
  }

  take([key = '']: readonly (string | undefined)[], [cost = 0]: readonly number[]): Promise<Decision | StoreFailure> {
    this.asked.push(cost)
    const admitted = !this.failing && this.model.take(key, cost, this.#clock.now() * 1000)
    const limits = [{ waitMs: admitted ? 0 : 1, remaining: 7, resetMs: 1 }]
    const answer = this.failing ? new StoreFailure(50, new Error('lost')) : { admitted, limits }
    return new Promise((resolve) => this.#answers.push(() => resolve(answer)))
  }

  /** All answers arrive, also to what is asked when one does. */
  async answer(): Promise<void> {
    while (this.#answers.length > 0) {
      for (const arrive of this.#answers.splice(0)) arrive()
      for (let turn = 0; turn < 10; turn++) await Promise.resolve()
    }
  }
}

function leasing({ rate = 1000, perMs = 1000, burst = 100 } = {}) {
  const clock = new FakeClock()
  const store = new DistantStore(new ExactGcra(rate, perMs * 1000, burst), clock)
  let leased = 0
  const settings = { tokens: TOKENS, ms: LEASE_MS, timeoutMs: 50, clock, onLeased: () => leased++ }
  const leases = new Leases(store, settings)
  const outcomes: unknown[] = []
  const call = (): void => {
    void Promise.resolve(leases.take(['k'], [1])).then((outcome) => outcomes.push(outcome))
  }
  const calls = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      call()
      await store.answer()
    }
  }
  return { clock, store, call, calls, outcomes, leased: () => leased, another: () => new Leases(store, settings) }
}

describe('Leases', () => {
  it('asks for a batch once a caller is busy, and for the next once that is used up', async () => {
    const { store, calls, leased, outcomes } = leasing()
    await calls(TOKENS + 2 * TOKENS + 1)
    expect(store.asked).toEqual([1, 1, 1, 1, 4, 4, 4])
    expect(leased()).toBe(2 * TOKENS + 1)
    // What is left of the lease is the caller's, too.
    expect(outcomes.at(-1)).toEqual({ admitted: true, limits: [{ waitMs: 0, remaining: 7 + TOKENS - 1, resetMs: 1 }] })
  })

  it('has calls that come meanwhile wait for the batch', async () => {
    const { store, call, calls, outcomes } = leasing()
    await calls(TOKENS)
    for (let i = 0; i < 3 * TOKENS; i++) call()
    expect(store.asked).toEqual([1, 1, 1, 1, 4])
    await store.answer()
    expect(outcomes).toHaveLength(4 * TOKENS)
    expect(store.asked).toEqual([1, 1, 1, 1, 4, 4, 4])
  })

  it('asks about each call of one that is not busy', async () => {
    const { clock, store, calls } = leasing()
    for (let i = 0; i < 20; i++) {
      await calls(1)
      clock.jump(LEASE_MS / TOKENS + 1)
    }
    expect(new Set(store.asked)).toEqual(new Set([1]))
  })

  it('uses no lease after its time, and begins anew', async () => {
    const { clock, store, calls, leased } = leasing()
    await calls(TOKENS + 1)
    expect(store.asked.at(-1)).toBe(TOKENS)
    clock.jump(LEASE_MS)
    await calls(1)
    expect(store.asked.at(-1)).toBe(1)
    expect(leased()).toBe(1)
  })

  it('is exact near the limit', async () => {
    const { store, calls, outcomes } = leasing({ rate: 1, perMs: 86_400_000, burst: 10 })
    await calls(30)
    expect(outcomes.filter((outcome) => (outcome as Decision).admitted)).toHaveLength(10)
    expect(store.asked.filter((cost) => cost === TOKENS).length).toBeLessThanOrEqual(2)
  })

  it('fails with the store', async () => {
    const { store, calls, call, outcomes } = leasing()
    await calls(TOKENS)
    store.failing = true
    for (let i = 0; i < 3; i++) call()
    await store.answer()
    expect(outcomes.slice(TOKENS)).toEqual(Array.from({ length: 3 }, () => expect.any(StoreFailure)))
    store.failing = false
    await calls(1)
    expect(outcomes.at(-1)).toMatchObject({ admitted: true })
  })

  it('keeps to the bounds that it states, in any span of time, for any number of processes', async () => {
    const numbers = record({
      rate: integer({ min: 10, max: 400 }),
      perMs: integer({ min: 100, max: 1000 }),
      burst: integer({ min: TOKENS, max: 30 }),
      processes: integer({ min: 1, max: 4 }),
    })
    const step = record({
      waitMs: integer({ min: 0, max: 60 }),
      process: integer({ min: 0, max: 3 }),
      calls: integer({ min: 1, max: 12 }),
      answered: constantFrom(true, true, false),
    })
    let leasedInAll = 0
    await assertAsync(
      asyncProperty(numbers, array(step, { minLength: 10, maxLength: 30 }), async ({ processes, ...quota }, plan) => {
        const world = leasing(quota)
        const all = Array.from({ length: processes }, () => world.another())
        const admittedAt: number[] = []
        for (const { waitMs, process, calls, answered } of plan) {
          world.clock.jump(waitMs)
          // An answer that takes longer than this is late, and none is used after it.
          if (answered || waitMs > 0) await world.store.answer()
          for (let i = 0; i < calls; i++) {
            const outcome = all[process % processes]?.take(['k'], [1])
            void Promise.resolve(outcome).then((decision) => {
              if ((decision as Decision).admitted) admittedAt.push(world.clock.now())
            })
            await Promise.resolve()
          }
          if (answered) await world.store.answer()
        }
        await world.store.answer()
        leasedInAll += world.leased()
        const { rate, perMs, burst } = quota
        for (let i = 0; i < admittedAt.length; i++) {
          for (let j = i; j < admittedAt.length; j++) {
            const spanMs = (admittedAt[j] as number) - (admittedAt[i] as number)
            const most = burst + Math.floor((rate * (spanMs + LEASE_MS)) / perMs)
            if (j - i + 1 > most) expect.fail(`${j - i + 1} in ${spanMs} ms, at most ${most}`)
          }
        }
      }),
      { numRuns: 100 },
    )
    expect(leasedInAll).toBeGreaterThan(1000)
  })

  it('admits at most a lease per process more than without', async () => {
    const world = leasing({ rate: 1, perMs: 86_400_000, burst: 40 })
    const processes = [world.another(), world.another(), world.another()]
    const admitted = async (leases: Leases): Promise<boolean> => {
      const outcome = leases.take(['k'], [1])
      await world.store.answer()
      return ((await outcome) as Decision).admitted
    }
    // Each holds a lease.
    for (const each of processes) for (let i = 0; i <= TOKENS; i++) expect(await admitted(each)).toBe(true)
    world.clock.jump(LEASE_MS - 1)
    let more = 0
    for (const each of processes) for (let i = 0; i < 40; i++) if (await admitted(each)) more++
    // All that was charged, before or now, and nothing twice.
    expect(more).toBe(40 - processes.length * (TOKENS + 1))
  })
})

describe('option "lease"', () => {
  it.each<[Partial<RateLimitOptions>, string]>([
    [{ lease: { tokens: 1, ms: 10 } }, 'rateLimit: lease: option "tokens"'],
    [{ lease: { tokens: 10, ms: 0 } }, 'rateLimit: lease: option "ms"'],
    [{ lease: { tokens: 11, ms: 10 } }, 'option "tokens" 11 does not fit into the burst of limit "10/1000ms", 10'],
    [{ lease: { tokens: 6, ms: 10 }, cost: 2 }, 'option "tokens" 6 does not fit'],
    [
      { lease: { tokens: 2, ms: 10 }, cost: () => 1 },
      'needs costs that are numbers; that of limit "10/1000ms" is a function',
    ],
    [{ lease: undefined } as object, 'rateLimit: option "lease"'],
    [{ lease: { tokens: 2, ms: 10, calls: 1 } as never }, 'rateLimit: lease: unknown option "calls"'],
  ])('%j: %s', (options, message) => {
    expect(() => rateLimit({ rate: 10, ...options })).toThrow(message)
  })
})
