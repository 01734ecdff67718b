import { status as Code, credentials, Metadata, Server, ServerCredentials } from '@grpc/grpc-js'
import { endWith, patterns, runRpc, startRpc, startTestServer, TestClient, testService } from '@grpc-stack/grpc-testing'
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import * as authoringHere from '../authoring.ts'
import * as here from '../index.ts'

type Core = typeof here & { readonly authoring: typeof authoringHere }

/** Another copy of this package, as a second version in the tree is one. */
async function otherCopy(protocol?: number): Promise<Core> {
  vi.resetModules()
  if (protocol !== undefined) {
    vi.doMock('../runtime/version.ts', () => ({ VERSION: '2.3.4', PROTOCOL: protocol }))
  }
  try {
    return { ...(await import('../index.ts')), authoring: await import('../authoring.ts') }
  } finally {
    vi.doUnmock('../runtime/version.ts')
  }
}

let there: Core
beforeAll(async () => {
  there = await otherCopy()
  expect(there.RpcError).not.toBe(here.RpcError)
})

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Logs its name. */
const named =
  (log: string[], name: string): here.Interceptor =>
  (_call, next) => {
    log.push(name)
    return next()
  }

describe('with two copies of this package in a process', () => {
  describe('errors', () => {
    it('of the other copy are RpcErrors, and of a class derived from it only its own are', () => {
      class NotFound extends here.RpcError {}
      const error = new there.RpcError(Code.NOT_FOUND, 'no such order')
      expect(error instanceof here.RpcError).toBe(true)
      expect(here.RpcError.from(error)).toBe(error)
      expect(error instanceof NotFound).toBe(false)
      const derived = new NotFound(Code.NOT_FOUND)
      expect([derived instanceof NotFound, derived instanceof there.RpcError]).toEqual([true, true])
      for (const none of [undefined, null, 5, {}, new Error('x'), here.RpcError]) {
        expect((none as object) instanceof here.RpcError).toBe(false)
      }
    })

    it.each(patterns)('thrown by an interceptor keep their status, on both sides: %s', async (pattern) => {
      const trailers = new Metadata()
      trailers.set('reason', 'stock')
      const refusing = (): never => {
        throw new there.RpcError(Code.FAILED_PRECONDITION, 'sold out', { metadata: trailers })
      }
      await using server = await startTestServer({ interceptors: [refusing] })
      const refused = await runRpc(server.client(), pattern)
      expect(refused.status).toMatchObject({ code: Code.FAILED_PRECONDITION, details: 'sold out' })
      expect(refused.status?.metadata?.get('reason')).toEqual(['stock'])
      await using plain = await startTestServer()
      const rpc = await runRpc(plain.client(refusing), pattern)
      expect(rpc.status).toMatchObject({ code: Code.FAILED_PRECONDITION, details: 'sold out' })
    })

    it('thrown by taps, interceptor objects and handlers of objects keep their status', async () => {
      const error = new there.RpcError(Code.DATA_LOSS, 'torn')
      const fail = (): never => {
        throw error
      }
      const tapping: here.Interceptor = (call, next) => {
        call.onRequest(fail)
        return next()
      }
      for (const interceptor of [
        tapping,
        { interceptService: async () => fail() },
        { interceptService: async () => here.unaryUnaryRpcMethodHandler(fail) },
      ]) {
        await using server = await startTestServer({ interceptors: [interceptor] })
        expect((await runRpc(server.client(), 'unary')).status).toMatchObject({ code: Code.DATA_LOSS, details: 'torn' })
      }
      await using server = await startTestServer()
      const client = server.client({ interceptUnaryUnary: fail })
      expect((await runRpc(client, 'unary')).status).toMatchObject({ code: Code.DATA_LOSS, details: 'torn' })
    })
  })

  describe('statuses', () => {
    it.each(patterns)('pass through stacks of both copies with cause, refuser and trailers: %s', async (pattern) => {
      const seen: here.Status[] = []
      const cause = new Error('why')
      const refusing: here.Interceptor = function refusing() {
        return { code: Code.ABORTED, details: 'no', cause }
      }
      const observing: here.Interceptor = (call, next) => {
        call.onStatus((status) => seen.push(status))
        return next()
      }
      await using server = await startTestServer()
      const client = new TestClient(server.address, credentials.createInsecure(), {
        interceptors: [...here.clientInterceptors(observing), ...there.clientInterceptors(refusing)],
      })
      closers.push(() => client.close())
      await runRpc(client, pattern)
      expect(seen).toEqual([
        expect.objectContaining({ code: Code.ABORTED, details: 'no', cause, refusedBy: 'refusing' }),
      ])
    })

    it('add nothing to the error of an application that a stack of one copy alone does not add', async () => {
      await using server = await startTestServer({ behaviour: endWith({ code: Code.NOT_FOUND, details: 'x' }) })
      const pass: here.Interceptor = (_call, next) => next()
      const bare = new TestClient(server.address, credentials.createInsecure())
      const both = new TestClient(server.address, credentials.createInsecure(), {
        interceptors: [...here.clientInterceptors(pass), ...there.clientInterceptors(pass)],
      })
      closers.push(
        () => bare.close(),
        () => both.close(),
      )
      const keys = async (client: TestClient) => Object.keys((await runRpc(client, 'unary')).error ?? {})
      expect(await keys(both)).toEqual(await keys(bare))
    })
  })

  describe('compositions', () => {
    it.each(patterns)('of the other copy are flattened, on both sides: %s', async (pattern) => {
      const log: string[] = []
      const stack = (): here.Interceptor[] => [
        there.chain(named(log, 'chain'), here.chain(named(log, 'inner'))),
        there.select({ pattern }, named(log, 'select')),
        there.select({ method: 'Nothing' }, named(log, 'other')),
        there.stacks({
          '*': named(log, 'any'),
          [testService.unary.path.split('/')[1] as string]: [named(log, 'service')],
        }),
        here.select(there.not('other.*'), named(log, 'not')),
      ]
      const expected = ['chain', 'inner', 'select', 'service', 'not']
      await using server = await startTestServer({ interceptors: stack(), unmatched: 'warn' })
      await runRpc(server.client(), pattern)
      expect(log.splice(0)).toEqual(expected)
      await using plain = await startTestServer()
      await runRpc(plain.client(...stack()), pattern)
      expect(log).toEqual(expected)
    })

    it('of the other copy hold interceptor objects', async () => {
      const log: string[] = []
      const object = {
        interceptUnaryUnary: <Q, R>(
          continuation: here.UnaryUnaryContinuation<Q, R>,
          details: here.ClientCallDetails,
          request: Q,
        ) => {
          log.push('client')
          return continuation(details, request)
        },
        interceptService: (continuation: here.ServiceContinuation, details: here.HandlerCallDetails) => {
          log.push('server')
          return continuation(details)
        },
      }
      await using server = await startTestServer({ interceptors: [there.chain(object)] })
      const rpc = await runRpc(server.client(there.select('*', object)), 'unary')
      expect([rpc.status?.code, log]).toEqual([Code.OK, ['client', 'server']])
    })
  })

  describe('channels', () => {
    it('of the other copy keep their interceptors in createClient, interceptChannel, client and calls', async () => {
      const log: string[] = []
      await using server = await startTestServer()
      const channel = there.interceptChannel(
        there.createChannel(server.address, credentials.createInsecure()),
        named(log, 'channel'),
      )
      closers.push(() => channel.close())
      await here.createClient(testService, channel).unary({ text: 'x' })
      expect(log.splice(0)).toEqual(['channel'])
      const more = here.interceptChannel(channel, named(log, 'added'))
      await here.createClient(testService, more).unary({ text: 'x' })
      expect(log.splice(0)).toEqual(['added', 'channel'])
      await here.createClient(testService, channel).unary({ text: 'x' }, { interceptors: [named(log, 'call')] })
      expect(log.splice(0)).toEqual(['channel', 'call'])
      await runRpc(more.client(TestClient), 'unary', {
        options: { interceptors: there.clientInterceptors(named(log, 'call')) },
      })
      expect(log.splice(0)).toEqual(['added', 'channel', 'call'])
    })

    it('of the other copy still tell what they know of themselves', async () => {
      await using server = await startTestServer()
      const seen: unknown[] = []
      const channel = there.createChannel(server.address, credentials.createInsecure(), {
        'grpc.default_compression_algorithm': 2,
      })
      closers.push(() => channel.close())
      const reading: here.Interceptor<here.ClientCall> = (call, next) => {
        call.compression = 'gzip'
        seen.push(call.secure, call.target)
        return next()
      }
      await here.createClient(testService, here.interceptChannel(channel, reading)).unary({ text: 'x' })
      expect(seen).toEqual([false, channel.getTarget()])
    })
  })

  describe('context', () => {
    it.each([false, true])(
      'variables set by one are read by the other, in every place (stock server: %s)',
      async (stock) => {
        const variable = new there.ContextVar<string>('who')
        const seen: unknown[] = []
        const setting: here.Interceptor = (_call, next) => {
          variable.set('ada')
          return next()
        }
        const reading: here.Interceptor = (call, next) => {
          seen.push(call.context.get(variable))
          return next()
        }
        await using server = await startTestServer({
          stock,
          interceptors: [setting, here.chain(reading)],
          behaviour: async (rpc) => {
            seen.push(variable.get('unset'))
            const token = variable.set('bob')
            seen.push(variable.get())
            variable.reset(token)
            await Promise.resolve()
            seen.push(variable.get())
            rpc.end()
          },
        })
        await runRpc(server.client(), 'unary')
        expect(seen).toEqual(['ada', 'ada', 'bob', 'ada'])
      },
    )

    it('only the RPC’s own work sees it where the other copy runs it', async () => {
      const variable = new here.ContextVar<string>('who')
      const seen: unknown[] = []
      await using server = await startTestServer({
        interceptors: [
          (_call, next) => {
            variable.set('ada')
            seen.push(there.outsideRpc(() => variable.get('nothing')))
            seen.push(
              there.withoutServerCall(
                () => variable.get('nothing'),
                () => true,
              ),
            )
            return next()
          },
        ],
      })
      await runRpc(server.client(), 'unary')
      expect(seen).toEqual(['nothing', 'ada'])
    })

    it('propagate() of the other copy bounds outgoing calls by the server call', async () => {
      await using backend = await startTestServer()
      const deadlines: number[] = []
      const client = backend.client(there.propagate(), (call, next) => {
        deadlines.push(call.deadline)
        return next()
      })
      await using server = await startTestServer({
        interceptors: [(_call, next) => next()],
        behaviour: async (rpc) => {
          await runRpc(client, 'unary')
          rpc.end()
        },
      })
      const deadline = Date.now() + 60_000
      await runRpc(server.client(), 'unary', { options: { deadline } })
      expect(deadlines[0]).toBeGreaterThan(deadline - 5_000)
      expect(deadlines[0]).toBeLessThanOrEqual(deadline + 5_000)
    })

    it('a shared variable is one, and a shared call option too', () => {
      expect(there.ContextVar.shared('@acme/x/v')).toBe(here.ContextVar.shared('@acme/x/v'))
      expect(new here.ContextVar('@acme/x/v')).not.toBe(here.ContextVar.shared('@acme/x/v'))
      expect(there.CallOption.shared('@acme/x/o').in(here.CallOption.shared('@acme/x/o').with(7))).toBe(7)
      expect(here.CallOption.shared('@acme/x/p').in(here.CallOption.shared('@acme/x/o').with(7))).toBeUndefined()
      for (const name of ['', 'tenant', '/x', 7]) {
        expect(() => here.ContextVar.shared(name as string)).toThrow('ContextVar.shared: name must start with')
        expect(() => here.CallOption.shared(name as string)).toThrow('CallOption.shared: name must start with')
      }
    })
  })

  it('call options of the other copy are read', async () => {
    const option = new there.CallOption<number>('weight')
    const seen: unknown[] = []
    await using server = await startTestServer()
    const client = server.client((call, next) => {
      seen.push(call.option(option))
      return next()
    })
    await runRpc(client, 'unary', { options: option.with(7) })
    expect(seen).toEqual([7])
  })

  it('credentials told to one are taken out of texts by the other', async () => {
    const texts: string[] = []
    vi.resetModules()
    const other = await import('../authoring.ts')
    expect(other.credentialScrubber).not.toBe(authoringHere.credentialScrubber)
    await using server = await startTestServer()
    const client = server.client((call, next) => {
      other.rememberCredentials(call, ['Bearer sesame-open-now'])
      texts.push(authoringHere.credentialScrubber(call)('sent sesame-open-now'))
      return next()
    })
    await runRpc(client, 'unary')
    expect(texts).toEqual(['sent [redacted]'])
  })

  it.each(patterns)('a stock server runs stacks of both around a handler: %s', async (pattern) => {
    const log: string[] = []
    const server = new Server({
      interceptors: [...here.serverInterceptors(named(log, 'here')), ...there.serverInterceptors(named(log, 'there'))],
    })
    await using model = await startTestServer()
    const handlers = Object.fromEntries(
      patterns.map((name) => [
        name,
        name === 'unary' || name === 'clientStream'
          ? (_call: unknown, done: (error: null, message: unknown) => void) => done(null, { text: 'done' })
          : (call: { end(): void }) => call.end(),
      ]),
    )
    server.addService(model.definition, handlers as never)
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    closers.push(() => server.forceShutdown())
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    closers.push(() => client.close())
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    expect(log).toEqual(['here', 'there'])
  })
})

