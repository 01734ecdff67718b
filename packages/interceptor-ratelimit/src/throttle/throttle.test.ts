import { status as Code } from '@grpc/grpc-js'
import { type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import {
  endWith,
  FakeClock,
  interceptorSuite,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { type ThrottleOptions, throttle } from './throttle.ts'

interceptorSuite('throttle, adaptive', () => ({ client: throttle() }))
interceptorSuite('throttle with a rate', () => ({ client: throttle({ rate: 1e6 }) }))

describe('adaptive throttling', () => {
  it('sends everything while the server accepts, and holds back as the formula says when it refuses', async () => {
    const clock = new FakeClock(1e6)
    let dice = 1
    const adaptive = throttle({ clock, random: () => dice })
    await using server = await startTestServer()
    const client = server.client(adaptive)
    for (let i = 0; i < 20; i++) await runRpc(client, 'unary')
    expect(adaptive.state()).toEqual({ requests: 20, accepts: 20, rejection: 0 })
    server.behaviour = endWith({ code: Code.UNAVAILABLE })
    for (let i = 0; i < 40; i++) expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
    // 60 requests, 20 accepts: (60 − 2 × 20) ÷ 61
    expect(adaptive.state()).toEqual({ requests: 60, accepts: 20, rejection: 20 / 61 })
    dice = 20 / 61 - 1e-9
    for (const pattern of patterns) {
      const calls = server.calls.length
      const { status } = await runRpc(client, pattern)
      expect(status).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, details: expect.stringMatching(/^Throttled: /) })
      expect(server.calls).toHaveLength(calls)
    }
    // Those held back are requests, too.
    expect(adaptive.state()).toMatchObject({ requests: 64, accepts: 20 })
  })

  it('forgets after ten seconds, and recovers with the server', async () => {
    const clock = new FakeClock(1e6)
    const adaptive = throttle({ clock, random: () => 1 })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    const client = server.client(adaptive)
    for (let i = 0; i < 50; i++) await runRpc(client, 'unary')
    expect(adaptive.state().rejection).toBe(0.9)
    server.behaviour = endWith({ code: Code.NOT_FOUND }) // an answer is an acceptance
    for (let i = 0; i < 50; i++) await runRpc(client, 'unary')
    expect(adaptive.state()).toEqual({ requests: 100, accepts: 50, rejection: 0 })
    clock.jump(10_000)
    expect(adaptive.state()).toEqual({ requests: 0, accepts: 0, rejection: 0 })
  })

  it('converges on sending about k times what the server accepts', async () => {
    const clock = new FakeClock(1e6)
    let seed = 42
    const random = (): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return seed / 2 ** 32
    }
    let sent = 0
    const backend: Interceptor = () => {
      sent++
      // Accepts one call in ten.
      throw new RpcError(sent % 10 === 0 ? Code.NOT_FOUND : Code.UNAVAILABLE, '', { origin: 'remote' })
    }
    const adaptive = throttle({ clock, random, windowMs: 120_000 })
    await using server = await startTestServer()
    const client = server.client(adaptive, backend)
    for (let i = 0; i < 3000; i++) {
      clock.jump(40)
      await runRpc(client, 'unary')
    }
    const { requests, accepts, rejection } = adaptive.state()
    expect(requests).toBeGreaterThan(2500)
    // sent = requests × (1 − rejection) ≈ k × accepts, by the formula; sent ≈ 10 × accepts, by the server.
    expect(rejection).toBeCloseTo(0.9, 1)
    expect(sent / 3000).toBeLessThan(0.25)
    expect(accepts).toBeGreaterThan(0)
  })

  it('takes what is under way for no evidence: the first burst to a healthy server goes through', async () => {
    const adaptive = throttle({ random: () => 0 })
    await using server = await startTestServer()
    const client = server.client(adaptive)
    const rpcs = Array.from({ length: 50 }, () => startRpc(client, 'unary'))
    expect(adaptive.state()).toEqual({ requests: 0, accepts: 0, rejection: 0 })
    for (const rpc of rpcs) expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(adaptive.state()).toEqual({ requests: 50, accepts: 50, rejection: 0 })
  })

  it('takes refusals of other interceptors here for none of the server', async () => {
    const adaptive = throttle({ random: () => 1 })
    const breaker: Interceptor = () => ({ code: Code.UNAVAILABLE })
    await using server = await startTestServer()
    const client = server.client(adaptive, breaker)
    for (let i = 0; i < 20; i++) await runRpc(client, 'unary')
    expect(adaptive.state()).toEqual({ requests: 0, accepts: 0, rejection: 0 })
  })

  it('counts by target on channels of grpc-core', async () => {
    const adaptive = throttle({ random: () => 1 })
    await using good = await startTestServer()
    await using bad = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    for (const server of [good, bad]) {
      const call = server.channel(adaptive).client(TestClient)
      for (let i = 0; i < 20; i++) await runRpc(call, 'unary')
    }
    const states = [good, bad].map(({ address }) =>
      [address, `dns:${address}`].map((key) => adaptive.state(key).rejection),
    )
    expect(Math.max(...(states[0] ?? []))).toBe(0)
    expect(Math.max(...(states[1] ?? []))).toBeCloseTo(0.9, 1)
  })
})

