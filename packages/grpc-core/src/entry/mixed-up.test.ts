import {
  type ClientOptions,
  status as Code,
  credentials,
  type Interceptor as GrpcInterceptor,
  type ServerInterceptor as GrpcServerInterceptor,
  InterceptingCall,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
} from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer, TestClient, testService } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { named } from '../authoring.ts'
import {
  type Call,
  chain,
  clientInterceptors,
  createChannel,
  createServer,
  type Interceptor,
  interceptChannel,
  type Next,
  propagate,
  select,
  serverInterceptors,
  stacks,
} from '../index.ts'

// Interceptors of this library given to grpc-js as its own, and the reverse.

const logging = (): Interceptor => named('logging', (_call, next) => next())
const compositions: readonly [string, () => unknown, string][] = [
  ['an interceptor', logging, 'logging()'],
  ['an interceptor with controls', () => Object.assign(logging(), { failures: 0 }), 'logging()'],
  ['propagate()', propagate, 'propagate()'],
  ['a chain', () => chain(logging()), 'chain(…)'],
  ['a selection', () => select('*', logging()), 'select(…)'],
  ['a table', () => stacks({ '*': logging() }), 'stacks(…)'],
]

const closers: (() => void)[] = []
beforeEach(() => {
  vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
})
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

const stub = (address: string, options: Partial<ClientOptions>): TestClient => {
  const client = new TestClient(address, credentials.createInsecure(), options)
  closers.push(() => client.close())
  return client
}

/** A stock server with these interceptors of grpc-js, whose handlers note that they ran. */
async function stockServer(interceptors: unknown, ran: string[]): Promise<string> {
  const server = new Server({ interceptors: interceptors as GrpcServerInterceptor[] })
  const handlers = Object.fromEntries(patterns.map((pattern) => [pattern, () => ran.push(pattern)]))
  server.addService(testService, handlers as never)
  closers.push(() => server.forceShutdown())
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return `127.0.0.1:${port}`
}

describe('a stock server whose interceptors lack serverInterceptors(…)', () => {
  describe.each(compositions)('%s', (_what, make, text) => {
    it.each(patterns)('ends its calls with what to write, without a handler and without harm: %s', async (pattern) => {
      const ran: string[] = []
      const client = stub(await stockServer([make()], ran), {})
      const details = `${text} is no interceptor of grpc-js: write serverInterceptors(${text})`
      for (let n = 0; n < 2; n++) {
        expect((await runRpc(client, pattern)).status).toMatchObject({ code: Code.INTERNAL, details })
      }
      expect(ran).toEqual([])
    })
  })

  it('also says so in a process warning, once', async () => {
    const client = stub(await stockServer([named('forgetful', () => undefined)], []), {})
    for (let n = 0; n < 3; n++) await runRpc(client, 'unary')
    expect(vi.mocked(process.emitWarning).mock.calls).toEqual([
      ['forgetful() is no interceptor of grpc-js: write serverInterceptors(forgetful())', expect.anything()],
    ])
  })

  it('runs no handler where another interceptor stands outside or inside', async () => {
    const ran: string[] = []
    const outer: GrpcServerInterceptor = (_definition, call) => new ServerInterceptingCall(call)
    for (const list of [
      [outer, logging()],
      [logging(), outer],
      [...serverInterceptors(logging()), logging()],
    ]) {
      const { status } = await runRpc(stub(await stockServer(list, ran), {}), 'bidi')
      expect(status).toMatchObject({
        code: Code.INTERNAL,
        details: expect.stringContaining('write serverInterceptors'),
      })
    }
    expect(ran).toEqual([])
  })

  it('with clientInterceptors(…) says that those are for stubs', async () => {
    const ran: string[] = []
    const { status } = await runRpc(stub(await stockServer(clientInterceptors(logging()), ran), {}), 'unary')
    expect(status).toMatchObject({
      code: Code.INTERNAL,
      details: expect.stringContaining('clientInterceptors(…) is for stubs: write serverInterceptors(…)'),
    })
    expect(ran).toEqual([])
  })
})

