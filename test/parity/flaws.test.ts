// The flaws of the reference that belong to no single package: how its examples are composed, and what they leave behind.
// The others are with their packages; docs/reference-parity.md has all of them.
import { status as Code } from '@grpc/grpc-js'
import { createClient, type StackServer } from '@grpc-stack/grpc-core'
import {
  echo,
  FakeClock,
  Gate,
  heldBy,
  metadataOf,
  patterns,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  testService,
} from '@grpc-stack/grpc-testing'
import { clientAuth, principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker, consecutive, countWindow, type FailurePolicy } from '@grpc-stack/interceptor-circuit'
import { type LogFields, type Logger, logging, requestId } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { byPrincipal, concurrencyLimit, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { describe, expect, it } from 'vitest'

function recording(): { records: LogFields[]; logger: Logger } {
  const records: LogFields[] = []
  const add = (fields: LogFields): void => void records.push(fields)
  return { records, logger: { debug: add, info: add, warn: add, error: add } }
}

const unavailable = (rpc: ServerRpc): void => rpc.end({ code: Code.UNAVAILABLE, details: 'down' })
const authorization = (rpc: ServerRpc): unknown => rpc.metadata.get('authorization')[0]

/** The client stack the documentation recommends, in its order, outermost first. */
function clientStack(policy: FailurePolicy = countWindow({ size: 10, minCalls: 10 })) {
  const clock = new FakeClock()
  const { records, logger } = recording()
  const recorder = inMemory()
  const breaker = circuitBreaker({ policy, clock, random: () => 0 })
  let tokens = 0
  const token = async () => `t${++tokens}`
  const interceptors = [
    tracing(),
    metrics({ recorder, clock }),
    logging({ logger }),
    retry({ clock, random: () => 1, budget: false }),
    breaker,
    throttle({ clock, random: () => 1 }),
    clientAuth({ token, allowInsecure: true }),
  ]
  return { clock, records, recorder, breaker, interceptors }
}

/** The server stack the documentation recommends, in its order, outermost first. */
function serverStack() {
  const clock = new FakeClock()
  const { records, logger } = recording()
  const recorder = inMemory()
  const verified: string[] = []
  const verify = (token: string) => {
    verified.push(token)
    return token.startsWith('good') ? { subject: token } : null
  }
  const interceptors = [
    requestId(),
    tracing(),
    metrics({ recorder, clock }),
    logging({ logger }),
    concurrencyLimit({ limit: 1 }),
    rateLimit({ rate: 4, perMs: 60_000, clock, name: 'peer' }),
    serverAuth({ verify, cache: false }),
    rateLimit({ rate: 1, perMs: 60_000, clock, name: 'principal', key: byPrincipal(principalVar) }),
  ]
  return { clock, records, recorder, verified, interceptors }
}

describe('the recommended client stack', () => {
  // reference: flaw 28, flaw 88, sentence 2, sentence 21
  it.each(patterns)('one record for a %s call, a fresh token for each attempt', async (pattern) => {
    const { clock, records, recorder, breaker, interceptors } = clientStack()
    await using server = await startTestServer({
      behaviour: (rpc) => (server.calls.length < 3 ? unavailable(rpc) : echo(rpc)),
    })
    const rpc = startRpc(server.channel(...interceptors).client(TestClient), pattern, {
      requests: [{ text: 'hello', n: 1 }],
    })
    for (let retries = 0; retries < 2; retries++) await clock.advance(await clock.timerSet())
    expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(server.calls.map(authorization)).toEqual(['Bearer t1', 'Bearer t2', 'Bearer t3'])
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({ 'grpc.code': 'OK', 'grpc.attempts': 3 })
    expect(Object.values(recorder.snapshot({ side: 'client' }).requests)).toEqual([1])
    // One call for the application, three for the breaker: two failures, then a success.
    const [circuit = ''] = breaker.keys()
    expect(breaker.snapshot(circuit)).toMatchObject({ state: 'closed', calls: 3, failures: 2 })
  })

  // reference: flaw 79, flaw 88
  it('the breaker judges attempts: it opens in the midst of a call', async () => {
    const { clock, records, breaker, interceptors } = clientStack(consecutive(2))
    const opened: string[] = []
    breaker.on('stateChange', ({ from, to }) => opened.push(`${from} → ${to}`))
    await using server = await startTestServer({ behaviour: unavailable })
    const rpc = startRpc(server.channel(...interceptors).client(TestClient), 'unary')
    for (let retries = 0; retries < 2; retries++) await clock.advance(await clock.timerSet())
    expect((await rpc.done).status?.code).toBe(Code.UNAVAILABLE)
    expect(server.calls).toHaveLength(2)
    expect(opened).toEqual(['closed → open'])
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({ 'grpc.refused_by': 'circuitBreaker' })
  })
})

describe('the recommended server stack', () => {
  // reference: flaw 65, flaw 89, symbol 47
  it('every refused call is logged and counted, whichever interceptor refuses it', async () => {
    const { records, recorder, verified, interceptors } = serverStack()
    await using server = await startTestServer({ interceptors })
    const client = server.client()
    const call = async (token?: string) => {
      const metadata = metadataOf(token === undefined ? {} : { authorization: `Bearer ${token}` })
      return (await runRpc(client, 'unary', { metadata })).status?.code
    }
    const held = new Gate()
    const first = startRpc(client, 'unary', {
      metadata: server.behave(heldBy(held), metadataOf({ authorization: 'Bearer good' })),
    })
    await server.received(0)
    expect(await call('good')).toBe(Code.RESOURCE_EXHAUSTED) // concurrencyLimit
    held.open()
    expect((await first.done).status?.code).toBe(Code.OK)
    expect(await call()).toBe(Code.UNAUTHENTICATED)
    expect(await call('bad')).toBe(Code.UNAUTHENTICATED)
    expect(await call('good')).toBe(Code.RESOURCE_EXHAUSTED) // by principal
    expect(await call('bad')).toBe(Code.RESOURCE_EXHAUSTED) // by peer, before it costs a verification
    expect(verified).toEqual(['good', 'bad', 'good'])
    expect(records.map((record) => [record['grpc.code'], record['grpc.refused_by']])).toEqual([
      ['RESOURCE_EXHAUSTED', 'concurrencyLimit'],
      ['OK', undefined],
      ['UNAUTHENTICATED', 'serverAuth'],
      ['UNAUTHENTICATED', 'serverAuth'],
      ['RESOURCE_EXHAUSTED', 'rateLimit'],
      ['RESOURCE_EXHAUSTED', 'rateLimit'],
    ])
    expect(records.every((record) => typeof record['request.id'] === 'string')).toBe(true)
    expect(Object.values(recorder.snapshot({ side: 'server' }).byCode)).toEqual([
      { OK: 1, UNAUTHENTICATED: 2, RESOURCE_EXHAUSTED: 3 },
    ])
  })
})

const timers = (): number => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length

describe('an orderly end', () => {
  // reference: flaw 90
  it('calls that are cancelled leave no timer of a client stack, and a token fetch ends by itself', async () => {
    const { clock, interceptors } = clientStack()
    const fetching = new Gate()
    const signals: AbortSignal[] = []
    const hung = clientAuth({
      token: ({ signal }) => {
        signals.push(signal)
        fetching.open()
        return new Promise<never>(() => undefined)
      },
      allowInsecure: true,
      timeoutMs: 5000,
      clock,
    })
    const pacing = throttle({ rate: 1, perMs: 60_000, burst: 1, maxWaitMs: 120_000, clock })
    await using server = await startTestServer({ behaviour: unavailable })
    const before = timers()
    const backingOff = startRpc(server.client(...interceptors), 'unary')
    await clock.timerSet()
    const withoutToken = startRpc(server.client(hung), 'unary', { options: { deadline: Date.now() + 600_000 } })
    await fetching.opened
    const paced = server.client(pacing)
    await runRpc(paced, 'unary')
    const waiting = startRpc(paced, 'unary')
    await settle()
    expect(clock.pending).toBe(3)
    for (const rpc of [backingOff, withoutToken, waiting]) rpc.cancel()
    for (const rpc of [backingOff, withoutToken, waiting]) {
      expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
    }
    // A token is for all calls of the interceptor: fetching one ends with its own timeout, not with a call.
    expect(clock.pending).toBe(1)
    await clock.advance(5000)
    expect(signals.map(({ aborted }) => aborted)).toEqual([true])
    expect(clock.pending).toBe(0)
    await server.stop()
    await settle()
    expect(timers()).toBeLessThanOrEqual(before)
  })

  // reference: flaw 90
  it('drain ends what is still going on, and leaves no timer of a server stack, and a verification ends by itself', async () => {
    const clock = new FakeClock()
    const { records, logger } = recording()
    const verifying = new Gate()
    const verify = (token: string) => {
      if (token === 'good') return { subject: token, expiresAt: Date.now() + 600_000 }
      verifying.open()
      return new Promise<never>(() => undefined)
    }
    const server = await startTestServer({
      interceptors: [
        logging({ logger }),
        concurrencyLimit({ limit: 2, queue: 5, queueTimeoutMs: 60_000, clock }),
        serverAuth({ verify, endStreamsOnExpiry: true, timeoutMs: 5000, clock }),
      ],
      behaviour: () => undefined,
    })
    try {
      const before = timers()
      const client = server.client()
      const as = (token: string) => ({ metadata: metadataOf({ authorization: `Bearer ${token}` }) })
      const stream = startRpc(client, 'bidi', as('good'))
      await server.received(0)
      const unverified = startRpc(client, 'unary', as('slow'))
      await verifying.opened
      const queued = startRpc(client, 'unary', as('good'))
      while (clock.pending < 3) await settle(1)
      // createServer's, unless the test server is told to be a stock one.
      await (server.server as StackServer).drain(0)
      const ends = await Promise.all([stream, unverified].map(({ done }) => done))
      expect(ends.map(({ status }) => status?.code)).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE])
      expect((await queued.done).status?.code).not.toBe(Code.OK)
      expect(server.calls).toHaveLength(1)
      await settle()
      // A verdict is for all calls with the same token: finding it ends with its own timeout, not with a call.
      expect(clock.pending).toBe(1)
      await clock.advance(5000)
      expect(clock.pending).toBe(0)
      expect(records).toHaveLength(3)
      await server.stop()
      await settle()
      expect(timers()).toBeLessThanOrEqual(before)
    } finally {
      await server.stop()
    }
  })

  // reference: flaw 90
  it('a call after close fails at once, with a status', async () => {
    const { interceptors } = clientStack()
    await using server = await startTestServer()
    const channel = server.channel(...interceptors)
    const client = createClient(testService, channel)
    expect(await client.unary({ text: 'hello' })).toEqual({ text: 'hello' })
    channel.close()
    await expect(client.unary({})).rejects.toMatchObject({ code: Code.UNAVAILABLE })
  })
})
