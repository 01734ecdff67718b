import { status as Code, credentials, type Interceptor as GrpcInterceptor, InterceptingCall } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  Gate,
  manual,
  metadataOf,
  patterns,
  type RpcSettings,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  type TestPattern,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { awaiting, until } from '../../test/observing.ts'
import { messageFrame, startRawPeer } from '../../test/raw-peer.ts'
import type { ClientCall, Interceptor, Next, ReplayLimits, Status } from '../index.ts'
import { clientInterceptors } from '../index.ts'

const roomy: ReplayLimits = { maxBytes: 1_000_000, maxMessages: 1000 }
const streamsRequests = (pattern: TestPattern): boolean => pattern === 'clientStream' || pattern === 'bidi'
const requestsOf = (pattern: TestPattern) =>
  streamsRequests(pattern) ? [{ text: 'a' }, { text: 'b' }, { text: 'c' }] : [{ text: 'a', n: 2 }]
const whole = (pattern: TestPattern): RpcSettings => ({ requests: requestsOf(pattern) })

/** Calls next() up to so many times, until it is OK. */
function repeating(times: number, limits: ReplayLimits = roomy) {
  const statuses: Status[] = []
  const interceptor = async (call: ClientCall, next: Next): Promise<Status> => {
    call.makeReplayable(limits)
    let status = await next()
    statuses.push(status)
    for (let n = 1; n < times && status.code !== Code.OK; n++) {
      status = await next()
      statuses.push(status)
    }
    return status
  }
  return { interceptor, codes: () => statuses.map(({ code }) => code), statuses }
}

/** Fails the first so many RPCs after reading all they send. */
function failingAfterReading(times: number): Behaviour {
  let failed = 0
  return async (rpc) => {
    if (failed++ >= times) return await echo(rpc)
    await rpc.readAll()
    rpc.end({ code: Code.UNAVAILABLE, details: 'not now' })
  }
}

