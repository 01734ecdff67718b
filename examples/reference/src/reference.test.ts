import { status as Code, credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import {
  type Channel,
  createChannel,
  createClient,
  createServer,
  interceptChannel,
  RpcError,
} from '@grpc-stack/grpc-core'
import { FakeClock } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { InvalidTokenError } from './by-hand/authentication-server-interceptor.ts'
import { CircuitBreakerInterceptor } from './by-hand/circuit-breaker-interceptor.ts'
import { createInterceptedChannel as channelByHand } from './by-hand/create-intercepted-channel.ts'
import { createServerWithInterceptors as serverByHand } from './by-hand/create-server-with-interceptors.ts'
import { LoggingClientInterceptor } from './by-hand/logging-client-interceptor.ts'
import { MetricsInterceptor } from './by-hand/metrics-interceptor.ts'
import { RateLimitingServerInterceptor } from './by-hand/rate-limiting-server-interceptor.ts'
import { MyService } from './my-service.ts'
import { createCircuitBreaker } from './with-packages/circuit-breaker.ts'
import { createInterceptedChannel as channelWithPackages } from './with-packages/create-intercepted-channel.ts'
import { createServerWithInterceptors as serverWithPackages } from './with-packages/create-server-with-interceptors.ts'
import { createMeasuredServer } from './with-packages/metrics.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function listen(server: ReturnType<typeof createServer>): Promise<string> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  closers.push(() => server.drain(0))
  return `127.0.0.1:${port}`
}

function keep<C extends Channel>(channel: C): C {
  closers.push(() => channel.close())
  return channel
}

async function texts(responses: AsyncIterable<{ message: string }>): Promise<string[]> {
  const all: string[] = []
  for await (const { message } of responses) all.push(message)
  return all
}

