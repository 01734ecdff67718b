import { connect } from 'node:http2'
import { status as Code } from '@grpc/grpc-js'
import { createClient, type Interceptor } from '@grpc-stack/grpc-core'
import {
  endWith,
  FakeClock,
  Gate,
  heldBy,
  interceptorSuite,
  manual,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  unparsable,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { byMetadata, peerAddress } from '../keys/keys.ts'
import { type ConcurrencyLimitOptions, concurrencyLimit } from './concurrency-limit.ts'
import { type AdaptiveLimit, aimdLimit, type ConcurrencySample, gradientLimit } from './concurrency-policy.ts'

afterEach(() => void vi.useRealTimers())

/** Time passes when the test says so, for grpc-js too. */
const stopTime = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })

interceptorSuite('concurrencyLimit', () => concurrencyLimit({ limit: 1000 }))
interceptorSuite('concurrencyLimit, adaptive', () =>
  concurrencyLimit({ limit: gradientLimit({ initial: 200 }), queue: 10 }),
)

describe.each(patterns)('a %s', (pattern) => {
  it('over the limit is refused at once, and its request is not read', async () => {
    const limit = concurrencyLimit({ limit: 2 })
    let read = 0
    const counting: Interceptor = (call, next) => {
      call.onRequest(() => {
        read++
      })
      return next()
    }
    await using server = await startTestServer({ interceptors: [counting, limit], behaviour: manual })
    const client = server.client()
    const running = [startRpc(client, pattern), startRpc(client, pattern)]
    await server.received(1)
    const before = read
    for (const settings of [{}, { requests: [{ n: 1 }] }]) {
      const refused = startRpc(client, pattern, settings)
      await refused.done
      expect(refused.status).toMatchObject({
        code: Code.RESOURCE_EXHAUSTED,
        details: 'Concurrency limit reached: 2 calls at the same time',
      })
      expect(refused.events).not.toContain('metadata')
    }
    expect(read).toBe(before)
    expect(limit.state()).toEqual({ limit: 2, inFlight: 2, waiting: 0, admitted: 2, refused: 2 })
    for (const rpc of running) rpc.cancel()
    await Promise.all(server.calls.map((call) => call.closed))
  })

  // A place must come back exactly once. Once too often shows as a negative number, once too few as one that stays.
  const endings: [string, (options: { limit: Interceptor }) => Promise<void>][] = [
    [
      'success',
      async ({ limit }) => {
        await using server = await startTestServer({ interceptors: [limit] })
        await runRpc(server.client(), pattern)
      },
    ],
    [
      'an error',
      async ({ limit }) => {
        await using server = await startTestServer({
          interceptors: [limit],
          behaviour: endWith({ code: Code.NOT_FOUND }),
        })
        await runRpc(server.client(), pattern)
      },
    ],
    [
      'a handler that throws',
      async ({ limit }) => {
        const boom: Interceptor = () => {
          throw new Error('boom')
        }
        await using server = await startTestServer({ interceptors: [limit, boom] })
        await runRpc(server.client(), pattern)
      },
    ],
    [
      'an inner interceptor that rejects',
      async ({ limit }) => {
        const boom: Interceptor = async () => {
          await settle()
          throw new Error('boom')
        }
        await using server = await startTestServer({ interceptors: [limit, boom] })
        await runRpc(server.client(), pattern)
      },
    ],
    [
      'a cancellation',
      async ({ limit }) => {
        await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
        const rpc = startRpc(server.client(), pattern)
        await server.received(0)
        rpc.cancel()
        await (await server.received(0)).closed
      },
    ],
    [
      'a cancellation while an inner interceptor hangs',
      async ({ limit }) => {
        const reached = new Gate()
        const left = new Gate()
        const hung: Interceptor = (call) => {
          call.signal.addEventListener('abort', left.open)
          reached.open()
          return new Promise(() => undefined)
        }
        await using server = await startTestServer({ interceptors: [limit, hung] })
        const rpc = startRpc(server.client(), pattern)
        await reached.opened
        rpc.cancel()
        await left.opened
      },
    ],
    [
      'a deadline',
      async ({ limit }) => {
        await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
        stopTime()
        const rpc = startRpc(server.client(), pattern, { options: { deadline: Date.now() + 500 } })
        const handler = await server.received(0)
        vi.advanceTimersByTime(500)
        await rpc.done
        await handler.closed
      },
    ],
    [
      'a message that cannot be parsed',
      async ({ limit }) => {
        await using server = await startTestServer({ interceptors: [limit] })
        await runRpc(server.client(), pattern, { requests: [unparsable] })
      },
    ],
    [
      'a lost connection',
      async ({ limit }) => {
        await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
        const client = server.client()
        const rpc = startRpc(client, pattern)
        const handler = await server.received(0)
        client.close()
        server.kill()
        await rpc.done
        await handler.closed
      },
    ],
    [
      'a client that stops reading and goes',
      async ({ limit }) => {
        await using server = await startTestServer({ interceptors: [limit] })
        const rpc = startRpc(server.client(), pattern, {
          requests: [{ n: 10_000, data: 'x'.repeat(1000) }],
          reading: false,
        })
        await rpc.headersSeen
        rpc.cancel()
        await (await server.received(0)).closed
      },
    ],
  ]

  it.each(endings)('gives its place back once after %s (server)', async (_name, play) => {
    const limit = concurrencyLimit({ limit: 5, key: peerAddress })
    await play({ limit })
    await settle()
    expect(limit.state()).toMatchObject({ inFlight: 0, waiting: 0, admitted: 1 })
  })

  it('gives its place back once on a client, too: success, error, cancellation, deadline', async () => {
    const limit = concurrencyLimit({ limit: 1 })
    await using server = await startTestServer()
    const client = server.client(limit)
    await runRpc(client, pattern)
    await runRpc(client, pattern, { metadata: server.behave(endWith({ code: Code.ABORTED })) })
    const cancelled = startRpc(client, pattern, { metadata: server.behave(manual) })
    await server.received(2)
    expect(limit.state().inFlight).toBe(1)
    cancelled.cancel()
    await cancelled.done
    await startRpc(client, pattern, { metadata: server.behave(manual), options: { deadline: Date.now() + 500 } }).done
    expect(limit.state()).toMatchObject({ inFlight: 0, admitted: 4, refused: 0 })
  })
})

