import { FakeClock } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RatioBudget } from './ratio-budget.ts'

function spendAll(budget: RatioBudget): number {
  let n = 0
  while (budget.spend()) n++
  return n
}

describe('RatioBudget', () => {
  it('allows a share of the calls of the window', () => {
    const budget = new RatioBudget(0.2, 0, 10_000, new FakeClock())
    expect(budget.spend()).toBe(false)
    for (let i = 0; i < 100; i++) budget.started()
    expect(budget.retriesLeft).toBe(20)
    expect(spendAll(budget)).toBe(20)
    for (let i = 0; i < 5; i++) budget.started()
    expect(spendAll(budget)).toBe(1)
  })

  it('allows some retries per second to clients without traffic', () => {
    const budget = new RatioBudget(0, 10, 10_000, new FakeClock())
    expect(spendAll(budget)).toBe(100)
  })

  it('forgets what is older than the window, slot by slot', () => {
    const clock = new FakeClock(500)
    const budget = new RatioBudget(1, 0, 10_000, clock)
    budget.started()
    clock.jump(5000)
    budget.started()
    expect(budget.retriesLeft).toBe(2)
    clock.jump(4999)
    expect(budget.retriesLeft).toBe(1)
    clock.jump(5000)
    expect(budget.retriesLeft).toBe(0)
  })

  it('forgets just what is older, however long nothing happened', () => {
    const clock = new FakeClock()
    const budget = new RatioBudget(1, 0, 10_000, clock)
    budget.started()
    clock.jump(8000)
    budget.started()
    clock.jump(3000)
    expect(budget.retriesLeft).toBe(1)
  })

  it('forgets everything after a long silence', () => {
    const clock = new FakeClock()
    const budget = new RatioBudget(0.5, 1, 10_000, clock)
    for (let i = 0; i < 100; i++) budget.started()
    expect(spendAll(budget)).toBe(60)
    clock.jump(3_600_000)
    expect(spendAll(budget)).toBe(10)
  })

  it('stays where it is when the clock goes back', () => {
    const clock = new FakeClock(100_000)
    const budget = new RatioBudget(1, 0, 10_000, clock)
    budget.started()
    clock.jump(-50_000)
    expect(budget.retriesLeft).toBe(1)
    budget.started()
    clock.jump(50_000)
    expect(budget.retriesLeft).toBe(2)
    clock.jump(10_000)
    expect(budget.retriesLeft).toBe(0)
  })

  it('agrees with a list of all events, whatever happens when', () => {
    const step = fc.oneof(
      fc.constant('start' as const),
      fc.constant('spend' as const),
      fc.integer({ min: 0, max: 15_000 }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const clock = new FakeClock()
        const budget = new RatioBudget(0.5, 0.5, 10_000, clock)
        const calls: number[] = []
        const retries: number[] = []
        const inWindow = (times: number[]) => times.filter((t) => t > Math.floor(clock.now() / 1000) - 10).length
        for (const action of steps) {
          const slot = Math.floor(clock.now() / 1000)
          if (typeof action === 'number') clock.jump(action)
          else if (action === 'start') {
            budget.started()
            calls.push(slot)
          } else {
            const allowed = 5 + 0.5 * inWindow(calls) - inWindow(retries) >= 1
            expect(budget.spend()).toBe(allowed)
            if (allowed) retries.push(slot)
          }
        }
      }),
    )
  })
})
