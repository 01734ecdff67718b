import { status as Code } from '@grpc/grpc-js'
import {
  FakeClock,
  Gate,
  heldBy,
  manual,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  type TestClient,
  type TestServer,
  unserializable,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  circuitBreaker,
  consecutive,
  countWindow,
  timeWindow,
} from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
  await runRpc(server.client(), 'unary') // connected, so that short deadlines reach the server
})
afterAll(() => server.stop())

const SERVICE = 'grpcstack.testing.Test'

function setUp(options: CircuitBreakerOptions) {
  const clock = new FakeClock()
  const breaker = circuitBreaker({ clock, openJitter: 0, ...options })
  return { clock, breaker, client: server.client(breaker) }
}

type Pattern = (typeof patterns)[number]

/** A call that the server never answers. */
async function unanswered(client: TestClient, deadlineMs: number, pattern: Pattern = 'unary') {
  const options = { deadline: Date.now() + deadlineMs }
  return (await runRpc(client, pattern, { metadata: server.behave(manual), options })).status?.code
}

/** Has the circuit go by what its probes find. */
async function halfOpen(breaker: CircuitBreaker, client: TestClient) {
  await runRpc(client, 'unary')
  breaker.forceOpen(SERVICE)()
}

/** Calls that take 10 ms by the clock of the breaker. */
async function answered(client: TestClient, clock: FakeClock, count: number) {
  for (let i = 0; i < count; i++) {
    const gate = new Gate()
    const at = server.calls.length
    const rpc = startRpc(client, 'unary', { metadata: server.behave(heldBy(gate)) })
    await server.received(at)
    clock.jump(10)
    gate.open()
    await rpc.done
  }
}

describe.each(patterns)('the deadline of one caller, %s', (pattern) => {
  it('is no failure of the server: forty calls with 15 ms do not open the circuit for others', async () => {
    const { breaker, client } = setUp({ policy: timeWindow() })
    const calls = Array.from({ length: 40 }, () => unanswered(client, 15, pattern))
    expect(new Set(await Promise.all(calls))).toEqual(new Set([Code.DEADLINE_EXCEEDED]))
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'closed', calls: 0, failures: 0 })
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
  })

  it('decides nothing as a probe, and gives the place back', async () => {
    const { clock, breaker, client } = setUp({ policy: consecutive(1), openMs: 1000, halfOpenPermits: 1 })
    await halfOpen(breaker, client)
    for (let i = 0; i < 3; i++) expect(await unanswered(client, 15, pattern)).toBe(Code.DEADLINE_EXCEEDED)
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'half-open', probes: 0, openings: 0 })
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    expect(breaker.state(SERVICE)).toBe('closed')
    expect(clock.pending).toBe(0)
  })
})

describe('a unary call that reaches its deadline', () => {
  it('is a failure if it had over four times the usual time of the method, and nothing if it had less', async () => {
    const { clock, breaker, client } = setUp({ policy: consecutive(1) })
    await answered(client, clock, 20)
    await unanswered(client, 30)
    expect(breaker.state(SERVICE)).toBe('closed')
    await unanswered(client, 300)
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it('is nothing before 20 calls have shown the usual time', async () => {
    const { clock, breaker, client } = setUp({ policy: consecutive(1) })
    await answered(client, clock, 19)
    await unanswered(client, 300)
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('is compared with calls of the same method', async () => {
    const { clock, breaker, client } = setUp({ policy: consecutive(1) })
    await answered(client, clock, 20)
    await unanswered(client, 300, 'clientStream')
    expect(breaker.state(SERVICE)).toBe('closed')
  })

  it('is a failure if it had more than slowMs, and nothing if it had less, where a policy has slowMs', async () => {
    const { breaker, client } = setUp({ policy: countWindow({ size: 1, slowMs: 100 }) })
    await unanswered(client, 60)
    expect(breaker.state(SERVICE)).toBe('closed')
    await unanswered(client, 300)
    expect(breaker.state(SERVICE)).toBe('open')
  })

  it('that had the time opens a half-open circuit again', async () => {
    const { clock, breaker, client } = setUp({ policy: consecutive(1), halfOpenPermits: 1 })
    await answered(client, clock, 20)
    await halfOpen(breaker, client)
    await unanswered(client, 300)
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'open', openings: 1 })
  })

  it('is what isFailure says, if there is one', async () => {
    const verdicts: [boolean | undefined, number, number][] = [
      [true, 1, 1],
      [false, 1, 0],
      [undefined, 0, 0],
    ]
    const seen = verdicts.map(async ([verdict]) => {
      const { breaker, client } = setUp({ policy: countWindow({ size: 2 }), isFailure: () => verdict })
      // Nothing is asked of a call whose deadline passes before it is sent, as 15 ms may on a busy machine.
      await unanswered(client, 1000)
      return [verdict, breaker.snapshot(SERVICE)?.calls, breaker.snapshot(SERVICE)?.failures]
    })
    expect(await Promise.all(seen)).toEqual(verdicts)
  })
})

describe('probes that cannot show that the server fails', () => {
  it('give their places to calls that can', async () => {
    const { clock, breaker, client } = setUp({ policy: consecutive(1), halfOpenPermits: 1 })
    await halfOpen(breaker, client)
    const at = server.calls.length
    const options = { deadline: Date.now() + 60_000 }
    const hasty = startRpc(client, 'unary', { metadata: server.behave(manual), options })
    await server.received(at)
    expect((await runRpc(client, 'unary', { options })).error).toMatchObject({ refusedBy: 'circuitBreaker' })
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
    expect(breaker.state(SERVICE)).toBe('closed')
    hasty.cancel()
    await hasty.done
    expect([breaker.state(SERVICE), clock.pending]).toEqual(['closed', 0])
  })
})

describe('how slowly the caller sends', () => {
  const slow = () => setUp({ policy: countWindow({ size: 1, slowMs: 100 }) })

  it('makes no clientStream slow', async () => {
    const { clock, breaker, client } = slow()
    const at = server.calls.length
    const rpc = startRpc(client, 'clientStream')
    await server.received(at)
    await rpc.write({ n: 1 })
    clock.jump(1000)
    await rpc.write({ n: 1 })
    clock.jump(1000)
    rpc.end()
    expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'closed', calls: 1, slow: 0 })
  })

  it('makes no bidi slow: its time runs from the latest request message', async () => {
    const { clock, breaker, client } = slow()
    const at = server.calls.length
    const rpc = startRpc(client, 'bidi')
    await server.received(at)
    clock.jump(1000)
    await rpc.write({ n: 1 })
    rpc.end()
    expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'closed', calls: 1, slow: 0 })
  })
})

describe('a message that the caller cannot send', () => {
  it('is no failure of the server', async () => {
    for (const pattern of patterns) {
      const { breaker, client } = setUp({ policy: consecutive(1) })
      await runRpc(client, pattern, { requests: [unserializable] })
      expect(breaker.state(SERVICE)).toBe('closed')
    }
  })
})
