import { status as Code } from '@grpc/grpc-js'
import { type ClientCall, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  echo,
  endWith,
  FakeClock,
  Gate,
  heldBy,
  manual,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { circuitBreaker, consecutive, countWindow, timeWindow } from './index.ts'

// What is wrong with the circuit breaker of the gRPC Python documentation, by number, and is not wrong here.

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const SERVICE = 'grpcstack.testing.Test'
const down = endWith({ code: Code.UNAVAILABLE, details: 'down' })

describe.each(patterns)('%s', (pattern) => {
  // reference: flaw 71, sentence 43, symbol 82
  it('failures are counted, and the circuit opens', async () => {
    const breaker = circuitBreaker({ policy: consecutive(5) })
    const client = server.client(breaker)
    for (let i = 0; i < 5; i++) await runRpc(client, pattern, { metadata: server.behave(down) })
    expect(breaker.state(SERVICE)).toBe('open')
  })

  // reference: flaw 72, symbol 88
  it('a refusal is a whole status, told apart from the server’s, for the application and for outer interceptors', async () => {
    const seen: unknown[] = []
    const outer: Interceptor<ClientCall> = async (_call, next) => {
      const status = await next()
      seen.push([status.code, status.origin, status.refusedBy, RpcError.fromStatus(status).message])
      return status
    }
    const client = server.client(
      outer,
      circuitBreaker({ policy: consecutive(1), openJitter: 0, clock: new FakeClock() }),
    )
    const failed = await runRpc(client, pattern, { metadata: server.behave(down) })
    const refused = await runRpc(client, pattern)
    expect(failed.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'down' })
    expect(failed.error).not.toHaveProperty('refusedBy')
    expect(refused.error).toMatchObject({ code: Code.UNAVAILABLE, origin: 'local', refusedBy: 'circuitBreaker' })
    expect(seen).toEqual([
      [Code.UNAVAILABLE, 'remote', undefined, '14 UNAVAILABLE: down'],
      [
        Code.UNAVAILABLE,
        'local',
        'circuitBreaker',
        `14 UNAVAILABLE: Circuit ${SERVICE} is open; next probe in 1000 ms`,
      ],
    ])
  })

  // reference: flaw 73
  it('half-open is no dead end: probes that end oddly, or never, give their place back', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({
      policy: consecutive(1),
      openMs: 0,
      halfOpenPermits: 3,
      probeTimeoutMs: 1000,
      clock,
    })
    let bug = false
    const client = server.client(breaker, (_call, next) => {
      if (bug) throw new Error('not a status')
      return next()
    })
    await runRpc(client, pattern, { metadata: server.behave(down) })
    bug = true
    for (let i = 0; i < 10; i++) expect((await runRpc(client, pattern)).error?.code).toBe(Code.INTERNAL)
    bug = false
    const at = server.calls.length
    const hung = [0, 1, 2].map(() => startRpc(client, pattern, { metadata: server.behave(manual) }))
    await server.received(at + 2)
    expect((await runRpc(client, pattern)).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    clock.jump(1000)
    for (let i = 0; i < 3; i++) expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    expect(breaker.state(SERVICE)).toBe('closed')
    for (const rpc of hung) rpc.cancel()
    await Promise.all(hung.map((rpc) => rpc.done))
  })

  // reference: flaw 78
  it('all four patterns are guarded', async () => {
    const breaker = circuitBreaker({ policy: consecutive(1) })
    const client = server.client(breaker)
    await runRpc(client, pattern, { metadata: server.behave(down) })
    for (const other of patterns) expect((await runRpc(client, other)).error).toMatchObject({ origin: 'local' })
  })
})

