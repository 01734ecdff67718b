import { describe, expect, it } from 'vitest'
import { generator, type Second, simulate } from './fleet.ts'
import { SimulatedClock } from './simulated-clock.ts'
import type { Outage } from './simulated-server.ts'
import { type StackName, stacks } from './stacks.ts'

const outage: Outage = { kind: 'down', fromMs: 3000, toMs: 6000, coldMs: 5000, coldFactor: 3 }

async function fleet(stack: StackName, seed = 1): Promise<Second[]> {
  return await simulate(stacks[stack], outage, 12_000, seed)
}

const load = (seconds: readonly Second[]) =>
  seconds.reduce((sum, { received }) => sum + received, 0) / seconds.reduce((sum, { calls }) => sum + calls, 0)
const during = (seconds: readonly Second[]) => seconds.slice(3, 6)
const atLast = (seconds: readonly Second[]) => seconds.slice(-1)

describe('a simulated clock', () => {
  it('runs what is due in the order of time, and of setting where times are equal', async () => {
    const clock = new SimulatedClock()
    const random = generator(7)
    const ran: [number, number][] = []
    const set = (order: number, ms: number) => clock.setTimeout(() => ran.push([clock.now(), order]), ms)
    for (let i = 0; i < 1000; i++) set(i, Math.floor(random() * 50))
    clock.clearTimeout(clock.setTimeout(() => ran.push([-1, -1]), 10))
    await clock.run(100)
    expect(ran).toHaveLength(1000)
    expect(ran).toEqual(ran.toSorted(([a, i], [b, j]) => a - b || i - j))
    expect(clock.now()).toBe(100)
  })
})

describe('a simulated fleet', () => {
  it('is the same for the same seed, and another for another', async () => {
    const [once, again, other] = [await fleet('retry'), await fleet('retry'), await fleet('retry', 2)]
    expect(again).toEqual(once)
    expect(other).not.toEqual(once)
  })

  it('succeeds before an outage, fails in it, and sends each call once without a stack', async () => {
    const seconds = await fleet('bare')
    expect(load(seconds)).toBe(1)
    for (const { calls, succeeded } of seconds.slice(0, 2)) expect(succeeded).toBe(calls)
    for (const { succeeded } of during(seconds)) expect(succeeded).toBe(0)
  })

  it('sends less to a server that is down by each bound that a stack has', async () => {
    const loads: number[] = []
    for (const stack of ['retry, no budget', 'retry, 10 spare retries a second', 'retry', 'retry, circuit'] as const) {
      loads.push(load(during(await fleet(stack))))
    }
    expect(loads).toEqual(loads.toSorted((a, b) => b - a))
    expect(loads[0]).toBeGreaterThan(2.7)
  })

  it('does not recover from an outage with hedges that have no budget, and does with one', async () => {
    for (const { calls, succeeded } of atLast(await fleet('hedge, no budget')))
      expect(succeeded).toBeLessThan(calls / 2)
    for (const { calls, succeeded } of atLast(await fleet('hedge'))) expect(succeeded).toBeGreaterThan(calls * 0.98)
  })
})