describe('with a copy of another protocol', () => {
  let stranger: Core
  beforeAll(async () => {
    stranger = await otherCopy(2)
  })

  const both = /2\.3\.4 \(protocol 2\).*\d+\.\d+\.\d+ \(protocol 1\).*install one version/

  it('composition refuses what it made, naming both versions and what to do', async () => {
    const pass: here.Interceptor = (_call, next) => next()
    const made: here.Interceptor[] = [
      stranger.chain(pass),
      stranger.select('*', pass),
      stranger.stacks({ '*': pass }),
      stranger.propagate() as here.Interceptor,
      stranger.authoring.named('limit', (_call: here.Call, next: here.Next) => next()),
      stranger.authoring.named('audit', { interceptService: () => null }) as unknown as here.Interceptor,
    ]
    for (const item of made) {
      for (const compose of [
        () => here.chain(item),
        () => here.select('*', item),
        () => here.stacks({ '*': item }),
        () => here.clientInterceptors(item),
        () => here.serverInterceptors(item),
        () => here.createServer({ interceptors: [item] }),
      ]) {
        expect(compose).toThrow(TypeError)
        expect(compose).toThrow(both)
      }
    }
    const channel = stranger.createChannel('127.0.0.1:1', credentials.createInsecure())
    closers.push(() => channel.close())
    for (const take of [() => here.interceptChannel(channel, pass), () => here.createClient(testService, channel)]) {
      expect(take).toThrow(TypeError)
      expect(take).toThrow(both)
    }
    await using server = await startTestServer()
    const ours = here.interceptChannel(here.createChannel(server.address, credentials.createInsecure()), pass)
    closers.push(() => ours.close())
    const interceptors = stranger.clientInterceptors(pass)
    const stub = ours.client(TestClient)
    expect(() => startRpc(stub, 'unary', { options: { interceptors } })).toThrow(both)
  })

  it('a variable of the one says in an RPC of the other that it cannot work there, instead of being unset', async () => {
    const variable = new stranger.ContextVar<string>('who')
    const thrown: unknown[] = []
    const attempt = (work: () => unknown): void => {
      try {
        work()
      } catch (error) {
        thrown.push((error as Error).message)
      }
    }
    await using server = await startTestServer({
      interceptors: [
        (_call, next) => {
          new here.ContextVar('any')
          attempt(() => variable.set('ada'))
          attempt(() => variable.get('nobody'))
          return next()
        },
      ],
    })
    await runRpc(server.client(), 'unary')
    expect(thrown).toHaveLength(2)
    for (const text of thrown) expect(text).toMatch(/ContextVar "who".*\(protocol 1\).*2\.3\.4 \(protocol 2\)/)
    variable.set('outside')
    expect(variable.get()).toBe('outside')
  })

  it('propagate() of the one ends calls from an RPC of the other, instead of losing its deadline', async () => {
    await using backend = await startTestServer()
    const client = new TestClient(backend.address, credentials.createInsecure(), {
      interceptors: stranger.clientInterceptors(stranger.propagate()),
    })
    closers.push(() => client.close())
    const codes: unknown[] = []
    await using server = await startTestServer({
      interceptors: [(_call, next) => next()],
      behaviour: async (rpc) => {
        const { status } = await runRpc(client, 'unary')
        codes.push(status?.code, status?.details)
        rpc.end()
      },
    })
    await runRpc(server.client(), 'unary')
    expect(codes).toEqual([Code.INTERNAL, expect.stringContaining('propagate()')])
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('errors of the other keep their status all the same', () => {
    expect(here.RpcError.from(new stranger.RpcError(Code.NOT_FOUND)).code).toBe(Code.NOT_FOUND)
  })
})
