import { FakeClock } from '@grpc-stack/grpc-testing'
import { array, boolean, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExactGcra } from '../../test/exact-gcra.ts'
import { holds } from '../../test/holds.ts'
import type { Decision } from '../stores/store.ts'
import { RefusalMemory } from './refusal-memory.ts'

const refused = (...waits: number[]): Decision => ({
  admitted: false,
  limits: waits.map((waitMs) => ({ waitMs, remaining: 0, resetMs: waitMs + 5 })),
})

describe('RefusalMemory', () => {
  it('refuses only what the store would refuse, and names no longer wait, whatever other processes take', () => {
    const step = record({
      waitUs: integer({ min: 0, max: 60_000 }),
      key: constantFrom('a', 'b'),
      cost: integer({ min: 0, max: 3 }),
      other: boolean(),
    })
    const numbers = record({
      rate: integer({ min: 1, max: 20 }),
      perMs: integer({ min: 500, max: 3000 }),
      burst: integer({ min: 4, max: 8 }),
    })
    let recalled = 0
    holds(
      property(numbers, array(step, { minLength: 20, maxLength: 100 }), ({ rate, perMs, burst }, plan) => {
        const model = new ExactGcra(rate, perMs * 1000, burst)
        const memory = new RefusalMemory()
        let nowUs = 0
        for (const { waitUs, key, cost, other } of plan) {
          nowUs += waitUs
          const nowMs = nowUs / 1000
          const clock = { ...new FakeClock(), now: () => nowMs }
          const known = other ? undefined : memory.recall([key], [cost], clock)
          if (known !== undefined) {
            recalled++
            expect(model.wouldAdmit(key, cost, nowUs)).toBe(false)
            const waitMs = known.limits[0]?.waitMs ?? expect.unreachable()
            // What other processes took meanwhile can only make it longer.
            expect(nowUs + (waitMs - 2) * 1000).toBeLessThan(model.admittedFrom(key, cost))
          } else if (!model.take(key, cost, nowUs) && !other) {
            const waitMs = Math.ceil((model.admittedFrom(key, cost) - nowUs) / 1000)
            memory.remember([key], [cost], refused(waitMs), nowMs)
          }
        }
      }),
      { numRuns: 300 },
    )
    expect(recalled).toBeGreaterThan(200)
  })

  it('counts the times down', () => {
    const clock = new FakeClock()
    const memory = new RefusalMemory()
    memory.remember(['a', 'b'], [1, 1], refused(300, 0), clock.now())
    clock.jump(100)
    expect(memory.recall(['a', 'b'], [1, 1], clock)).toEqual({
      admitted: false,
      limits: [
        { waitMs: 200, remaining: 0, resetMs: 205 },
        { waitMs: 0, remaining: 0, resetMs: 0 },
      ],
    })
  })

  it.each<[string, (string | undefined)[], number[], number]>([
    ['another caller', ['b', 'a'], [1, 1], 0],
    ['a caller without one of the limits', ['a', undefined], [1, 1], 0],
    ['a call that costs less', ['a', 'b'], [1, 0.5], 0],
    ['the last millisecond of the wait', ['a', 'b'], [1, 1], 299],
  ])('knows nothing of %s', (_what, keys, costs, afterMs) => {
    const clock = new FakeClock()
    const memory = new RefusalMemory()
    memory.remember(['a', 'b'], [1, 1], refused(300, 0), clock.now())
    expect(memory.recall(['a', 'b'], [2, 1], clock)).toBeDefined()
    clock.jump(afterMs)
    expect(memory.recall(keys, costs, clock)).toBeUndefined()
  })

  it('has a store asked after a second, for what a caller owes may have been reset', () => {
    const clock = new FakeClock()
    const memory = new RefusalMemory()
    memory.remember(['a'], [1], refused(86_400_000), clock.now())
    clock.jump(999)
    expect(memory.recall(['a'], [1], clock)).toBeDefined()
    clock.jump(1)
    expect(memory.recall(['a'], [1], clock)).toBeUndefined()
  })

  it('remembers a bounded number of callers', () => {
    const clock = new FakeClock()
    const memory = new RefusalMemory()
    for (let i = 0; i <= 10_000; i++) memory.remember([`k${i}`], [1], refused(500), clock.now())
    expect(memory.recall(['k0'], [1], clock)).toBeUndefined()
    expect(memory.recall(['k1'], [1], clock)).toBeDefined()
  })
})