describe('a stub whose interceptors lack clientInterceptors(…)', () => {
  it.each(compositions)('throws at its call what to write: %s', async (_what, make, text) => {
    await using server = await startTestServer()
    const interceptors = [make() as GrpcInterceptor]
    const expected = `${text} is no interceptor of grpc-js: write { interceptors: clientInterceptors(${text}) }`
    const onOurs = createChannel(server.address, credentials.createInsecure()).client(TestClient)
    closers.push(() => onOurs.close())
    for (const call of [
      () => stub(server.address, { interceptors }).unary({ text: 'x' }, () => undefined),
      () => stub(server.address, {}).unary({ text: 'x' }, new Metadata(), { interceptors }, () => undefined),
      () => stub(server.address, { interceptors }).bidi(),
      () => onOurs.unary({ text: 'x' }, new Metadata(), { interceptors }, () => undefined),
    ]) {
      expect(call).toThrow(TypeError)
      expect(call).toThrow(expected)
    }
    expect(server.calls).toEqual([])
  })

  it('with serverInterceptors(…) says that those are for servers', async () => {
    await using server = await startTestServer()
    const interceptors = serverInterceptors(logging()) as unknown as GrpcInterceptor[]
    expect(() => stub(server.address, { interceptors }).bidi()).toThrow(
      'serverInterceptors(…) is for servers: write clientInterceptors(…)',
    )
  })
})

describe('what was made for grpc-js', () => {
  const fused = [
    ['clientInterceptors', clientInterceptors(logging())],
    ['serverInterceptors', serverInterceptors(logging())],
  ] as const
  const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
  closers.push(() => channel.close())

  it.each(fused)('is refused in lists of this library: %s', (maker, list) => {
    const [item] = list as unknown as Interceptor[]
    for (const compose of [
      () => clientInterceptors(item as Interceptor),
      () => serverInterceptors(item as Interceptor),
      () => createServer({ interceptors: [item as Interceptor] }),
      () => interceptChannel(channel, item as Interceptor),
      () => chain(item as Interceptor),
    ]) {
      expect(compose).toThrow(TypeError)
      expect(compose).toThrow(`interceptor 0 was made by ${maker}() for grpc-js: pass what it was made of`)
    }
  })
})

describe('an interceptor of grpc-js in a stack of this library', () => {
  const clientSide: readonly [string, (...args: Parameters<GrpcInterceptor>) => unknown, string][] = [
    [
      'that changes options',
      (options, nextCall) => nextCall({ ...options, deadline: Date.now() + 50 }),
      'called next()',
    ],
    ['that passes options on', (options, nextCall) => nextCall(options), 'called next()'],
    [
      'that wraps the call',
      (options, nextCall) => new InterceptingCall(nextCall(options), {}),
      'returned an InterceptingCall',
    ],
    [
      'that makes a call of its own',
      (_options, _nextCall) => new InterceptingCall({} as InterceptingCall, {}),
      'returned an InterceptingCall',
    ],
  ]
  describe.each(clientSide)('on a client, %s', (_what, raw, text) => {
    it.each(patterns)('ends the call with what to write: %s', async (pattern) => {
      await using server = await startTestServer()
      const interceptor = raw as unknown as Interceptor
      const { status } = await runRpc(server.client(logging(), interceptor), pattern)
      expect(status).toMatchObject({ code: Code.INTERNAL, details: expect.stringContaining(text) })
      expect(status?.details).toContain('{ interceptors: [it, ...clientInterceptors(…)] }')
      expect(server.calls).toEqual([])
    })
  })

  it.each(patterns)('on a server, ends the call and says to observers what to write: %s', async (pattern) => {
    const causes: unknown[] = []
    const observing: Interceptor = (call, next) => {
      call.onStatus(({ cause }) => causes.push((cause as Error).message))
      return next()
    }
    const raw: GrpcServerInterceptor = (_definition, call) => new ServerInterceptingCall(call, {})
    await using server = await startTestServer({ interceptors: [observing, raw as unknown as Interceptor] })
    expect((await runRpc(server.client(), pattern)).status).toMatchObject({ code: Code.INTERNAL })
    expect(causes).toEqual([expect.stringContaining('returned a ServerInterceptingCall, as one of grpc-js does')])
    expect(server.calls).toEqual([])
  })

  it('next given to a promise is called with what it resolved to, and takes it for nothing', async () => {
    await using server = await startTestServer()
    const late: Interceptor = (_call, next) => Promise.resolve({ token: 'x' }).then(next)
    expect((await runRpc(server.client(late), 'unary')).status?.code).toBe(Code.OK)
    expect(server.calls).toHaveLength(1)
  })
})

it('a hand-written interceptor runs others inside of it as before', async () => {
  await using server = await startTestServer()
  const names: string[] = []
  const noting = named('noting', (call: Call, next: Next) => {
    names.push(call.side)
    return next()
  })
  const rpc = await runRpc(
    server.client((call, next) => noting(call, async () => chain(noting)(call, next))),
    'unary',
  )
  expect([rpc.status?.code, names]).toEqual([Code.OK, ['client', 'client']])
})
