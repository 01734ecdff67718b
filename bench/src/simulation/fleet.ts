import { SimulatedClock } from './simulated-clock.ts'
import { CAPACITY, type Outage, SimulatedServer } from './simulated-server.ts'
import type { Random, Stack } from './stacks.ts'

/** Clients of one server, by how busy they are: most are quiet, a few gateways make more than half of the calls. */
const CLIENTS = [
  { count: 900, perSecond: 0.2 },
  { count: 90, perSecond: 3 },
  { count: 10, perSecond: 55 },
] as const

/** Calls a second that the applications of one server's clients make. */
export const OFFERED = CLIENTS.reduce((sum, { count, perSecond }) => sum + count * perSecond, 0)
export const LOAD = OFFERED / CAPACITY

/** What came of each second of the fleet. */
export interface Second {
  /** Calls that applications began. */
  calls: number
  /** Of these, those that ended OK. */
  succeeded: number
  /** Requests that the server received. */
  received: number
}

/** One server and its thousand clients, for some time. Servers share nothing, so a fleet is as many of these. */
export async function simulate(stack: Stack, outage: Outage, lengthMs: number, seed: number): Promise<Second[]> {
  const clock = new SimulatedClock()
  const random = generator(seed)
  const server = new SimulatedServer(clock, random, outage)
  const seconds = Array.from({ length: lengthMs / 1000 }, (): Second => ({ calls: 0, succeeded: 0, received: 0 }))
  for (const { count, perSecond } of CLIENTS) {
    for (let i = 0; i < count; i++) {
      const client = stack(clock, server, random)
      const pause = () => (-Math.log(1 - random()) * 1000) / perSecond
      const call = (): void => {
        const second = seconds[Math.floor(clock.now() / 1000)]
        if (second === undefined) return
        second.calls++
        void client().then(({ code }) => {
          if (code === 0) second.succeeded++
        })
        clock.setTimeout(call, pause())
      }
      clock.setTimeout(call, pause())
    }
  }
  for (const [i, second] of seconds.entries()) {
    const before = server.received
    await clock.run((i + 1) * 1000)
    second.received = server.received - before
  }
  await clock.run(lengthMs + 10_000)
  return seconds
}

/** Numbers from 0 up to 1, the same for the same seed: Mulberry32. */
export function generator(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
