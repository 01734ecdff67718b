import { FakeClock } from '@grpc-stack/grpc-testing'
import { array, constantFrom, integer, oneof, property, record, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExactGcra } from '../../test/exact-gcra.ts'
import { holds } from '../../test/holds.ts'
import { quotaOf } from '../quota/gcra.ts'
import { type MemoryStoreOptions, memoryStore } from './memory-store.ts'
import type { Decision } from './store.ts'

function open(rate: number, perMs: number, burst: number, options: MemoryStoreOptions = {}) {
  const store = memoryStore(options)
  const quota = quotaOf(rate, perMs, burst) ?? expect.unreachable()
  const limiter = store.open([{ name: 'test', quota, sameKeyAsFirst: true }])
  const take = (key: string, cost = 1): Decision => limiter.take([key], [cost])
  return { store, take }
}

// What is exact shows at the edge: many calls come in the very microsecond that admits them, or in the one before.
const steps = array(
  record({
    key: constantFrom('a', 'b', 'c'),
    when: oneof(integer({ min: 0, max: 2_000_000 }), constantFrom('at the edge' as const, 'just before it' as const)),
    cost: integer({ min: 0, max: 4 }),
  }),
  { maxLength: 200 },
)

const numbers = record({
  rate: integer({ min: 1, max: 5000 }),
  perMs: integer({ min: 1, max: 100_000 }),
  burst: integer({ min: 4, max: 50 }),
})

const quota = (rate: number, perMs: number, burst: number) => quotaOf(rate, perMs, burst) ?? expect.unreachable()