describe('invariant 6: next() again starts a fresh attempt', () => {
  // reference: deviation 15
  it.each(patterns)(
    'request messages are replayed, in order, and the application sees one call: %s',
    async (pattern) => {
      const { interceptor, codes } = repeating(3)
      await using server = await startTestServer({ behaviour: failingAfterReading(2) })
      const rpc = await runRpc(server.client(interceptor), pattern, whole(pattern))
      expect(codes()).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.OK])
      expect(rpc.status?.code).toBe(Code.OK)
      expect(server.calls.map(({ requests }) => requests)).toEqual(Array(3).fill(requestsOf(pattern)))
      expect(rpc.events.filter((event) => event === 'metadata')).toEqual(['metadata'])
      expect(rpc.events.filter((event) => event === 'status')).toEqual(['status'])
      expect(rpc.messages).toEqual((await runRpc(server.client(), pattern, whole(pattern))).messages)
    },
  )

  it.each([1, 3])('a single request is serialized once, with attempts: %i', async (attempts) => {
    const { interceptor, codes } = repeating(attempts)
    await using server = await startTestServer({ behaviour: failingAfterReading(attempts - 1) })
    const { path, requestSerialize, responseDeserialize } = testService.unary
    let serialized = 0
    const counting: typeof requestSerialize = (message) => {
      serialized++
      return requestSerialize(message)
    }
    await new Promise<void>((resolve, reject) => {
      const done = (error: Error | null) => (error === null ? resolve() : reject(error))
      server.client(interceptor).makeUnaryRequest(path, counting, responseDeserialize, { text: 'a' }, done)
    })
    expect(codes()).toHaveLength(attempts)
    expect(server.calls.at(-1)?.requests).toEqual([{ text: 'a' }])
    expect(serialized).toBe(1)
  })

  it.each(patterns)('also when the server ends each attempt before reading anything: %s', async (pattern) => {
    const { interceptor } = repeating(3)
    let refused = 0
    await using server = await startTestServer({
      behaviour: (rpc) => (refused++ < 2 ? rpc.end({ code: Code.UNAVAILABLE }) : echo(rpc)),
    })
    const rpc = await runRpc(server.client(interceptor), pattern, whole(pattern))
    expect(rpc.status?.code).toBe(Code.OK)
    expect(server.calls[2]?.requests).toEqual(requestsOf(pattern))
  })

  it.each(['clientStream', 'bidi'] as const)(
    'messages that the application sends while attempts fail arrive once each: %s',
    async (pattern) => {
      const { interceptor, codes } = repeating(3)
      await using server = await startTestServer({ behaviour: manual })
      const rpc = startRpc(server.client(interceptor), pattern)
      await rpc.write({ text: 'a' })
      const first = await server.received(0)
      expect(await first.read()).toEqual({ text: 'a' })
      await rpc.write({ text: 'b' })
      first.end({ code: Code.UNAVAILABLE })
      const second = await server.received(1)
      expect([await second.read(), await second.read()]).toEqual([{ text: 'a' }, { text: 'b' }])
      await rpc.write({ text: 'c' })
      rpc.end()
      second.end({ code: Code.UNAVAILABLE })
      const third = await server.received(2)
      expect(await third.readAll()).toEqual([{ text: 'a' }, { text: 'b' }, { text: 'c' }])
      await third.write({ text: 'done' })
      third.end()
      expect((await rpc.done).messages).toEqual([{ text: 'done' }])
      expect(codes()).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.OK])
    },
  )

  it.each(['clientStream', 'bidi'] as const)(
    'one message at a time, the next after its callback: %s',
    async (pattern) => {
      let inFlight = 0
      let most = 0
      let written = 0
      const counting: GrpcInterceptor = (options, nextCall) =>
        new InterceptingCall(nextCall(options), {
          sendMessage: (message, next) => {
            most = Math.max(most, ++inFlight)
            written++
            next(message)
          },
        })
      const done: GrpcInterceptor = (options, nextCall) => {
        const call = nextCall(options)
        const send = call.sendMessageWithContext.bind(call)
        call.sendMessageWithContext = (context, message) => {
          const callback = (error?: Error | null): void => {
            inFlight--
            context.callback?.(error)
          }
          send({ ...context, callback }, message)
        }
        return call as InterceptingCall
      }
      const { interceptor } = repeating(2)
      await using server = await startTestServer({ behaviour: failingAfterReading(1) })
      const channel = server.channel(interceptor)
      const client = channel.client(TestClient)
      const requests = Array.from({ length: 20 }, (_, n) => ({ n }))
      const rpc = await runRpc(client, pattern, { requests, options: { interceptors: [counting, done] } })
      expect(rpc.status?.code).toBe(Code.OK)
      expect(written).toBe(40)
      expect(most).toBe(1)
    },
  )

  it('what inner layers set during one attempt is gone in the next', async () => {
    const seen: object[] = []
    let attempt = 0
    const inner = (call: ClientCall, next: Next): Promise<Status> => {
      attempt++
      seen.push({
        metadata: call.metadata.getMap(),
        deadline: call.deadline,
        credentials: call.credentials,
        waitForReady: call.waitForReady,
        compression: call.compression,
      })
      call.metadata.set(`attempt-${attempt}`, 'yes')
      call.metadata.set('outer', 'overwritten')
      call.deadline = Date.now() + 30_000
      call.waitForReady = true
      call.compression = 'identity'
      call.onRequest((message) => ({ ...(message as object), text: `${(message as { text: string }).text}${attempt}` }))
      call.onResponse((message) => ({ ...(message as object), data: `answer ${attempt}` }))
      return next()
    }
    const outer = (call: ClientCall, next: Next): Promise<Status> => {
      call.metadata.set('outer', 'kept')
      return next()
    }
    const { interceptor } = repeating(3)
    await using server = await startTestServer({ behaviour: failingAfterReading(2) })
    const rpc = await runRpc(server.client(outer, interceptor, inner), 'unary', { requests: [{ text: 'm' }] })
    expect(new Set(seen.map((facts) => JSON.stringify(facts))).size).toBe(1)
    expect(seen[0]).toMatchObject({
      metadata: { outer: 'kept' },
      deadline: Number.POSITIVE_INFINITY,
      waitForReady: false,
    })
    expect(
      server.calls.map(({ metadata }) => Object.keys(metadata.getMap()).filter((key) => /^attempt/.test(key))),
    ).toEqual([['attempt-1'], ['attempt-2'], ['attempt-3']])
    expect(server.calls.map(({ requests }) => requests[0]?.text)).toEqual(['m1', 'm2', 'm3'])
    expect(rpc.messages).toEqual([{ text: 'm3', data: 'answer 3' }])
  })

  it.each(patterns)('so is what interceptors of grpc-js inside the stack add to the metadata: %s', async (pattern) => {
    const native: GrpcInterceptor = (options, nextCall) =>
      new InterceptingCall(nextCall(options), {
        start: (metadata, listener, next) => {
          metadata.add('native', 'once')
          next(metadata, listener)
        },
      })
    await using server = await startTestServer({ behaviour: failingAfterReading(2) })
    const stub = new TestClient(server.address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      interceptors: [...clientInterceptors(repeating(3).interceptor), native],
    })
    await runRpc(stub, pattern, whole(pattern))
    stub.close()
    expect(server.calls.map(({ metadata }) => metadata.get('native'))).toEqual(Array(3).fill(['once']))
  })

  it('what the repeating layer itself sets between attempts holds', async () => {
    let attempt = 0
    const numbering = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(roomy)
      for (;;) {
        call.metadata.set('attempt', String(++attempt))
        const status = await next()
        if (status.code === Code.OK || attempt === 3) return status
      }
    }
    await using server = await startTestServer({ behaviour: failingAfterReading(2) })
    await runRpc(server.client(numbering), 'bidi', whole('bidi'))
    expect(server.calls.map(({ metadata }) => metadata.get('attempt'))).toEqual([['1'], ['2'], ['3']])
  })

  it.each(['clientStream', 'bidi'] as const)(
    'outer taps see each message once, inner ones on each attempt: %s',
    async (pattern) => {
      const log: string[] = []
      const tapping =
        (name: string): Interceptor =>
        (call, next) => {
          call.onRequest((message) => {
            const { text } = message as { text: string }
            log.push(`${name}:${text}`)
            return { text: `${text}${name}` }
          })
          return next()
        }
      const first = repeating(2)
      const second = repeating(2)
      await using server = await startTestServer({ behaviour: failingAfterReading(3) })
      const client = server.client(tapping('o'), first.interceptor, tapping('m'), second.interceptor, tapping('i'))
      await runRpc(client, pattern, { requests: [{ text: 'a' }, { text: 'b' }] })
      // The outer point runs twice, the inner one twice in each: four attempts, of which the last is let through.
      expect(server.calls.map(({ requests }) => requests.map(({ text }) => text))).toEqual(
        Array(4).fill(['aomi', 'bomi']),
      )
      expect(log.filter((line) => line.startsWith('o:'))).toEqual(['o:a', 'o:b'])
      expect(log.filter((line) => line.startsWith('m:'))).toEqual(['m:ao', 'm:bo', 'm:ao', 'm:bo'])
      expect(log.filter((line) => line.startsWith('i:')).length).toBe(8)
      expect(first.codes()).toEqual([Code.UNAVAILABLE, Code.OK])
      expect(second.codes()).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.UNAVAILABLE, Code.OK])
    },
  )

  it.each(patterns)('reads the application has asked for are asked of the new attempt: %s', async (pattern) => {
    const { interceptor } = repeating(2)
    await using server = await startTestServer({ behaviour: manual })
    const rpc = startRpc(server.client(interceptor), pattern, whole(pattern))
    const first = await server.received(0)
    await first.readAll()
    first.end({ code: Code.UNAVAILABLE })
    const second = await server.received(1)
    await second.readAll()
    await second.write({ text: 'answer' })
    await settle()
    second.end()
    expect((await rpc.done).messages).toEqual([{ text: 'answer' }])
  })

  it.each(patterns)('an earlier attempt that is still running is cancelled and silent: %s', async (pattern) => {
    const go = new Gate()
    const impatient: Interceptor = async (_call, next) => {
      const rest = next()
      return await Promise.race([rest, go.opened.then((): Status => ({ code: Code.DEADLINE_EXCEEDED }))])
    }
    const { interceptor } = repeating(2)
    await using server = await startTestServer({ behaviour: manual })
    const rpc = startRpc(server.client(interceptor, impatient), pattern, whole(pattern))
    const first = await server.received(0)
    go.open()
    await first.closed
    expect(first.cancelled).toBe(true)
    first.sendHeaders({ stale: 'yes' })
    first.end({ code: Code.DATA_LOSS })
    expect((await rpc.done).status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(rpc.headers).toBeUndefined()
  })
})

