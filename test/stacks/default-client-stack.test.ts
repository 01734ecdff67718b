// The client stack that the documentation recommends, every interceptor with its defaults, against servers that fail. Only time
// and chance are the test's: one fake clock for all, and a seed.
import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  endWith,
  FakeClock,
  startRpc,
  startTestServer,
  TestClient,
} from '@grpc-stack/grpc-testing'
import { clientAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { throttle } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { describe, expect, it } from 'vitest'

const down = endWith({ code: Code.UNAVAILABLE, details: 'down' })

/** What became of one call of the application. */
interface Outcome {
  /** When it ended, in milliseconds of the fake clock. */
  readonly atMs: number
  readonly code: Code | undefined
  readonly refusedBy: string | undefined
}

async function startStack(seed: number, behaviourAt: (nowMs: number, attempt: number) => Behaviour) {
  const clock = new FakeClock()
  let state = seed
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0 // Numerical Recipes' generator
    return state / 2 ** 32
  }
  let attempts = 0
  const server = await startTestServer({ behaviour: (rpc) => behaviourAt(clock.now(), attempts++)(rpc) })
  const client = server
    .channel(
      retry({ clock, random }),
      circuitBreaker({ clock, random }),
      throttle({ clock, random }),
      clientAuth({ token: 'secret', allowInsecure: true }),
    )
    .client(TestClient)

  /** One call, with time passing as its backoff needs, and then 100 ms. */
  const call = async (): Promise<Outcome> => {
    const rpc = startRpc(client, 'unary')
    let ended = false
    const done = rpc.done.then(() => {
      ended = true
    })
    while (!ended) {
      await Promise.race([done, clock.timerSet()])
      if (!ended) await clock.advance(clock.untilNext ?? 0)
    }
    const atMs = clock.now()
    clock.jump(100)
    const { refusedBy } = (rpc.error ?? {}) as { refusedBy?: string }
    return { atMs, code: rpc.status?.code, refusedBy }
  }
  return {
    call,
    received: () => attempts,
    async callsUntil(endMs: number): Promise<Outcome[]> {
      const outcomes: Outcome[] = []
      while (clock.now() < endMs) outcomes.push(await call())
      return outcomes
    },
    [Symbol.asyncDispose]: () => server.stop(),
  }
}

const failed = (outcomes: readonly Outcome[]) => outcomes.filter(({ code }) => code !== Code.OK)
const heldBack = (outcomes: readonly Outcome[]) => outcomes.filter(({ refusedBy }) => refusedBy === 'throttle')

describe.each([1, 2, 3])('the recommended client stack with all defaults, seed %i', (seed) => {
  it('hides one failure of a fresh client, and holds back none of the calls after it', async () => {
    await using stack = await startStack(seed, (_now, attempt) => (attempt === 0 ? down : echo))
    expect(failed(await stack.callsUntil(3000))).toEqual([])
  })

  it('hides a few failures in a row of a fresh client', async () => {
    await using stack = await startStack(seed, (_now, attempt) => (attempt % 10 < 2 && attempt < 20 ? down : echo))
    expect(failed(await stack.callsUntil(3000))).toEqual([])
  })

  it('lets the quota of one caller refuse none of the others', async () => {
    const exhausted = endWith({ code: Code.RESOURCE_EXHAUSTED, details: 'quota of one user' })
    await using stack = await startStack(seed, (_now, attempt) => (attempt < 60 ? exhausted : echo))
    const outcomes = await stack.callsUntil(12_000)
    expect(failed(outcomes)).toHaveLength(60)
    expect(outcomes.filter(({ refusedBy }) => refusedBy !== undefined)).toEqual([])
  })

  it('holds back no call to a server that is down for a moment now and then', async () => {
    // 300 ms of every 5 s
    await using stack = await startStack(seed, (now) => (now % 5000 < 300 ? down : echo))
    const outcomes = await stack.callsUntil(60_000)
    expect(heldBack(outcomes)).toEqual([])
    expect(failed(outcomes).length).toBeLessThan(outcomes.length * 0.05)
  })

  it('loses few calls to a flapping server while it is well, and none ten seconds after it was down', async () => {
    // down for 5 s, up for 15 s, three times
    await using stack = await startStack(seed, (now) => (now % 20_000 < 5000 ? down : echo))
    const outcomes = await stack.callsUntil(60_000)
    const whileWell = outcomes.filter(({ atMs }) => atMs % 20_000 >= 5500)
    expect(failed(whileWell).length).toBeLessThan(whileWell.length * 0.15)
    expect(failed(outcomes.filter(({ atMs }) => atMs % 20_000 >= 15_500))).toEqual([])
  })

  it.each([20_000, 60_000])('spares a server in an outage of %i ms, and recovers with it', async (outageMs) => {
    await using stack = await startStack(seed, (now) => (now < outageMs ? down : echo))
    const during = await stack.callsUntil(outageMs)
    expect(failed(during)).toHaveLength(during.length)
    expect(stack.received()).toBeLessThan(40)
    const after = await stack.callsUntil(outageMs + 60_000)
    const first = after.findIndex(({ code }) => code === Code.OK)
    // The circuit closes after three probes; nothing is held back once the server's refusals are ten seconds old.
    const firstMs = after[first]?.atMs ?? Number.POSITIVE_INFINITY
    expect(firstMs).toBeLessThan(outageMs + 45_000)
    expect(failed(after.filter(({ atMs }) => atMs > firstMs + 10_000))).toEqual([])
  })
})