describe('circuitBreaker', () => {
  const call = async (client: TestClient, behaviour: Behaviour = echo) =>
    (await runRpc(client, 'unary', { metadata: server.behave(behaviour) })).status?.code

  // reference: flaw 74
  it('one success does not close it while other probes are in flight', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ policy: consecutive(1), openMs: 0, halfOpenPermits: 2, clock })
    const client = server.client(breaker)
    await call(client, down)
    const gate = new Gate()
    const at = server.calls.length
    const other = startRpc(client, 'unary', { metadata: server.behave(heldBy(gate, down)) })
    await server.received(at)
    expect([await call(client), breaker.state(SERVICE)]).toEqual([Code.OK, 'half-open'])
    gate.open()
    await other.done
    expect(breaker.snapshot(SERVICE)?.openings).toBe(2)
  })

  // reference: flaw 75
  it('errors of the caller do not open it, and a cancel says nothing', async () => {
    const breaker = circuitBreaker({ policy: consecutive(3) })
    const client = server.client(breaker)
    for (const code of [Code.INVALID_ARGUMENT, Code.NOT_FOUND, Code.PERMISSION_DENIED, Code.UNAUTHENTICATED]) {
      for (let i = 0; i < 3; i++) await call(client, endWith({ code }))
    }
    for (let i = 0; i < 5; i++) {
      const at = server.calls.length
      const rpc = startRpc(client, 'unary', { metadata: server.behave(manual) })
      await server.received(at)
      rpc.cancel()
      await rpc.done
    }
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'closed', failures: 0 })
  })

  // reference: flaw 76
  it('a slow call from before changes nothing, neither its failure nor its success', async () => {
    for (const [late, expected] of [
      [down, 'half-open'],
      [echo, 'half-open'],
    ] as const) {
      const clock = new FakeClock()
      const breaker = circuitBreaker({ policy: consecutive(2), openMs: 1000, clock, halfOpenPermits: 2 })
      const client = server.client(breaker)
      const gate = new Gate()
      const at = server.calls.length
      const slow = [0, 1].map(() => startRpc(client, 'unary', { metadata: server.behave(heldBy(gate, late)) }))
      await server.received(at + 1)
      await call(client, down)
      await call(client, down)
      clock.jump(1000)
      await call(client)
      gate.open()
      await Promise.all(slow.map((rpc) => rpc.done))
      expect(breaker.state(SERVICE)).toBe(expected)
    }
  })

  // reference: flaw 77, symbol 83
  it('failures far apart do not open it, and half of all calls failing does', async () => {
    const clock = new FakeClock()
    const breaker = circuitBreaker({ policy: timeWindow({ minCalls: 5 }), clock })
    const client = server.client(breaker)
    for (let day = 0; day < 7; day++) {
      await call(client, down)
      clock.jump(86_400_000)
    }
    expect(breaker.state(SERVICE)).toBe('closed')
    for (let i = 0; i < 3; i++) {
      await call(client, down)
      await call(client)
    }
    expect(breaker.state(SERVICE)).toBe('open')
    const byCount = circuitBreaker({ policy: countWindow({ size: 4 }) })
    for (let i = 0; i < 2; i++) {
      await call(server.client(byCount), down)
      await call(server.client(byCount))
    }
    expect(byCount.state(SERVICE)).toBe('open')
  })

  // reference: flaw 78
  it('the key is target and service, or method, or one’s own; time is monotonic; open time grows, with jitter', async () => {
    const byMethod = circuitBreaker({ key: 'method' })
    await call(server.channel(byMethod).client(TestClient))
    expect(byMethod.keys()).toEqual([`${server.address}/${SERVICE}/Unary`])
    const breaker = circuitBreaker({ policy: consecutive(1), openMs: 1000, openJitter: 0.5, random: () => 0.5 })
    const client = server.client(breaker)
    await call(client, down)
    const wait = breaker.snapshot(SERVICE)?.retryInMs ?? 0
    expect(wait).toBeGreaterThan(600)
    expect(wait).toBeLessThanOrEqual(750)
  })

  // reference: flaw 79, symbol 86
  it('its changes can be heard, its numbers read, its state set by hand', async () => {
    const breaker = circuitBreaker({ policy: consecutive(2) })
    const heard: string[] = []
    breaker.on('stateChange', ({ key, from, to, reason }) => heard.push(`${key}: ${from} → ${to}, ${reason}`))
    const client = server.client(breaker)
    await call(client, down)
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'closed', failures: 1 })
    const release = breaker.forceOpen(SERVICE)
    expect(await call(client)).toBe(Code.UNAVAILABLE)
    release()
    breaker.reset(SERVICE)
    expect(await call(client)).toBe(Code.OK)
    expect(heard).toEqual([
      `${SERVICE}: closed → open, forced`,
      `${SERVICE}: open → half-open, released`,
      `${SERVICE}: half-open → closed, reset`,
    ])
  })

  // reference: flaw 80
  it('keys are bounded', async () => {
    let n = 0
    const breaker = circuitBreaker({ key: () => `key ${n++}`, maxKeys: 16 })
    const client = server.client(breaker)
    for (let i = 0; i < 100; i++) await call(client)
    expect(n).toBe(100)
    expect(breaker.keys()).toHaveLength(16)
  })
})