describe('memoryStore', () => {
  it('decides exactly as GCRA in unbounded integers does', () => {
    holds(
      property(numbers, steps, ({ rate, perMs, burst }, plan) => {
        const clock = new FakeClock(0)
        const { take } = open(rate, perMs, burst, { clock })
        const model = new ExactGcra(rate, perMs * 1000, burst)
        let nowUs = 0
        for (const { key, when, cost } of plan) {
          const edge = model.admittedFrom(key, cost) - (when === 'just before it' ? 1 : 0)
          nowUs = typeof when === 'number' ? nowUs + when : Math.max(nowUs, edge)
          clock.jump(nowUs / 1000 + 1e-7 - clock.now()) // half a tick of slack: the store rounds down
          const decision = take(key, cost)
          expect(decision.admitted).toBe(model.take(key, cost, nowUs))
          // The wait it tells is one after which the call would be admitted, and no shorter one is.
          const [state] = decision.limits
          if (!decision.admitted && state) {
            expect(model.wouldAdmit(key, cost, nowUs + state.waitMs * 1000)).toBe(true)
            expect(model.wouldAdmit(key, cost, nowUs + (state.waitMs - 1) * 1000)).toBe(false)
          }
          if (state && state.remaining > 0) expect(model.wouldAdmit(key, state.remaining, nowUs)).toBe(true)
          if (state) expect(model.wouldAdmit(key, state.remaining + 1, nowUs)).toBe(false)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('admits no more than burst + rate × span in any span of time', () => {
    holds(
      property(numbers, array(integer({ min: 0, max: 50_000 }), { minLength: 1, maxLength: 300 }), (limit, gaps) => {
        const clock = new FakeClock(0)
        const { take } = open(limit.rate, limit.perMs, limit.burst, { clock })
        const model = new ExactGcra(limit.rate, limit.perMs * 1000, limit.burst)
        const admittedAt: number[] = []
        let nowUs = 0
        for (const gap of gaps) {
          nowUs += gap
          clock.jump(nowUs / 1000 + 1e-7 - clock.now())
          if (take('key').admitted) admittedAt.push(nowUs)
        }
        for (const [first, from] of admittedAt.entries()) {
          for (let last = first; last < admittedAt.length; last++) {
            expect(last - first + 1).toBeLessThanOrEqual(model.bound((admittedAt[last] as number) - from))
          }
        }
      }),
      { numRuns: 100 },
    )
  })

  it('charges several limits all or nothing', () => {
    const perSecond = quotaOf(2, 1000, 2) ?? expect.unreachable()
    const perMinute = quotaOf(3, 60_000, 3) ?? expect.unreachable()
    const limiter = memoryStore({ clock: new FakeClock() }).open([
      { name: 's', quota: perSecond, sameKeyAsFirst: true },
      { name: 'm', quota: perMinute, sameKeyAsFirst: false },
    ])
    const take = (a: string | undefined, b: string | undefined) => limiter.take([a, b], [1, 1])
    expect(take('a', 'b').limits.map((state) => state?.remaining)).toEqual([1, 2])
    expect(take('a', 'b').limits.map((state) => state?.remaining)).toEqual([0, 1])
    const refused = take('a', 'b')
    expect(refused.admitted).toBe(false)
    expect(refused.limits.map((state) => state?.waitMs)).toEqual([500, 0])
    expect(refused.limits.map((state) => state?.remaining)).toEqual([0, 1]) // the second was not charged
    expect(take(undefined, 'b')).toMatchObject({ admitted: true, limits: [undefined, { remaining: 0 }] })
  })

  it('charges all limits of a decision also where one key takes the room of another', () => {
    const some = tuple(integer({ min: 0, max: 5 }), integer({ min: 0, max: 5 }), integer({ min: 0, max: 2000 }))
    holds(
      property(integer({ min: 2, max: 4 }), array(some, { maxLength: 60 }), (maxKeys, plan) => {
        const clock = new FakeClock()
        const limits = ['x', 'y'].map((name) => ({ name, quota: quota(1, 1000, 1), sameKeyAsFirst: false }))
        const limiter = memoryStore({ clock, maxKeys }).open(limits)
        for (const [x, y, gap] of plan) {
          clock.jump(gap)
          const { admitted } = limiter.take([`${x}`, `${y}`], [1, 1])
          if (!admitted) continue
          // With room for two keys at least, those just charged are among the known ones.
          expect(limiter.take([`${x}`, undefined], [1, 1]).admitted).toBe(false)
          expect(limiter.take([undefined, `${y}`], [1, 1]).admitted).toBe(false)
        }
      }),
    )
  })

  it('shares counters between limits of one name, and refuses other numbers under it', () => {
    const store = memoryStore({ clock: new FakeClock() })
    const quota = quotaOf(1, 1000, 1) ?? expect.unreachable()
    const limit = { name: 'shared', quota, sameKeyAsFirst: true }
    const [one, two] = [store.open([limit]), store.open([limit])]
    expect(one.take(['k'], [1])).toMatchObject({ admitted: true })
    expect(two.take(['k'], [1])).toMatchObject({ admitted: false })
    const other = quotaOf(2, 1000, 1) ?? expect.unreachable()
    expect(() => store.open([{ ...limit, quota: other }])).toThrow('limit "shared" is already there with other numbers')
  })

  // reference: sentence 36
  it('forgets keys that owe nothing, without a timer', () => {
    const clock = new FakeClock()
    const { store, take } = open(10, 1000, 1, { clock })
    for (let i = 0; i < 100_000; i++) {
      take(`key ${i}`)
      clock.jump(1) // so that a hundred keys owe something at any time
    }
    expect(store.size).toBeLessThanOrEqual(8192)
    expect(store.evicted).toBe(0)
    expect(clock.pending).toBe(0)
  })

  // reference: symbol 78
  it('never holds more than maxKeys, and those in use are not forgotten for a flood of others', () => {
    const clock = new FakeClock()
    const { store, take } = open(1, 60_000, 2, { clock, maxKeys: 100 })
    let hot = 0
    for (let i = 0; i < 10_000; i++) {
      expect(take(`flood ${i}`).admitted).toBe(true)
      if (i % 50 === 0 && take('hot').admitted) hot++
      expect(store.size).toBeLessThanOrEqual(100)
    }
    expect(hot).toBe(2) // its burst, once: who is refused is not forgotten either
    expect(store.evicted).toBeGreaterThan(9000)
  })

  it('keeps one key apart from another whatever the characters', () => {
    const keys = ['', '\0', '\ud800', '\udc00', 'é', 'e\u0301', '__proto__', 'constructor', 'a'.repeat(10_000), '💥']
    const { take } = open(1, 60_000, 1, { clock: new FakeClock() })
    for (const key of keys) expect(take(key).admitted).toBe(true)
    for (const key of keys) expect(take(key).admitted).toBe(false)
  })

  it('names the option that is wrong', () => {
    expect(() => memoryStore({ maxKeys: 0 })).toThrow('memoryStore: option "maxKeys" must be an integer from 1')
    // @ts-expect-error: no such option
    expect(() => memoryStore({ keys: 1 })).toThrow('memoryStore: unknown option "keys"')
    expect(() => open(1, 1000, 1, { maxKeys: 1 }).store.open([])).not.toThrow()
  })
})
