import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { type ClientCall, createServer, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import {
  endWith,
  FakeClock,
  failing,
  Gate,
  heldBy,
  interceptorSuite,
  manual,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  type TestServer,
  type TestServerOptions,
  testService,
  unparsable,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { inMemory } from './in-memory/in-memory.ts'
import { metrics } from './metrics.ts'
import type { Recorder } from './recorder.ts'

const servers: TestServer[] = []
const start = async (options?: TestServerOptions): Promise<TestServer> => {
  const server = await startTestServer(options)
  servers.push(server)
  return server
}
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

const paths = {
  unary: '/grpcstack.testing.Test/Unary',
  clientStream: '/grpcstack.testing.Test/ClientStream',
  serverStream: '/grpcstack.testing.Test/ServerStream',
  bidi: '/grpcstack.testing.Test/Bidi',
}
const types = { unary: 'unary', clientStream: 'client_stream', serverStream: 'server_stream', bidi: 'bidi_stream' }

interceptorSuite('metrics()', () => metrics({ recorder: inMemory() }))

interceptorSuite('metrics() with sizes', () =>
  metrics({ recorder: inMemory(), sizeOf: (message) => JSON.stringify(message).length }),
)

/** Once the server has seen the last of its calls. */
async function ended(server: TestServer): Promise<void> {
  await Promise.all(server.calls.map((rpc) => rpc.closed))
  await settle()
}

describe('metrics()', () => {
  // reference: flaw 81, sentence 44
  it.each(patterns)('the latency of a %s call is that of the whole call, and its failure counts', async (pattern) => {
    const clock = new FakeClock()
    const recorder = inMemory()
    const gate = new Gate()
    const server = await start({ behaviour: heldBy(gate), interceptors: [metrics({ recorder, clock })] })
    const rpc = startRpc(server.client(), pattern, { requests: [{ n: 2 }] })
    await server.received(0)
    await clock.advance(300)
    gate.open()
    await rpc.done
    await runRpc(server.client(), pattern, { metadata: server.behave(endWith({ code: Code.ABORTED })) })
    await ended(server)
    const snapshot = recorder.snapshot()
    expect(snapshot.averageLatencyMs[paths[pattern]]).toBe(150)
    expect(snapshot.errors[paths[pattern]]).toBe(1)
  })

  // reference: flaw 81
  it('an endless stream is not read to its end', async () => {
    const recorder = inMemory()
    const server = await start({ behaviour: manual, interceptors: [metrics({ recorder })] })
    const rpc = startRpc(server.client(), 'serverStream', { requests: [{}] })
    const handled = await server.received(0)
    for (let n = 0; n < 3; n++) await handled.write({ n })
    await rpc.messageSeen
    expect(recorder.snapshot().inFlight[paths.serverStream]).toBe(1)
    rpc.cancel()
    await rpc.done
    await ended(server)
    const [method] = recorder.snapshot().methods
    expect([method?.inFlight, method?.byCode.CANCELLED?.count, method?.messagesSent]).toEqual([0, 1, 3])
  })

  // reference: flaw 82, sentence 3, symbol 89
  it.each(patterns)('%s calls are counted, on both sides', async (pattern) => {
    const recorder = inMemory()
    const server = await start({ interceptors: [metrics({ recorder })] })
    const client = server.client(metrics({ recorder }))
    await runRpc(client, pattern)
    await runRpc(client, pattern)
    await ended(server)
    for (const side of ['client', 'server'] as const) {
      const snapshot = recorder.snapshot({ side })
      expect(snapshot.requests).toEqual({ [paths[pattern]]: 2 })
      expect(snapshot.byCode).toEqual({ [paths[pattern]]: { OK: 2 } })
      expect(snapshot.methods[0]).toMatchObject({ side, type: types[pattern], started: 2, ended: 2, errors: 0 })
    }
    expect(recorder.snapshot().requests).toEqual({ [paths[pattern]]: 4 })
  })

  // reference: flaw 82
  it.each(patterns)('a %s call another interceptor refuses is counted, with who refused it', async (pattern) => {
    const recorder = inMemory()
    const rateLimit: Interceptor = function rateLimit() {
      return { code: Code.RESOURCE_EXHAUSTED }
    }
    const server = await start({ interceptors: [metrics({ recorder }), rateLimit] })
    await runRpc(server.client(), pattern)
    expect(recorder.snapshot().byCode).toEqual({ [paths[pattern]]: { RESOURCE_EXHAUSTED: 1 } })
    expect(recorder.snapshot().methods[0]?.refusals).toEqual({ rateLimit: 1 })
  })

  // reference: flaw 82
  it('a request that cannot be read is counted', async () => {
    const recorder = inMemory()
    const server = await start({ interceptors: [metrics({ recorder })] })
    await runRpc(server.client(), 'unary', { requests: [unparsable] })
    expect(recorder.snapshot().byCode).toEqual({ [paths.unary]: { INTERNAL: 1 } })
  })

  // reference: flaw 83, symbol 91
  it('errors are told apart by code: a status, an abort, a bug', async () => {
    const recorder = inMemory()
    const server = await start({ interceptors: [metrics({ recorder })] })
    const client = server.client()
    const end = (code: Code) => runRpc(client, 'unary', { metadata: server.behave(endWith({ code })) })
    await end(Code.NOT_FOUND)
    await end(Code.NOT_FOUND)
    await end(Code.PERMISSION_DENIED)
    await runRpc(client, 'unary')
    const bug = await start({
      interceptors: [
        metrics({ recorder }),
        () => {
          throw new Error('a bug')
        },
      ],
    })
    await runRpc(bug.client(), 'unary')
    const abort = await start({
      interceptors: [
        metrics({ recorder }),
        () => {
          throw new RpcError(Code.FAILED_PRECONDITION, 'no')
        },
      ],
    })
    await runRpc(abort.client(), 'unary')
    const snapshot = recorder.snapshot()
    expect(snapshot.byCode[paths.unary]).toEqual({
      OK: 1,
      NOT_FOUND: 2,
      PERMISSION_DENIED: 1,
      INTERNAL: 1,
      FAILED_PRECONDITION: 1,
    })
    expect(snapshot.requests[paths.unary]).toBe(6)
    expect(snapshot.errors[paths.unary]).toBe(5)
  })

  // reference: deviation 33, flaw 84, symbol 92
  it('failed calls weigh in the average like any other, and each code has its own latencies', async () => {
    const clock = new FakeClock()
    const recorder = inMemory()
    const waits = [10, 20, 90]
    const wait: Interceptor = async function wait(_call, next) {
      await clock.advance(waits.shift() ?? 0)
      return next()
    }
    const server = await start()
    const client = server.client(metrics({ recorder, clock }), wait, failing(1, Code.UNAVAILABLE))
    for (let i = 0; i < 3; i++) await runRpc(client, 'unary')
    const snapshot = recorder.snapshot()
    expect(snapshot.averageLatencyMs[paths.unary]).toBe(40)
    const [method] = snapshot.methods
    expect(method?.byCode.UNAVAILABLE).toMatchObject({ count: 1, sumMs: 10 })
    expect(method?.byCode.OK).toMatchObject({ count: 2, sumMs: 110, minMs: 20, maxMs: 90 })
    expect(method?.latency.buckets.find(({ leMs }) => leMs === 20)?.count).toBe(2)
    expect(method?.latency.buckets.at(-1)).toEqual({ leMs: Number.POSITIVE_INFINITY, count: 3 })
  })

  // reference: flaw 85
  it.each(patterns)('%s calls in progress, cancelled and late', async (pattern) => {
    const recorder = inMemory()
    const server = await start({ behaviour: manual, interceptors: [metrics({ recorder })] })
    const client = server.client(metrics({ recorder }))
    // Time stands still until the server has heard of both.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
    const cancelled = startRpc(client, pattern, { requests: [{}] })
    const late = startRpc(client, pattern, { requests: [{}], options: { deadline: Date.now() + 100 } })
    await server.received(1)
    const inFlight = (side: 'client' | 'server') => recorder.snapshot({ side }).inFlight[paths[pattern]]
    expect([inFlight('client'), inFlight('server')]).toEqual([2, 2])
    cancelled.cancel()
    vi.advanceTimersByTime(100)
    await Promise.all([cancelled.done, late.done])
    await ended(server)
    expect([inFlight('client'), inFlight('server')]).toEqual([0, 0])
    expect(recorder.snapshot({ side: 'client' }).byCode[paths[pattern]]).toEqual({ CANCELLED: 1, DEADLINE_EXCEEDED: 1 })
    const { CANCELLED = 0, DEADLINE_EXCEEDED = 0 } = recorder.snapshot({ side: 'server' }).byCode[paths[pattern]] ?? {}
    expect(CANCELLED + DEADLINE_EXCEEDED).toBe(2)
  })

  // reference: flaw 85
  it('messages are counted each way', async () => {
    const recorder = inMemory()
    const server = await start({ interceptors: [metrics({ recorder })] })
    const client = server.client(metrics({ recorder }))
    await runRpc(client, 'unary')
    await runRpc(client, 'clientStream', { requests: [{}, {}, {}] })
    await runRpc(client, 'serverStream', { requests: [{ n: 4 }] })
    await runRpc(client, 'bidi', { requests: [{}, {}] })
    await ended(server)
    const counts = (side: 'client' | 'server') =>
      recorder.snapshot({ side }).methods.map((m) => [m.type, m.messagesSent, m.messagesReceived])
    expect(counts('client')).toEqual([
      ['unary', 1, 1],
      ['client_stream', 3, 1],
      ['server_stream', 1, 4],
      ['bidi_stream', 2, 2],
    ])
    expect(counts('server')).toEqual([
      ['unary', 1, 1],
      ['client_stream', 1, 3],
      ['server_stream', 4, 1],
      ['bidi_stream', 2, 2],
    ])
  })

  // reference: flaw 85
  it('a unary call that is refused has no request, one that fails has no response', async () => {
    const recorder = inMemory()
    const refusals = failing(1)
    const server = await start({ interceptors: [metrics({ recorder }), refusals] })
    const client = server.client(metrics({ recorder }))
    const counts = (side: 'client' | 'server') =>
      recorder.snapshot({ side }).methods.map((m) => [m.messagesSent, m.messagesReceived])
    await runRpc(client, 'unary')
    expect([counts('client'), counts('server')]).toEqual([[[1, 0]], [[0, 0]]])
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
    expect([counts('client'), counts('server')]).toEqual([[[2, 0]], [[0, 1]]])
  })

  // reference: flaw 85
  it('sizes and attempts, for recorders that have a place for them', async () => {
    const sizes: unknown[] = []
    const methods: unknown[] = []
    const recorder: Recorder = {
      method: (method) => {
        methods.push([method.side, method.per])
        return { started: () => undefined, ended: (_call, _status, _ms, given) => sizes.push({ ...given }) }
      },
    }
    const inner = inMemory()
    const server = await start()
    const retry: Interceptor<ClientCall> = async function retry(call, next) {
      call.makeReplayable({ maxBytes: 1e6, maxMessages: 10 })
      await next()
      return next()
    }
    const sizeOf = (message: unknown) => JSON.stringify(message).length
    const client = server.client(
      metrics({ recorder, sizeOf }),
      retry,
      metrics({ recorder: inner, per: 'attempt' }),
      failing(1),
    )
    await runRpc(client, 'clientStream', { requests: [{ text: 'ab' }, { text: 'c' }] })
    expect(sizes).toEqual([{ sent: 13 + 12, received: '{"n":2,"text":"abc"}'.length }])
    expect(methods).toEqual([['client', 'call']])
    expect(inner.snapshot().requests).toEqual({})
    expect(inner.snapshot({ per: 'attempt' }).byCode).toEqual({ [paths.clientStream]: { UNAVAILABLE: 1, OK: 1 } })
  })

  // reference: flaw 86
  it('unregistered methods are one series, by any name', async () => {
    const recorder = inMemory()
    const server = createServer({ interceptors: [metrics({ recorder })] })
    server.addService(testService, {
      unary: () => ({}),
      clientStream: () => ({}),
      serverStream: () => [],
      bidi: () => [],
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      const identity = (bytes: Buffer) => bytes
      for (let i = 0; i < 20; i++) {
        await new Promise((resolve) =>
          client.makeUnaryRequest(`/made.Up${i}/Method${i}`, identity, identity, Buffer.alloc(0), resolve),
        )
      }
      await runRpc(client, 'unary')
    } finally {
      client.close()
      server.forceShutdown()
    }
    const snapshot = recorder.snapshot()
    expect(snapshot.requests).toEqual({ other: 20, [paths.unary]: 1 })
    expect(snapshot.byCode.other).toEqual({ UNIMPLEMENTED: 20 })
    expect(snapshot.methods.map(({ service, method, type }) => [service, method, type])[0]).toEqual([
      'other',
      'other',
      'unknown',
    ])
  })

  // reference: flaw 87
  it('started is what ended and what is in progress, under many mixed calls', async () => {
    const recorder = inMemory()
    const gate = new Gate()
    const server = await start({ interceptors: [metrics({ recorder })] })
    const client = server.client(metrics({ recorder }))
    const behaviours = [undefined, endWith({ code: Code.NOT_FOUND }), heldBy(gate), manual]
    const rpcs = Array.from({ length: 400 }, (_, i) => {
      const pattern = patterns[i % 4] ?? 'unary'
      const behaviour = behaviours[Math.floor(i / 4) % behaviours.length]
      const metadata = behaviour ? { metadata: server.behave(behaviour) } : {}
      const rpc = startRpc(client, pattern, { requests: [{ n: 2 }], ...metadata })
      if (behaviour === manual && i % 3 === 0) setImmediate(() => rpc.cancel())
      return { rpc, behaviour }
    })
    await server.received(200)
    gate.open()
    await Promise.all(rpcs.filter(({ behaviour }) => behaviour !== manual).map(({ rpc }) => rpc.done))
    for (const { rpc } of rpcs) rpc.cancel()
    await Promise.all(rpcs.map(({ rpc }) => rpc.done))
    await ended(server)
    const sides = (['client', 'server'] as const).map((side) => recorder.snapshot({ side }).methods)
    for (const methods of sides) {
      expect(methods).toHaveLength(4)
      for (const { started, ended, inFlight, latency } of methods) {
        expect([ended + inFlight, inFlight, latency.count]).toEqual([started, 0, ended])
      }
    }
    const [onClient = []] = sides
    expect(onClient.reduce((sum, { started }) => sum + started, 0)).toBe(400)
  })
})

describe('what a recorder is asked', () => {
  it('for a method once, however many calls', async () => {
    const asked: string[] = []
    const recorder: Recorder = {
      method: ({ path }) => {
        asked.push(path)
        return undefined
      },
    }
    const server = await start()
    const client = server.client(metrics({ recorder }))
    for (let i = 0; i < 3; i++) await runRpc(client, 'unary')
    await runRpc(client, 'bidi')
    expect(asked).toEqual([paths.unary, paths.bidi])
  })

  it('about messages only if it cares, and those of unary calls without looking', async () => {
    let taps = 0
    const spy: Interceptor = function spy(call, next) {
      const onRequest = call.onRequest.bind(call)
      call.onRequest = (tap) => {
        taps++
        onRequest(tap)
      }
      return next()
    }
    const recorder: Recorder = { method: () => ({ started: () => undefined, ended: () => undefined }) }
    const server = await start()
    await runRpc(server.client(spy, metrics({ recorder })), 'bidi')
    expect(taps).toBe(0)
    await runRpc(server.client(spy, metrics({ recorder: inMemory() })), 'unary')
    expect(taps).toBe(0)
    await runRpc(server.client(spy, metrics({ recorder: inMemory() })), 'bidi')
    expect(taps).toBe(1)
  })

  it('about calls on a server, with per: attempt too: to it every attempt is a call', async () => {
    const asked: string[] = []
    const recorder: Recorder = {
      method: ({ per }) => {
        asked.push(per)
        return undefined
      },
    }
    const server = await start({ interceptors: [metrics({ recorder, per: 'attempt' })] })
    await runRpc(server.client(), 'unary')
    expect(asked).toEqual(['call'])
  })

  it('with the target of the channel, or the one that was named', async () => {
    const targets: unknown[] = []
    const recorder: Recorder = {
      method: ({ target }) => {
        targets.push(target)
        return undefined
      },
    }
    const server = await start()
    await runRpc(server.channel(metrics({ recorder })).client(TestClient), 'unary')
    await runRpc(server.client(metrics({ recorder })), 'unary')
    await runRpc(server.client(metrics({ recorder, target: 'shop.internal:443' })), 'unary')
    expect(targets).toEqual([`dns:${server.address}`, undefined, 'shop.internal:443'])
  })
})

describe('nothing it calls can hurt an RPC', () => {
  const explode = () => {
    throw new Error('out of order')
  }
  const nothing = () => undefined
  const broken = {
    'recorder.method': { recorder: { method: explode } },
    'recorder.started': { recorder: { method: () => ({ started: explode, ended: nothing }) } },
    'recorder.ended': { recorder: { method: () => ({ started: nothing, ended: explode }) } },
    'recorder.sent': { recorder: { method: () => ({ started: nothing, ended: nothing, sent: explode }) } },
    'recorder.received': { recorder: { method: () => ({ started: nothing, ended: nothing, received: explode }) } },
    sizeOf: { recorder: inMemory(), sizeOf: explode },
    clock: { recorder: inMemory(), clock: { now: explode } },
    onFailure: { recorder: { method: explode }, onFailure: explode },
  }

  it.each(Object.keys(broken) as (keyof typeof broken)[])('%s', async (what) => {
    for (const side of ['client', 'server'] as const) {
      const measured = metrics({ onFailure: nothing, ...broken[what] } as Parameters<typeof metrics>[0])
      const server = await start({ interceptors: side === 'server' ? [measured] : [] })
      const client = server.client(...(side === 'client' ? [measured] : []))
      for (const pattern of patterns) {
        const rpc = await runRpc(client, pattern)
        expect([rpc.status?.code, rpc.messages.length > 0]).toEqual([Code.OK, true])
      }
      await ended(server)
      expect(measured.failures).toBeGreaterThanOrEqual(patterns.length)
    }
  })

  it('a clock that runs backwards makes no negative calls', async () => {
    let now = 1000
    const recorder = inMemory()
    const server = await start()
    const client = server.client(metrics({ recorder, clock: { now: () => (now -= 100) } }))
    await runRpc(client, 'unary')
    expect(recorder.snapshot().methods[0]?.latency).toMatchObject({ count: 1, sumMs: 0 })
  })

  it('makes the first failure public, once', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const server = await start()
      const client = server.client(metrics({ recorder: broken['recorder.started'].recorder }))
      await runRpc(client, 'unary')
      await runRpc(client, 'unary')
      await settle()
      expect(warnings.map(({ message }) => message)).toEqual([
        'metrics: "recorder" failed: out of order. RPCs are not affected; more failures are only counted.',
      ])
    } finally {
      process.off('warning', onWarning)
    }
  })
})

describe('options are checked when the interceptor is made', () => {
  it.each([
    [undefined, 'metrics: options must be an object'],
    [{}, 'metrics: option "recorder" must be a recorder, such as inMemory()'],
    [{ recorder: inMemory(), histogram: true }, 'metrics: unknown option "histogram"'],
    [{ recorder: inMemory(), per: 'message' }, 'metrics: option "per" must be "call" or "attempt", got "message"'],
    [{ recorder: inMemory(), sizeOf: 1 }, 'metrics: option "sizeOf" must be a function, got 1'],
    [{ recorder: inMemory(), target: '' }, 'metrics: option "target" must be a non-empty string, got ""'],
    [{ recorder: inMemory(), targets: 'a' }, 'metrics: unknown option "targets"; did you mean "target"?'],
    [{ recorder: undefined }, 'metrics: option "recorder" must be a recorder, such as inMemory(), got undefined'],
    [{ recorder: inMemory(), clock: {} }, 'metrics: option "clock" must be an object with now()'],
    [{ recorder: inMemory(), onFailure: 1 }, 'metrics: option "onFailure" must be a function'],
  ])('metrics(%#)', (options, message) => {
    expect(() => metrics(options as never)).toThrow(TypeError)
    expect(() => metrics(options as never)).toThrow(message)
  })
})