describe('invariant 6: a committed call is not repeated', () => {
  it.each(patterns)(
    'next() after the response has begun resolves to INTERNAL and starts nothing: %s',
    async (pattern) => {
      const { interceptor, statuses } = repeating(2)
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          await rpc.readAll()
          rpc.sendHeaders({ early: 'yes' })
          if (pattern === 'serverStream' || pattern === 'bidi') await rpc.write({ text: 'one' })
          rpc.end({ code: Code.UNAVAILABLE })
        },
      })
      const rpc = await runRpc(server.client(interceptor), pattern, whole(pattern))
      expect(rpc.headers?.get('early')).toEqual(['yes'])
      expect(server.calls.length).toBe(1)
      expect(statuses.map(({ code }) => code)).toEqual([Code.UNAVAILABLE, Code.INTERNAL])
      expect(statuses[1]?.details).toContain('committed')
    },
  )

  it.each(patterns)('response headers are shown as they come: %s', async (pattern) => {
    const { interceptor } = repeating(2)
    let acted = false
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        rpc.sendHeaders({ subscribed: 'yes' })
        await until(() => acted, 'the client acting on the headers')
        await echo(rpc)
      },
    })
    const rpc = startRpc(server.client(interceptor), pattern, whole(pattern))
    await rpc.headersSeen
    acted = true
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
  })

  it('call.committed tells', async () => {
    const seen: boolean[] = []
    const asking = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(roomy)
      seen.push(call.committed)
      let status = await next()
      seen.push(call.committed)
      status = await next()
      seen.push(call.committed)
      return status
    }
    await using server = await startTestServer({ behaviour: failingAfterReading(1) })
    await runRpc(server.client(asking), 'serverStream', whole('serverStream'))
    expect(seen).toEqual([false, false, true])
  })

  it.each(patterns)('without makeReplayable() next() again starts nothing: %s', async (pattern) => {
    const second: Status[] = []
    const careless: Interceptor = async (_call, next) => {
      const status = await next()
      second.push(await next())
      return status
    }
    await using server = await startTestServer({ behaviour: failingAfterReading(1) })
    const rpc = await runRpc(server.client(careless), pattern, whole(pattern))
    expect(second).toMatchObject([
      { code: Code.INTERNAL, origin: 'local', details: expect.stringContaining('makeReplayable') },
    ])
    expect(rpc.status?.code).toBe(Code.UNAVAILABLE)
    expect(server.calls.length).toBe(1)
  })

  it('next() while the last one is running starts nothing', async () => {
    const parallel: Status[] = []
    const hasty = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(roomy)
      const first = next()
      parallel.push(await next())
      return await first
    }
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(hasty), 'unary')
    expect(parallel).toMatchObject([{ code: Code.INTERNAL }])
    expect(rpc.status?.code).toBe(Code.OK)
    expect(server.calls.length).toBe(1)
  })

  it.each([
    ['messages', { maxBytes: 1_000_000, maxMessages: 2 }],
    ['bytes', { maxBytes: 25, maxMessages: 1000 }],
    ['a shared pool', { ...roomy, pool: { reserve: () => false, release: () => undefined } }],
  ] as const)('more %s than fit commit the call, which goes on', async (_name, limits) => {
    for (const pattern of ['clientStream', 'bidi'] as const) {
      const { interceptor, statuses } = repeating(2, limits)
      await using server = await startTestServer({ behaviour: failingAfterReading(1) })
      const client = server.client(interceptor)
      await runRpc(client, pattern, { requests: Array.from({ length: 10 }, (_, n) => ({ text: `message ${n}` })) })
      expect(server.calls[0]?.requests.length).toBe(10)
      expect(statuses.map(({ code }) => code)).toEqual([Code.UNAVAILABLE, Code.INTERNAL])
      expect(server.calls.length).toBe(1)
    }
  })

  it.each(['unary', 'serverStream'] as const)('a single request is kept whatever the limits: %s', async (pattern) => {
    const { interceptor, codes } = repeating(2, { maxBytes: 0, maxMessages: 0 })
    await using server = await startTestServer({ behaviour: failingAfterReading(1) })
    await runRpc(server.client(interceptor), pattern, whole(pattern))
    expect(codes()).toEqual([Code.UNAVAILABLE, Code.OK])
  })

  it('a pool gets back what calls took from it', async () => {
    let room = 1000
    const pool = {
      reserve: (bytes: number) => {
        if (bytes > room) return false
        room -= bytes
        return true
      },
      release: (bytes: number) => {
        room += bytes
      },
    }
    const { interceptor } = repeating(2, { ...roomy, pool })
    await using server = await startTestServer({ behaviour: manual })
    const client = server.client(interceptor)
    const rpc = startRpc(client, 'bidi')
    await rpc.write({ text: 'some bytes' })
    await server.received(0)
    expect(room).toBeLessThan(1000)
    rpc.cancel()
    await rpc.done
    await until(() => room === 1000)
  })

  it.each([
    [undefined],
    [{}],
    [{ maxBytes: -1, maxMessages: 1 }],
    [{ maxBytes: 1, maxMessages: Number.NaN }],
    [{ maxBytes: '1', maxMessages: 1 }],
  ])('limits that are none are refused: %j', async (limits) => {
    const outer = awaiting()
    const wrong = (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(limits as never)
      return next()
    }
    await using server = await startTestServer()
    await runRpc(server.client(outer.interceptor, wrong), 'unary')
    expect(outer.statuses[0]).toMatchObject({ code: Code.INTERNAL, cause: expect.any(TypeError) })
  })

  it('makeReplayable after next() is too late, and says so', async () => {
    const outer = awaiting()
    const late = async (call: ClientCall, next: Next): Promise<Status> => {
      const status = await next()
      call.makeReplayable(roomy)
      return status
    }
    await using server = await startTestServer()
    await runRpc(server.client(outer.interceptor, late), 'unary')
    expect(outer.statuses[0]).toMatchObject({
      code: Code.INTERNAL,
      cause: { message: expect.stringContaining('before') },
    })
  })
})