describe('a stream the application walks away from', () => {
  it('gives its place back on both sides', async () => {
    const [atClient, atServer] = [concurrencyLimit({ limit: 1 }), concurrencyLimit({ limit: 1 })]
    await using server = await startTestServer({ interceptors: [atServer] })
    const client = createClient(server.definition, server.channel(atClient))
    for (let i = 0; i < 3; i++) {
      for await (const message of client.serverStream({ n: 100_000, data: 'x'.repeat(1000) })) {
        expect(message.n).toBe(0)
        break
      }
      await server.calls[i]?.closed
      expect(atClient.state()).toMatchObject({ inFlight: 0, refused: 0 })
      expect(atServer.state()).toMatchObject({ inFlight: 0, refused: 0 })
    }
  })
})

describe('the line', () => {
  const queued = (more: Partial<ConcurrencyLimitOptions> = {}) => {
    const clock = new FakeClock()
    return { clock, limit: concurrencyLimit({ limit: 1, queue: 2, queueTimeoutMs: 500, clock, ...more }) }
  }

  const waiting = async (limit: { state(): { waiting: number } }, count: number): Promise<void> => {
    while (limit.state().waiting < count) await settle(1)
  }

  it('is first come, first served, and bounded', async () => {
    const { limit, clock } = queued()
    const gates = [new Gate(), new Gate(), new Gate()]
    const order: unknown[] = []
    const noting: Interceptor = (call, next) => {
      order.push(call.metadata.get('n')[0])
      return next()
    }
    await using server = await startTestServer({ interceptors: [limit, noting] })
    const client = server.client()
    const call = (n: number) =>
      startRpc(client, 'bidi', {
        requests: [{}],
        metadata: server.behave(heldBy(gates[n] ?? new Gate()), metadataOf({ n: String(n) })),
      })
    const first = call(0)
    await server.received(0)
    const second = call(1)
    await waiting(limit, 1)
    const third = call(2)
    await waiting(limit, 2)
    const fourth = call(3)
    await fourth.done
    expect(fourth.status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    for (const [n, rpc] of [first, second, third].entries()) {
      gates[n]?.open()
      await rpc.done
      expect(rpc.status?.code).toBe(Code.OK)
    }
    expect(order).toEqual(['0', '1', '2'])
    expect(limit.state()).toMatchObject({ inFlight: 0, waiting: 0 })
    expect(clock.pending).toBe(0)
  })

  it('lets no call wait longer than queueTimeoutMs', async () => {
    const { limit, clock } = queued()
    await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
    const client = server.client()
    startRpc(client, 'unary')
    await server.received(0)
    const waiter = startRpc(client, 'unary')
    await waiting(limit, 1)
    await clock.advance(499)
    expect(waiter.isDone).toBe(false)
    await clock.advance(1)
    await waiter.done
    expect(waiter.status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(limit.state()).toMatchObject({ inFlight: 1, waiting: 0 })
  })

  it.each(['cancelled', 'past its deadline'])('does not keep the place of one that is %s', async (how) => {
    const { limit, clock } = queued()
    const gate = new Gate()
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    const first = startRpc(client, 'unary', { metadata: server.behave(heldBy(gate)) })
    await server.received(0)
    stopTime()
    const options = how === 'cancelled' ? {} : { deadline: Date.now() + 500 }
    const gone = startRpc(client, 'unary', { options })
    await waiting(limit, 1)
    const third = startRpc(client, 'unary')
    await waiting(limit, 2)
    if (how === 'cancelled') gone.cancel()
    else vi.advanceTimersByTime(500)
    await gone.done
    expect(gone.status?.code).toBe(how === 'cancelled' ? Code.CANCELLED : Code.DEADLINE_EXCEEDED)
    while (limit.state().waiting > 1) await settle(1)
    gate.open()
    await Promise.all([first.done, third.done])
    expect(third.status?.code).toBe(Code.OK)
    expect(server.calls).toHaveLength(2)
    expect(limit.state()).toMatchObject({ inFlight: 0, waiting: 0, admitted: 2 })
    expect(clock.pending).toBe(0)
  })
})

describe('with a key', () => {
  it('counts per key and forgets keys without calls', async () => {
    const limit = concurrencyLimit({ limit: 1, key: byMetadata('x-tenant') })
    await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
    const client = server.client()
    const call = (tenant: string) => startRpc(client, 'bidi', { metadata: metadataOf({ 'x-tenant': tenant }) })
    const running = [call('a'), call('b')]
    await server.received(1)
    const refused = call('a')
    await refused.done
    expect(refused.status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(limit.state()).toMatchObject({ inFlight: 2, refused: 1 })
    for (const rpc of running) rpc.cancel()
    await Promise.all(server.calls.map((one) => one.closed))
    expect(limit.state()).toMatchObject({ inFlight: 0 })
  })
})

describe('an adaptive limit', () => {
  const recording = () => {
    const samples: ConcurrencySample[] = []
    return { samples, limit: 10, onSample: (sample: ConcurrencySample) => samples.push(sample) }
  }
  const soon = () => ({ deadline: Date.now() + 300 })

  it('learns how long unary calls take that succeed, and that a call reached its deadline', async () => {
    const adaptive = recording()
    const clock = new FakeClock()
    // Of the server: by one of its own a client may give up well before the server, which hears of the call later, takes it for late.
    let bounded = false
    const bounding: Interceptor = (call, next) => {
      if (bounded) call.deadline = Date.now() + 300
      return next()
    }
    const interceptors = [bounding, concurrencyLimit({ limit: adaptive, clock })]
    await using server = await startTestServer({ interceptors })
    const client = server.client()
    const gate = new Gate()
    const slow = startRpc(client, 'unary', { metadata: server.behave(heldBy(gate)) })
    await server.received(0)
    clock.jump(25)
    gate.open()
    await slow.done
    const finished = { rttMs: 25, inFlight: 1, dropped: false, unfinished: false, startedMs: 0, endedMs: 25 }
    expect(adaptive.samples).toEqual([finished])
    bounded = true
    const cut = startRpc(client, 'unary', { metadata: server.behave(manual) })
    await server.received(1)
    clock.jump(40)
    await cut.done
    await server.calls[1]?.closed
    expect(adaptive.samples.slice(1)).toMatchObject([{ rttMs: 40, dropped: false, unfinished: true }])
  })

  it.each([true, false])('learns nothing from what callers decide or errors say (stock: %s)', async (stock) => {
    const adaptive = recording()
    await using server = await startTestServer({ stock, interceptors: [concurrencyLimit({ limit: adaptive })] })
    const client = server.client()
    for (const pattern of ['clientStream', 'serverStream', 'bidi'] as const) {
      await runRpc(client, pattern)
      await startRpc(client, pattern, { metadata: server.behave(manual), options: soon() }).done
    }
    for (const code of [Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED]) {
      await runRpc(client, 'unary', { metadata: server.behave(endWith({ code })) })
    }
    const cancelled = startRpc(client, 'unary', { metadata: server.behave(manual) })
    await server.received(10)
    cancelled.cancel()
    await Promise.all(server.calls.map((call) => call.closed))
    await settle()
    expect(adaptive.samples).toEqual([])
  })

  it('on a client learns nothing from quotas, errors, cancels and streams that reach their deadline', async () => {
    const adaptive = recording()
    await using server = await startTestServer()
    const client = server.client(concurrencyLimit({ limit: adaptive }))
    for (const code of [Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED]) {
      await runRpc(client, 'unary', { metadata: server.behave(endWith({ code })) })
    }
    await startRpc(client, 'bidi', { metadata: server.behave(manual), options: soon() }).done
    const cancelled = startRpc(client, 'unary', { metadata: server.behave(manual) })
    await server.received(4)
    cancelled.cancel()
    await cancelled.done
    expect(adaptive.samples).toEqual([])
  })

  it('does not count the time in which the caller holds its request back', async () => {
    const adaptive = recording()
    const clock = new FakeClock()
    const limit = concurrencyLimit({ limit: adaptive, clock })
    await using server = await startTestServer({ interceptors: [limit] })
    const half = connect(`http://${server.address}`)
    try {
      const stream = half.request({
        ':method': 'POST',
        ':path': '/grpcstack.testing.Test/Unary',
        'content-type': 'application/grpc',
        te: 'trailers',
      })
      while (limit.state().inFlight === 0) await settle(1)
      clock.jump(60_000)
      const ended = new Promise((resolve) => stream.resume().once('end', resolve))
      stream.end(Buffer.from([0, 0, 0, 0, 2, ...Buffer.from('{}')]))
      await ended
      await settle()
    } finally {
      half.destroy()
    }
    expect(adaptive.samples.map(({ rttMs }) => rttMs)).toEqual([0])
  })

  it.each<[string, () => AdaptiveLimit]>([
    ['aimdLimit', () => aimdLimit({ initial: 20 })],
    ['gradientLimit', () => gradientLimit({ initial: 60, windowMs: 1 })],
  ])('of %s stays where it is under short deadlines and watch streams that end by theirs', async (_name, make) => {
    const limit = make()
    const before = limit.limit
    await using server = await startTestServer({ interceptors: [concurrencyLimit({ limit })], behaviour: manual })
    const client = server.client()
    for (let i = 0; i < 40; i++) await startRpc(client, 'unary', { options: { deadline: Date.now() + 15 } }).done
    for (const pattern of ['serverStream', 'bidi'] as const) {
      const streams = Array.from({ length: 10 }, () =>
        startRpc(client, pattern, { requests: [{}], options: { deadline: Date.now() + 200 } }),
      )
      await Promise.all(streams.map((stream) => stream.done))
    }
    await Promise.all(server.calls.map((call) => call.closed))
    await settle()
    expect(limit.limit).toBe(before)
  })

  it('gives its place back when a limit of the application throws', async () => {
    const limit = concurrencyLimit({
      limit: {
        limit: 1,
        onSample: () => {
          throw new Error('boom')
        },
      },
    })
    await using server = await startTestServer({ interceptors: [limit] })
    await runRpc(server.client(), 'unary')
    expect(limit.state().inFlight).toBe(0)
  })

  it('on a client counts UNAVAILABLE from the server as a loss', async () => {
    const samples: ConcurrencySample[] = []
    const limit = concurrencyLimit({ limit: { limit: 10, onSample: (sample) => samples.push(sample) } })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    await runRpc(server.client(limit), 'unary')
    expect(samples).toMatchObject([{ dropped: true }])
  })
})

describe('options', () => {
  it('shadow mode refuses no call, and emits events', async () => {
    const limit = concurrencyLimit({ limit: 1, shadow: true })
    const refused: unknown[] = []
    limit.on('refused', ({ reason, shadow }) => refused.push({ reason, shadow }))
    await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
    const client = server.client()
    const rpcs = [startRpc(client, 'bidi'), startRpc(client, 'bidi')]
    await server.received(1)
    expect(refused).toEqual([{ reason: 'full', shadow: true }])
    for (const rpc of rpcs) rpc.cancel()
    await Promise.all(server.calls.map((call) => call.closed))
    expect(limit.state()).toMatchObject({ inFlight: 0, admitted: 2, refused: 1 })
  })

  it('another code on request', async () => {
    const limit = concurrencyLimit({ limit: 1, code: Code.UNAVAILABLE })
    await using server = await startTestServer({ interceptors: [limit], behaviour: manual })
    const client = server.client()
    const rpc = startRpc(client, 'bidi')
    await server.received(0)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
    rpc.cancel()
    await server.calls[0]?.closed
  })

  it.each<[object, string]>([
    [{}, 'concurrencyLimit: option "limit" must be an integer ≥ 1, "adaptive" or an adaptive limit, got undefined'],
    [{ limit: 0 }, 'option "limit"'],
    [{ limit: 1.5 }, 'option "limit"'],
    [{ limit: 'auto' }, 'option "limit"'],
    [{ limit: 'adaptive', key: peerAddress }, 'option "key" needs a fixed limit'],
    [{ limit: 1, key: 'peer' }, 'option "key"'],
    [{ limit: 1, queue: -1 }, 'option "queue"'],
    [{ limit: 1, queueTimeoutMs: 0 }, 'option "queueTimeoutMs"'],
    [{ limit: 1, code: 17 }, 'option "code"'],
    [{ limit: 1, clock: null }, 'option "clock"'],
    [{ limit: 1, max: 1 }, 'concurrencyLimit: unknown option "max"'],
    [[], 'concurrencyLimit: options must be an object'],
  ])('%j: %s', (options, message) => {
    expect(() => concurrencyLimit(options as ConcurrencyLimitOptions)).toThrow(message)
  })

  it('refuses to listen for an event that does not exist', () => {
    const limit = concurrencyLimit({ limit: 1 })
    expect(() => limit.on('full' as 'refused', () => undefined)).toThrow('concurrencyLimit.on: event must be "refused"')
  })
})
