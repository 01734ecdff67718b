import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  endWith,
  Gate,
  manual,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  type TestMessage,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it, vi } from 'vitest'
import { awaiting, until } from '../../test/observing.ts'
import {
  abortHandler,
  type ClientCall,
  type ClientInterceptor,
  ContextVar,
  createClient,
  type Interceptor,
  type Next,
  RpcError,
  type ServerCall,
  type ServerInterceptor,
  type Status,
  unaryUnaryRpcMethodHandler,
} from '../index.ts'

// The flaws of the core in the examples of the reference's documentation, by number: each has a test that it is right
// here. Those of single concerns are with their packages.

const orders: Behaviour = endWith({ code: Code.NOT_FOUND, details: 'no such order' })

describe('the core does better than the reference’s examples', () => {
  // reference: deviation 2, flaw 1, symbol 31
  it('awaiting a continuation throws the RpcError of a call that failed, which can be caught', async () => {
    const caught: unknown[] = []
    const falling: ClientInterceptor = {
      async interceptUnaryUnary(continuation, details, request) {
        const call = continuation(details, request)
        try {
          return await call
        } catch (error) {
          caught.push(error)
          // The call is there without being awaited, as well.
          expect((await call.status).code).toBe(Code.NOT_FOUND)
          return { text: 'fallback' }
        }
      },
    }
    await using server = await startTestServer({ behaviour: orders })
    const client = createClient(testService, server.channel(falling))
    expect(await client.unary({})).toEqual({ text: 'fallback' })
    expect(caught).toEqual([expect.any(RpcError)])
    expect(caught[0]).toMatchObject({ code: Code.NOT_FOUND, details: 'no such order' })
  })

  // reference: deviation 17, flaw 2, sentence 6, symbol 10
  it('an interceptor may implement some of the four methods, and one with none is refused', async () => {
    let called = 0
    const some: ClientInterceptor = {
      interceptUnaryUnary(continuation, details, request) {
        called++
        return continuation(details, request)
      },
    }
    await using server = await startTestServer()
    const client = server.client(some)
    for (const pattern of patterns) expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    expect(called).toBe(1)
    expect(() => server.client({} as ClientInterceptor)).toThrow(TypeError)
  })

  // reference: flaw 3, sentence 14, sentence 16, symbol 15
  it('a stream that an interceptor made anew is still a whole call to the application', async () => {
    const doubling: ClientInterceptor<TestMessage, TestMessage> = {
      async *interceptUnaryStream(continuation, details, request) {
        for await (const message of continuation(details, request)) yield { ...message, text: 'doubled' }
      },
    }
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        rpc.sendHeaders({ a: 'b' })
        await rpc.readAll()
        await rpc.write({ n: 1 })
        await rpc.closed
      },
    })
    const client = createClient(testService, server.channel(doubling as ClientInterceptor))
    const call = client.serverStream({})
    const messages: unknown[] = []
    for await (const message of call) {
      messages.push(message)
      break
    }
    expect(messages).toEqual([{ n: 1, text: 'doubled' }])
    expect((await call.headers).get('a')).toEqual(['b'])
    expect(call.peer()).toContain(server.address)
    expect((await call.status).code).toBe(Code.CANCELLED)
    await server.calls[0]?.closed
    expect(server.calls[0]?.cancelled).toBe(true)
  })

  // reference: flaw 4
  it.each([
    ['interceptUnaryUnary', undefined],
    ['interceptUnaryStream', 7],
    ['interceptStreamStream', { not: 'iterable' }],
  ] as const)('what is no answer ends the call with INTERNAL: %s', async (hook, value) => {
    const silly = { [hook]: () => value } as ClientInterceptor
    await using server = await startTestServer()
    const pattern = (
      { interceptUnaryUnary: 'unary', interceptUnaryStream: 'serverStream', interceptStreamStream: 'bidi' } as const
    )[hook]
    expect((await runRpc(server.client(silly), pattern)).error?.code).toBe(Code.INTERNAL)
  })

  // reference: deviation 3, flaw 4, sentence 13
  it('a plain value is an answer where there is one response', async () => {
    const caching: ClientInterceptor = { interceptUnaryUnary: () => ({ text: 'cached' }) }
    await using server = await startTestServer()
    expect((await runRpc(server.client(caching), 'unary')).messages).toEqual([{ text: 'cached' }])
    expect(server.calls).toEqual([])
  })

  // reference: deviation 1, flaw 5
  it.each(patterns)(
    'whatever an interceptor throws, the application gets an RPC error with a code: %s',
    async (pattern) => {
      const cause = new Error('a bug')
      const buggy: Interceptor = async () => {
        throw cause
      }
      await using server = await startTestServer()
      const { error } = await runRpc(server.client(buggy), pattern)
      expect(error).toMatchObject({ code: Code.INTERNAL, cause })
      const client = createClient(testService, server.channel(buggy))
      await expect(client.unary({})).rejects.toBeInstanceOf(RpcError)
      await expect(client.unary({})).rejects.toMatchObject({ code: Code.INTERNAL, cause })
    },
  )

  // reference: deviation 4, flaw 7
  it('one deadline covers the interceptors’ time and every attempt, and ends one that hangs', async () => {
    const seen: number[] = []
    const repeating = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 0, maxMessages: 1 })
      for (let n = 0; n < 3; n++) {
        seen.push(call.deadline)
        await next()
      }
      return await new Promise<never>(() => undefined)
    }
    await using server = await startTestServer({ behaviour: orders })
    const deadline = Date.now() + 150
    const rpc = await runRpc(server.client(repeating), 'unary', { options: { deadline } })
    expect(seen).toEqual([deadline, deadline, deadline])
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
  })

  // reference: flaw 8
  it.each(['clientStream', 'bidi'] as const)(
    'a repeated request stream is the same stream, never an empty one: %s',
    async (pattern) => {
      const requests = [{ text: 'a' }, { text: 'b' }]
      let failures = 1
      const behaviour: Behaviour = async (rpc) => {
        if (failures-- <= 0) return await echo(rpc)
        await rpc.readAll()
        rpc.end({ code: Code.UNAVAILABLE })
      }
      const repeating = async (call: ClientCall, next: Next): Promise<Status> => {
        call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
        await next()
        return await next()
      }
      await using server = await startTestServer({ behaviour })
      await runRpc(server.client(repeating), pattern, { requests })
      expect(server.calls.map((call) => call.requests)).toEqual([requests, requests])
    },
  )

  // reference: flaw 9
  it.each(patterns)(
    'a cancel reaches an interceptor at work, by its signal, and ends the call at once: %s',
    async (pattern) => {
      const begun = new Gate()
      const reasons: unknown[] = []
      const fetching: Interceptor = async (call, next) => {
        begun.open()
        await new Promise((_, reject) => {
          call.signal.addEventListener('abort', () => reject(call.signal.reason))
        }).catch((reason: unknown) => reasons.push(reason))
        return await next()
      }
      await using server = await startTestServer()
      const rpc = startRpc(server.client(fetching), pattern)
      await begun.opened
      rpc.cancel()
      expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
      expect(reasons).toMatchObject([{ code: Code.CANCELLED }])
      expect(server.calls).toEqual([])
    },
  )

  // reference: flaw 10, sentence 3, symbol 9
  it('one interceptor serves all four kinds of calls', async () => {
    const seen: string[] = []
    const plain: Interceptor = (call, next) => {
      seen.push(call.method.pattern)
      return next()
    }
    const hooks: string[] = []
    const object: ClientInterceptor = {
      interceptUnaryUnary: (continuation, details, request) => {
        hooks.push('uu')
        return continuation(details, request)
      },
      interceptUnaryStream: (continuation, details, request) => {
        hooks.push('us')
        return continuation(details, request)
      },
      interceptStreamUnary: (continuation, details, requests) => {
        hooks.push('su')
        return continuation(details, requests)
      },
      interceptStreamStream: (continuation, details, requests) => {
        hooks.push('ss')
        return continuation(details, requests)
      },
    }
    await using server = await startTestServer({ interceptors: [plain] })
    const client = server.client(plain, object)
    for (const pattern of patterns) await runRpc(client, pattern)
    expect(seen).toEqual(patterns.flatMap((pattern) => [pattern, pattern]))
    expect(hooks).toEqual(['uu', 'su', 'us', 'ss'])
  })

  // reference: deviation 9, flaw 11, sentence 17, sentence 46, symbol 20
  it('metadata is always there and always a copy; details of interceptor objects are frozen', async () => {
    const given = metadataOf({ mine: '1' })
    const frozen: boolean[] = []
    const stamping: Interceptor = (call, next) => {
      call.metadata.set('stamp', '1')
      return next()
    }
    const patching: ClientInterceptor = {
      interceptUnaryUnary(continuation, details, request) {
        frozen.push(Object.isFrozen(details))
        const metadata = details.metadata.clone()
        metadata.set('patch', '1')
        return continuation(details.with({ metadata }), request)
      },
    }
    await using server = await startTestServer()
    await runRpc(server.client(stamping, patching), 'unary', { metadata: given })
    await runRpc(server.client(stamping, patching), 'unary')
    for (const { metadata } of server.calls) expect(metadata.getMap()).toMatchObject({ stamp: '1', patch: '1' })
    expect(given.getMap()).toEqual({ mine: '1' })
    expect(frozen).toEqual([true, true])
  })

  // reference: flaw 12
  it('whatever a server interceptor does, the server serves the next RPC', async () => {
    const faults: (() => unknown)[] = [
      () => {
        throw new Error('oops')
      },
      () => 'no handler',
      () => ({ neither: 'this' }),
      () => Promise.reject(undefined),
    ]
    let n = 0
    const faulty: ServerInterceptor = {
      interceptService: (continuation, details) => {
        const fault = faults[n++]
        return fault === undefined ? continuation(details) : (fault() as never)
      },
    }
    await using server = await startTestServer({ interceptors: [faulty] })
    const client = server.client()
    const codes: unknown[] = []
    for (let i = 0; i <= faults.length; i++) codes.push((await runRpc(client, 'bidi')).status?.code)
    expect(codes).toEqual([...faults.map(() => Code.INTERNAL), Code.OK])
  })

  // reference: flaw 13
  it('a server interceptor sees peer, deadline, kind of call and cancellation', async () => {
    let seen: ServerCall | undefined
    const looking = (call: ServerCall, next: Next): Promise<Status> => {
      seen = call
      return next()
    }
    await using server = await startTestServer({ interceptors: [looking], behaviour: manual })
    const rpc = startRpc(server.client(), 'clientStream', { options: { deadline: Date.now() + 60_000 } })
    await server.received(0)
    expect(seen?.peer()).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(seen?.deadline).toBeLessThan(Date.now() + 61_000)
    expect(seen?.method.pattern).toBe('clientStream')
    expect(seen?.signal.aborted).toBe(false)
    rpc.cancel()
    await until(() => seen?.signal.aborted === true)
    await rpc.done
  })

  // reference: flaw 14
  it('no second run on a server can pass an inner interceptor by', async () => {
    const checked: string[] = []
    const twice: Interceptor = async (_call, next) => {
      await next()
      return await next()
    }
    const guard: Interceptor = (call, next) => {
      checked.push(call.method.pattern)
      return next()
    }
    const asking: ServerInterceptor = {
      async interceptService(continuation, details) {
        await continuation(details)
        return await continuation(details)
      },
    }
    const deciding: ServerInterceptor = {
      interceptService(continuation, details) {
        checked.push('asked')
        return details.invocationMetadata.get('token').length > 0
          ? continuation(details)
          : abortHandler(Code.UNAUTHENTICATED, 'no token')
      },
    }
    await using plain = await startTestServer({ interceptors: [twice, guard] })
    expect((await runRpc(plain.client(), 'unary')).status?.code).toBe(Code.INTERNAL)
    expect(plain.calls.length).toBe(1)
    await using objects = await startTestServer({ interceptors: [asking, deciding] })
    expect((await runRpc(objects.client(), 'unary')).status?.code).toBe(Code.UNAUTHENTICATED)
    expect(objects.calls).toEqual([])
    expect(checked).toEqual(['unary', 'asked', 'asked'])
  })

  // reference: flaw 15, symbol 54
  it.each(patterns)(
    'each server RPC has a context of its own, empty at first, the same everywhere in it: %s',
    async (pattern) => {
      const user = new ContextVar<string>('user')
      const wrong: string[] = []
      const entering: Interceptor = (call, next) => {
        if (user.get('empty') !== 'empty') wrong.push(`began with ${user.get()}`)
        user.set(String(call.metadata.get('user')[0]))
        return next()
      }
      await using server = await startTestServer({
        interceptors: [entering],
        behaviour: async (rpc) => {
          const expected = String(rpc.metadata.get('user')[0])
          const check = (where: string): void => {
            if (user.get('empty') !== expected) wrong.push(`${where}: ${user.get('empty')} instead of ${expected}`)
          }
          const emitter: NodeJS.EventEmitter = rpc.call
          emitter.on('cancelled', () => check('cancelled'))
          check('handler')
          await rpc.readAll()
          check('after reading')
          await new Promise((resolve) => setTimeout(resolve, 2))
          check('after a timer')
          rpc.end()
        },
      })
      const client = server.client()
      await Promise.all(
        ['a', 'b', 'c'].map((name) => runRpc(client, pattern, { metadata: metadataOf({ user: name }) })),
      )
      await Promise.all(server.calls.map((call) => call.closed))
      await settle()
      expect(wrong).toEqual([])
    },
  )

  // reference: deviation 8, flaw 16
  it('the text of an error that was not meant for the client stays here, as the cause', async () => {
    const outer = awaiting()
    const leaking: ServerInterceptor = {
      interceptService: () =>
        unaryUnaryRpcMethodHandler(() => {
          throw new Error('password=hunter2')
        }),
    }
    await using server = await startTestServer({ interceptors: [outer.interceptor, leaking] })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.error).toMatchObject({ code: Code.INTERNAL })
    expect(JSON.stringify([rpc.error?.details, rpc.error?.metadata.toJSON()])).not.toContain('hunter2')
    expect(outer.statuses[0]?.cause).toMatchObject({ message: 'password=hunter2' })
  })

  // reference: flaw 17
  it('time is monotonic: a stepped wall clock neither ends calls early nor keeps them', async () => {
    await using server = await startTestServer()
    const hanging: Interceptor = () => new Promise<never>(() => undefined)
    const long = startRpc(server.client(hanging), 'unary', { options: { deadline: Date.now() + 60_000 } })
    const short = startRpc(server.client(hanging), 'unary', { options: { deadline: Date.now() + 50 } })
    const now = Date.now.bind(Date)
    for (const step of [-3_600_000, 3_600_000]) {
      vi.spyOn(Date, 'now').mockImplementation(() => now() + step)
      if (step < 0) expect((await short.done).status?.code).toBe(Code.DEADLINE_EXCEEDED)
      await settle()
    }
    vi.restoreAllMocks()
    expect(long.isDone).toBe(false)
    long.cancel()
    await long.done
  })

  // reference: flaw 17, symbol 57
  it('nothing is printed', async () => {
    const printed = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')]
    await using server = await startTestServer({ interceptors: [(_call, next) => next()], behaviour: orders })
    for (const pattern of patterns) await runRpc(server.client(), pattern)
    expect(printed.flatMap((spy) => spy.mock.calls)).toEqual([])
  })
})