describe('invariant 6: the end of a replayable call', () => {
  it.each(patterns)('a cancel between attempts ends it at once: %s', async (pattern) => {
    const between = new Gate()
    let signal: AbortSignal | undefined
    const waiting = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(roomy)
      signal = call.signal
      await next()
      between.open()
      await new Promise(() => undefined)
      return await next()
    }
    await using server = await startTestServer({ behaviour: failingAfterReading(9) })
    const rpc = startRpc(server.client(waiting), pattern, whole(pattern))
    await between.opened
    rpc.cancel()
    expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
    expect(signal?.aborted).toBe(true)
    expect(server.calls.length).toBe(1)
  })

  it.each(patterns)('the status of the last attempt is the application’s, trailers and all: %s', async (pattern) => {
    let n = 0
    const { interceptor } = repeating(3)
    await using server = await startTestServer({
      behaviour: (rpc) =>
        rpc.end({ code: Code.UNAVAILABLE, details: `try ${++n}`, metadata: metadataOf({ try: String(n) }) }),
    })
    const rpc = await runRpc(server.client(interceptor), pattern, whole(pattern))
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'try 3', attempts: 3 })
    expect(rpc.error?.metadata.get('try')).toEqual(['3'])
    const keys = ['attempts', 'code', 'details', 'message', 'metadata', 'stack']
    expect(Reflect.ownKeys(rpc.error ?? {}).sort()).toEqual(keys)
  })

  it.each(['unary', 'serverStream'] as const)(
    'with commit: message, headers of failed attempts never show: %s',
    async (pattern) => {
      let n = 0
      const { interceptor } = repeating(3, { ...roomy, commit: 'message' })
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          rpc.sendHeaders({ attempt: String(++n) })
          await rpc.readAll()
          if (n < 3) rpc.end({ code: Code.UNAVAILABLE })
          else {
            await rpc.write({ text: 'at last' })
            rpc.end()
          }
        },
      })
      const rpc = await runRpc(server.client(interceptor), pattern, whole(pattern))
      expect(rpc.headers?.get('attempt')).toEqual(['3'])
      expect(rpc.events.indexOf('metadata')).toBe(0)
      expect(rpc.events.filter((event) => event === 'metadata').length).toBe(1)
      expect(rpc.messages).toEqual([{ text: 'at last' }])
    },
  )

  it.each(['unary', 'serverStream'] as const)(
    'with commit: message, the first message commits the call: %s',
    async (pattern) => {
      const { interceptor, statuses } = repeating(2, { ...roomy, commit: 'message' })
      const frame = messageFrame(testService.unary.responseSerialize({ text: 'one' }))
      let attempts = 0
      await using peer = await startRawPeer((stream) => {
        attempts++
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': Code.UNAVAILABLE }))
        stream.end(frame)
      })
      await runRpc(peer.stub(interceptor), pattern, whole(pattern))
      expect(statuses.map(({ code }) => code)).toEqual([Code.UNAVAILABLE, Code.INTERNAL])
      expect(attempts).toBe(1)
    },
  )

  it.each(['clientStream', 'bidi'] as const)(
    'with commit: message, headers commit a call that streams requests: %s',
    async (pattern) => {
      const { interceptor, codes } = repeating(2, { ...roomy, commit: 'message' })
      let acted = false
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          rpc.sendHeaders({ subscribed: 'yes' })
          await until(() => acted, 'the client acting on the headers')
          rpc.end({ code: Code.UNAVAILABLE })
        },
      })
      const rpc = startRpc(server.client(interceptor), pattern, whole(pattern))
      await rpc.headersSeen
      expect(rpc.headers?.get('subscribed')).toEqual(['yes'])
      acted = true
      await rpc.done
      expect(codes()).toEqual([Code.UNAVAILABLE, Code.INTERNAL])
      expect(server.calls.length).toBe(1)
    },
  )
})