describe('an outgoing rate', () => {
  const started = async (options: ThrottleOptions & { rate: number }) => {
    const clock = new FakeClock()
    const pacing = throttle({ clock, ...options })
    const server = await startTestServer()
    return { clock, pacing, server, client: server.client(pacing) }
  }

  it.each(patterns)('lets a %s over it wait for its turn', async (pattern) => {
    const { clock, pacing, server, client } = await started({ rate: 10, burst: 1 })
    await using _ = server
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    const second = startRpc(client, pattern, { requests: [{}] })
    const third = startRpc(client, pattern, { requests: [{}] })
    await settle()
    expect(pacing.waiting()).toBe(2)
    await clock.advance(99)
    expect(server.calls).toHaveLength(1)
    await clock.advance(1)
    await second.done
    expect(pacing.waiting()).toBe(1)
    await clock.advance(100)
    await third.done
    expect([second, third].map((rpc) => rpc.status?.code)).toEqual([Code.OK, Code.OK])
    expect(clock.pending).toBe(0)
  })

  it('never sends more than burst + rate × span', async () => {
    const { clock, server, client } = await started({ rate: 10, burst: 3 })
    await using _ = server
    const rpcs = Array.from({ length: 10 }, () => startRpc(client, 'unary'))
    const sent: number[] = []
    for (let i = 0; i < 7; i++) {
      await settle()
      sent.push(10 - rpcs.length + server.calls.length)
      await clock.advance(100)
      while (server.calls.length < Math.min(10, 4 + i)) await settle(1)
    }
    await Promise.all(rpcs.map((rpc) => rpc.done))
    expect(sent).toEqual([3, 4, 5, 6, 7, 8, 9])
  })

  it('refuses at once a call whose turn comes after its deadline', async () => {
    const { clock, pacing, server, client } = await started({ rate: 1, perMs: 60_000, burst: 1 })
    await using _ = server
    await runRpc(client, 'unary')
    for (const pattern of patterns) {
      const { status } = await runRpc(client, pattern, { options: { deadline: Date.now() + 30_000 } })
      expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
      expect(status?.details).toBe('Throttled: 1 per 60000 ms, burst 1; the turn of this call comes after its deadline')
      expect(status?.metadata.get('grpc-retry-pushback-ms')).toEqual(['60000'])
    }
    expect(pacing.waiting()).toBe(0)
    expect(clock.pending).toBe(0)
    const patient = startRpc(client, 'unary', { options: { deadline: Date.now() + 90_000 } })
    await settle()
    expect(pacing.waiting()).toBe(1)
    await clock.advance(60_000)
    await patient.done
    expect(patient.status?.code).toBe(Code.OK)
  })

  it('is bounded by maxWaitMs and maxQueue', async () => {
    const { pacing, server, client } = await started({ rate: 10, burst: 1, maxWaitMs: 250, maxQueue: 1 })
    await using _ = server
    await runRpc(client, 'unary')
    const waiter = startRpc(client, 'unary')
    await settle()
    expect((await runRpc(client, 'unary')).status?.details).toContain('1 calls are waiting')
    waiter.cancel()
    await waiter.done
    expect(pacing.waiting()).toBe(0)
    const impatient = await started({ rate: 10, burst: 1, maxWaitMs: 50 })
    await using __ = impatient.server
    await runRpc(impatient.client, 'unary')
    expect((await runRpc(impatient.client, 'unary')).status?.details).toContain('comes after 50 ms')
  })

  it('lets those behind move up when one in the line is cancelled', async () => {
    const { clock, pacing, server, client } = await started({ rate: 10, burst: 1 })
    await using _ = server
    await runRpc(client, 'unary')
    const gone = startRpc(client, 'unary')
    const next = startRpc(client, 'unary')
    await settle()
    gone.cancel()
    await gone.done
    expect(gone.status?.code).toBe(Code.CANCELLED)
    expect(pacing.waiting()).toBe(1)
    await clock.advance(100)
    await next.done
    expect(next.status?.code).toBe(Code.OK)
    expect(clock.pending).toBe(0)
    expect(server.calls).toHaveLength(2)
  })

  it('charges by cost, and refuses what never fits', async () => {
    const { server, client } = await started({ rate: 10, cost: (call) => (call.method.pattern === 'unary' ? 11 : 5) })
    await using _ = server
    const { status } = await runRpc(client, 'unary')
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(status?.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1'])
    expect((await runRpc(client, 'bidi')).status?.code).toBe(Code.OK)
  })

  it('keeps its rate in real time, too', async () => {
    await using server = await startTestServer()
    const client = server.client(throttle({ rate: 100, burst: 1 }))
    const begin = performance.now()
    await Promise.all(Array.from({ length: 11 }, () => runRpc(client, 'unary')))
    expect(performance.now() - begin).toBeGreaterThanOrEqual(99)
    expect(server.calls).toHaveLength(11)
  })
})

describe('options', () => {
  it.each<[object, string]>([
    [{ rate: 0 }, 'throttle: option "rate"'],
    [{ rate: undefined }, 'throttle: option "rate"'],
    [{ rate: 5, burst: 0 }, 'throttle: option "burst"'],
    [{ rate: 5, cost: 6 }, 'throttle: option "cost"'],
    [{ rate: 5, maxWaitMs: -1 }, 'throttle: option "maxWaitMs"'],
    [{ rate: 5, maxQueue: 0.5 }, 'throttle: option "maxQueue"'],
    [{ rate: 5, k: 2 }, 'throttle: unknown option "k"'],
    [{ k: 0.5 }, 'throttle: option "k" must be a number ≥ 1, got 0.5'],
    [{ windowMs: 0 }, 'throttle: option "windowMs"'],
    [{ maxRejection: 1.1 }, 'throttle: option "maxRejection"'],
    [{ random: 4 }, 'throttle: option "random"'],
    [{ key: 'target' }, 'throttle: option "key"'],
    [{ burst: 4 }, 'throttle: unknown option "burst"'],
  ])('%j: %s', (options, message) => {
    expect(() => throttle(options as ThrottleOptions & { rate: number })).toThrow(message)
  })
})