const failureOf = (call: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(call).then(
    () => undefined,
    (error: unknown) => error,
  )

/** A logger of pino's shape that keeps its records. */
function recording() {
  const records: Record<string, unknown>[] = []
  const add = (fields: object): void => void records.push({ ...fields })
  return { records, logger: { debug: add, info: add, warn: add, error: add } }
}

describe('the composed server and the intercepted channel', () => {
  // reference: sentence 37, symbol 50, symbol 59, symbol 66
  it('by hand: logged, authenticated, limited; handlers read the context variables', async () => {
    const lines: string[] = []
    const validator = {
      validateToken: async (token: string) => {
        if (token !== 'good') throw new InvalidTokenError()
        return 'a user'
      },
    }
    const target = await listen(serverByHand(validator, (line) => lines.push(line)))
    const client = createClient(
      MyService,
      keep(channelByHand(target, { getToken: () => 'good' }, (l) => lines.push(l))),
    )
    expect((await client.myMethod({ name: 'x' })).message).toMatch(/^Hello a user \([0-9a-f-]{36}\)$/)
    // The reference's authentication interceptor is for unary calls: streams bring their token themselves.
    const metadata = new Metadata()
    metadata.set('authorization', 'bearer good')
    expect(await texts(client.myStream({ name: 'x', count: 2 }, { metadata }))).toEqual([
      '0 for a user',
      '1 for a user',
    ])
    expect(await client.myUpload([{ name: 'a' }, { name: 'b' }], { metadata })).toEqual({ message: 'ab from a user' })
    expect(await texts(client.myChat([{ name: 'hi' }], { metadata }))).toEqual(['hi, a user'])
    for (const text of ['[CLIENT] Calling /reference.v1.MyService/MyMethod', 'completed with 2 responses']) {
      expect(
        lines.some((line) => line.includes(text)),
        text,
      ).toBe(true)
    }
    expect(lines.filter((line) => line.includes('Processing')).length).toBe(4)
  })

  // reference: symbol 80
  it('by hand: a refusal comes at once, whatever the client does', async () => {
    const validator = { validateToken: () => Promise.reject(new InvalidTokenError()) }
    const target = await listen(serverByHand(validator, () => undefined))
    const client = createClient(MyService, keep(createChannel(target, credentials.createInsecure())))
    const silent = (async function* (): AsyncGenerator<{ name: string }> {
      await new Promise(() => undefined)
      yield { name: '' }
    })()
    for (const call of [client.myMethod({ name: 'x' }), client.myUpload([]), texts(client.myChat(silent))]) {
      expect(await failureOf(call)).toMatchObject({ code: Code.UNAUTHENTICATED })
    }
  })

  // reference: sentence 21, symbol 66, symbol 71, symbol 80
  it('with the packages: the same, for all four patterns', async () => {
    const server = recording()
    const client = recording()
    const target = await listen(
      serverWithPackages((token) => (token === 'good' ? { subject: 'a user' } : null), server.logger),
    )
    const good = createClient(MyService, keep(channelWithPackages(target, () => 'good', client.logger)))
    expect((await good.myMethod({ name: 'x' })).message).toMatch(/^Hello a user \(\S+\)$/)
    expect(await texts(good.myStream({ name: 'x', count: 2 }))).toEqual(['0 for a user', '1 for a user'])
    expect(await good.myUpload([{ name: 'a' }, { name: 'b' }])).toEqual({ message: 'ab from a user' })
    expect(await texts(good.myChat([{ name: 'hi' }]))).toEqual(['hi, a user'])
    const bad = createClient(MyService, keep(channelWithPackages(target, () => 'bad', client.logger)))
    expect(await failureOf(bad.myMethod({ name: 'x' }))).toMatchObject({ code: Code.UNAUTHENTICATED })
    expect(server.records).toHaveLength(5)
    expect(client.records).toHaveLength(5)
  })
})

describe('the retry interceptor', () => {
  /** Fails so many times, then answers. */
  async function flaky(failures: number): Promise<{ target: string; calls: () => number }> {
    let calls = 0
    const server = createServer()
    server.addService(MyService, {
      myMethod: async () => {
        if (++calls <= failures) throw new RpcError(Code.UNAVAILABLE, 'not yet')
        return { message: 'at last' }
      },
    })
    return { target: await listen(server), calls: () => calls }
  }

  // reference: symbol 62
  it('by hand: retries UNAVAILABLE, and gives up after its retries', async () => {
    const { target, calls } = await flaky(2)
    const open = (to: string) =>
      createClient(MyService, keep(channelByHand(to, { getToken: () => 't' }, () => undefined)))
    expect(await open(target).myMethod({ name: 'x' })).toEqual({ message: 'at last' })
    expect(calls()).toBe(3)
    const never = await flaky(100)
    expect(await failureOf(open(never.target).myMethod({ name: 'x' }))).toMatchObject({ code: Code.UNAVAILABLE })
    expect(never.calls()).toBe(4)
  })

  it('with the package: the same', async () => {
    const { target, calls } = await flaky(2)
    const client = createClient(MyService, keep(channelWithPackages(target, () => 't', recording().logger)))
    expect(await client.myMethod({ name: 'x' })).toEqual({ message: 'at last' })
    expect(calls()).toBe(3)
  })
})

describe('the logging client interceptor', () => {
  // reference: sentence 16, symbol 55, symbol 56
  it('by hand: says failed for what failed, in all four patterns', async () => {
    const lines: string[] = []
    const target = await listen(createServer())
    const channel = keep(createChannel(target, credentials.createInsecure()))
    const client = createClient(
      MyService,
      interceptChannel(channel, new LoggingClientInterceptor((l) => lines.push(l))),
    )
    await failureOf(client.myMethod({ name: 'x' }))
    await failureOf(texts(client.myStream({ name: 'x' })))
    await failureOf(client.myUpload([]))
    await failureOf(texts(client.myChat([])))
    expect(lines.filter((line) => line.includes('failed'))).toHaveLength(4)
    expect(lines.some((line) => line.includes('completed'))).toBe(false)
  })
})

describe('the rate limiting server interceptor', () => {
  // reference: symbol 76
  it('by hand: admits a minute of calls at once, refuses the next, and lets them in again as time passes', async () => {
    let now = 0
    const server = createServer({ interceptors: [new RateLimitingServerInterceptor(3, () => now)] })
    server.addService(MyService, { myMethod: async () => ({ message: 'in' }) })
    const channel = keep(createChannel(await listen(server), credentials.createInsecure()))
    const client = createClient(MyService, channel)
    for (let i = 0; i < 3; i++) await client.myMethod({ name: 'x' })
    expect(await failureOf(client.myMethod({ name: 'x' }))).toMatchObject({ code: Code.RESOURCE_EXHAUSTED })
    now += 20_000
    expect(await client.myMethod({ name: 'x' })).toEqual({ message: 'in' })
  })
})

describe('the circuit breaker', () => {
  async function broken(): Promise<{ channel: Channel; repair(): void; calls: () => number }> {
    let calls = 0
    let healthy = false
    const server = createServer()
    server.addService(MyService, {
      myMethod: async () => {
        calls++
        if (!healthy) throw new RpcError(Code.UNAVAILABLE, 'down')
        return { message: 'up' }
      },
    })
    const channel = keep(createChannel(await listen(server), credentials.createInsecure()))
    return {
      channel,
      calls: () => calls,
      repair: () => {
        healthy = true
      },
    }
  }

  // reference: symbol 82
  it('by hand: opens after five failures, probes after its timeout, closes on success', async () => {
    const { channel, calls, repair } = await broken()
    let now = 0
    const breaker = new CircuitBreakerInterceptor(5, 60_000, 3, () => now)
    const client = createClient(MyService, interceptChannel(channel, breaker))
    for (let i = 0; i < 5; i++) await failureOf(client.myMethod({ name: 'x' }))
    expect(breaker.state('reference.v1.MyService')).toBe('open')
    expect(await failureOf(client.myMethod({ name: 'x' }))).toMatchObject({ details: 'Circuit breaker is OPEN' })
    expect(calls()).toBe(5)
    repair()
    now += 60_001
    expect(await client.myMethod({ name: 'x' })).toEqual({ message: 'up' })
    expect(breaker.state('reference.v1.MyService')).toBe('closed')
  })

  // reference: symbol 83
  it('with the package: the same, told apart by who refused', async () => {
    const { channel, calls, repair } = await broken()
    const clock = new FakeClock()
    const breaker = createCircuitBreaker({ clock, random: () => 0 })
    const client = createClient(MyService, interceptChannel(channel, breaker))
    for (let i = 0; i < 5; i++) await failureOf(client.myMethod({ name: 'x' }))
    expect(await failureOf(client.myMethod({ name: 'x' }))).toMatchObject({
      code: Code.UNAVAILABLE,
      origin: 'local',
      refusedBy: 'circuitBreaker',
    })
    expect(calls()).toBe(5)
    repair()
    await clock.advance(120_000)
    expect(await client.myMethod({ name: 'x' })).toEqual({ message: 'up' })
  })
})

describe('metrics', () => {
  const handlers = {
    myMethod: async (call: { request: { name: string } }) => {
      if (call.request.name === 'bad') throw new RpcError(Code.NOT_FOUND, 'no')
      return { message: 'ok' }
    },
    myStream: async function* () {
      yield { message: '1' }
      throw new RpcError(Code.ABORTED, 'half way')
    },
  }

  async function exercise(target: string): Promise<void> {
    const client = createClient(MyService, keep(createChannel(target, credentials.createInsecure())))
    await client.myMethod({ name: 'good' })
    await failureOf(client.myMethod({ name: 'bad' }))
    await failureOf(texts(client.myStream({ name: 'x' })))
  }

  const unary = '/reference.v1.MyService/MyMethod'
  const stream = '/reference.v1.MyService/MyStream'

  // reference: symbol 89
  it('by hand: counts requests and errors of every pattern, and averages what it timed', async () => {
    const interceptor = new MetricsInterceptor()
    const server = createServer({ interceptors: [interceptor] })
    server.addService(MyService, handlers)
    await exercise(await listen(server))
    const { requests, errors, averageLatencyMs } = interceptor.getMetrics()
    expect(requests).toEqual({ [unary]: 2, [stream]: 1 })
    expect(errors).toEqual({ [unary]: 1, [stream]: 1 })
    expect(averageLatencyMs[stream]).toBeGreaterThan(0)
  })

  // reference: symbol 90, symbol 91
  it('with the package: the same, and by code', async () => {
    const { server, recorder } = createMeasuredServer()
    server.addService(MyService, handlers)
    await exercise(await listen(server))
    const snapshot = recorder.snapshot()
    expect(snapshot.requests).toEqual({ [unary]: 2, [stream]: 1 })
    expect(snapshot.errors).toEqual({ [unary]: 1, [stream]: 1 })
    expect(snapshot.averageLatencyMs[stream]).toBeGreaterThan(0)
  })
})