describe('invariant 6: what is written while no attempt runs', () => {
  it.each(['clientStream', 'bidi'] as const)(
    'reaches the next attempt whole, which is the last if there was no room: %s',
    async (pattern) => {
      const [between, go] = [new Gate(), new Gate()]
      const statuses: Status[] = []
      const waiting = async (call: ClientCall, next: Next): Promise<Status> => {
        call.makeReplayable({ maxBytes: 1_000_000, maxMessages: 2 })
        statuses.push(await next())
        between.open()
        await go.opened
        statuses.push(await next())
        statuses.push(await next())
        return statuses[1] as Status
      }
      await using server = await startTestServer({ behaviour: manual })
      const rpc = startRpc(server.client(waiting), pattern)
      await rpc.write({ text: 'a' })
      const first = await server.received(0)
      expect(await first.read()).toEqual({ text: 'a' })
      first.end({ code: Code.UNAVAILABLE })
      await between.opened
      const { call } = rpc
      if (!('write' in call)) throw new Error('a stream is written')
      for (const text of ['b', 'c', 'd']) call.write({ text })
      rpc.end()
      await settle(1)
      go.open()
      const second = await server.received(1)
      expect(await second.readAll()).toEqual([{ text: 'a' }, { text: 'b' }, { text: 'c' }, { text: 'd' }])
      second.end({ code: Code.UNAVAILABLE, details: 'the last' })
      expect((await rpc.done).status).toMatchObject({ code: Code.UNAVAILABLE, details: 'the last' })
      expect(statuses.map(({ code }) => code)).toEqual([Code.UNAVAILABLE, Code.UNAVAILABLE, Code.INTERNAL])
      expect(server.calls.length).toBe(2)
    },
  )
})

describe('invariant 6: what is written before the first attempt', () => {
  it.each(['clientStream', 'bidi'] as const)(
    'reaches it, and if there was no room there is no other: %s',
    async (pattern) => {
      const [written, statuses] = [new Gate(), [] as Status[]]
      const late = async (call: ClientCall, next: Next): Promise<Status> => {
        call.makeReplayable({ maxBytes: 0, maxMessages: 0 })
        await written.opened
        statuses.push(await next(), await next())
        return statuses[0] as Status
      }
      await using server = await startTestServer({ behaviour: failingAfterReading(1) })
      const rpc = startRpc(server.client(late), pattern, whole(pattern))
      written.open()
      expect((await rpc.done).status).toMatchObject({ code: Code.UNAVAILABLE, details: 'not now' })
      expect(server.calls.map(({ requests }) => requests)).toEqual([requestsOf(pattern)])
      expect(statuses.map(({ code }) => code)).toEqual([Code.UNAVAILABLE, Code.INTERNAL])
    },
  )
})

describe('invariant 6: layers that repeat, one inside of the other', () => {
  const tap = (call: ClientCall, name: string): void =>
    call.onRequest((message) => ({ text: `${(message as { text: string }).text}${name}` }))
  const twice = async (next: Next): Promise<Status> => {
    const status = await next()
    return status.code === Code.OK ? status : await next()
  }
  const requests = [{ text: 'a' }, { text: 'b' }]
  const textsOf = (server: { readonly calls: readonly { readonly requests: readonly { text?: string }[] }[] }) =>
    server.calls.map((call) => call.requests.map(({ text }) => text))

  it.each([
    ['clientStream', 'o'],
    ['clientStream', ''],
    ['bidi', 'o'],
    ['bidi', ''],
  ] as const)('pass messages on in their order, whichever of them asked first: %s, %j', async (pattern, outermost) => {
    const outer = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(roomy)
      if (outermost !== '') tap(call, outermost)
      return await twice(next)
    }
    let runs = 0
    const second = async (call: ClientCall, next: Next): Promise<Status> => {
      tap(call, 'm')
      if (++runs === 1) return await next()
      call.makeReplayable(roomy)
      return await twice(next)
    }
    const third = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable(roomy)
      tap(call, 'i')
      return await twice(next)
    }
    await using server = await startTestServer({ behaviour: failingAfterReading(5) })
    const rpc = await runRpc(server.client(outer, second, third), pattern, { requests })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(textsOf(server)).toEqual(Array(6).fill([`a${outermost}mi`, `b${outermost}mi`]))
  })

  it.each(['clientStream', 'bidi'] as const)(
    'keep what messages had become when a tap between them threw: %s',
    async (pattern) => {
      const seen: string[] = []
      const outer = async (call: ClientCall, next: Next): Promise<Status> => {
        call.makeReplayable(roomy)
        call.onRequest((message) => {
          const { text } = message as { text: string }
          seen.push(text)
          return { text: `${text}o` }
        })
        return await twice(next)
      }
      let runs = 0
      const throwing = (call: ClientCall, next: Next): Promise<Status> => {
        const first = ++runs === 1
        call.onRequest((message) => {
          if (first) throw new Error('of a tap')
          return { text: `${(message as { text: string }).text}m` }
        })
        return next()
      }
      const inner = async (call: ClientCall, next: Next): Promise<Status> => {
        call.makeReplayable(roomy)
        return await twice(next)
      }
      let failed = 0
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          await rpc.readAll()
          // Of the attempt whose tap throws nothing is to arrive.
          if (rpc.requests.length > 0 && failed++ === 0) rpc.end({ code: Code.UNAVAILABLE })
          else rpc.end()
        },
      })
      await runRpc(server.client(outer, throwing, inner), pattern, { requests })
      expect(textsOf(server).filter((texts) => texts.length > 0)).toEqual(Array(2).fill(['aom', 'bom']))
      expect(seen).toEqual(['a', 'b'])
    },
  )
})

describe('the taps of a request', () => {
  const noting = () => {
    const seen: unknown[] = []
    const interceptor: Interceptor = (call, next) => {
      call.onRequest((message) => void seen.push((message as { text: string }).text))
      return next()
    }
    return { seen, interceptor }
  }

  it.each(patterns)('see it once where it waited for the call to begin: %s', async (pattern) => {
    const { seen, interceptor } = noting()
    const late: Interceptor = async (_call, next) => {
      await settle(1)
      return await next()
    }
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(interceptor, late), pattern, whole(pattern))
    expect(rpc.status?.code).toBe(Code.OK)
    expect(seen).toEqual(requestsOf(pattern).map(({ text }) => text))
  })

  it('see it too once the call is committed', async () => {
    const { seen, interceptor } = noting()
    await using server = await startTestServer()
    const rpc = startRpc(server.client(repeating(2).interceptor, interceptor), 'bidi')
    await rpc.write({ text: 'a' })
    await rpc.messageSeen
    await rpc.write({ text: 'b' })
    rpc.end()
    expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(seen).toEqual(['a', 'b'])
  })
})
