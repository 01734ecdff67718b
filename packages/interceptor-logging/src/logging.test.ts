import {
  status as Code,
  credentials,
  ServerCredentials,
  type ServerDuplexStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { clientInterceptors, createClient, createServer, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
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
  type TestMessage,
  type TestServer,
  type TestServerOptions,
  testService,
  unparsable,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { logging } from './logging.ts'

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

const methodTypes = {
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
}
const methodNames = { unary: 'Unary', clientStream: 'ClientStream', serverStream: 'ServerStream', bidi: 'Bidi' }

/** A free port may be in use a moment later; this path does not exist. */
const NOWHERE = 'unix:/nonexistent/grpc-stack.sock'

const silent = () => ({ debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined })

interceptorSuite('logging()', () => logging({ logger: silent() }))

interceptorSuite('logging() of all there is to log', () =>
  logging({
    logger: silent(),
    start: true,
    slowMs: 0,
    sample: 0.5,
    metadata: ['x-tenant'],
    payload: { redact: ['**.data'] },
    sizeOf: (message) => JSON.stringify(message).length,
  }),
)

describe('one record per RPC on a client', () => {
  // reference: flaw 18
  it('a failed call is never logged as completed', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const client = server.client(logging({ logger }), failing(1, { code: Code.UNAVAILABLE, details: 'no' }))
    await runRpc(client, 'unary')
    await runRpc(client, 'unary', {
      metadata: server.behave(endWith({ code: Code.NOT_FOUND, details: 'no such thing' })),
    })
    await runRpc(client, 'unary')
    expect(logger.records.map(({ fields }) => [fields['grpc.code'], fields['grpc.error']])).toEqual([
      ['UNAVAILABLE', 'no'],
      ['NOT_FOUND', 'no such thing'],
      ['OK', undefined],
    ])
  })

  // reference: flaw 18
  it('nothing is logged before the call has ended', async () => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    const rpc = startRpc(server.client(logging({ logger })), 'unary', { requests: [{}] })
    const handled = await server.received(0)
    expect(logger.records).toEqual([])
    handled.end()
    await rpc.done
    expect(logger.records).toHaveLength(1)
  })

  it('has written the record when the application goes on', async () => {
    const logger = new RecordingLogger()
    const client = (await start()).client(logging({ logger }))
    const seen = await new Promise<number>((resolve) => {
      client.unary({ text: 'hello' }, () => resolve(logger.records.length))
    })
    expect(seen).toBe(1)
  })

  // reference: flaw 19, sentence 15, symbol 55
  it.each(patterns)('%s calls are logged', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start()
    await runRpc(server.client(logging({ logger })), pattern)
    expect(logger.records).toHaveLength(1)
    expect(logger.records[0]).toMatchObject({
      level: 'debug',
      message: 'finished call',
      fields: {
        protocol: 'grpc',
        'grpc.component': 'client',
        'grpc.service': 'grpcstack.testing.Test',
        'grpc.method': methodNames[pattern],
        'grpc.method_type': methodTypes[pattern],
        'grpc.code': 'OK',
        'grpc.time_ms': expect.any(Number),
        'grpc.start_time': expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        'peer.address': server.address,
      },
    })
  })

  // reference: flaw 20
  it.each(patterns)('a cancelled %s call is logged once, as cancelled', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    const rpc = startRpc(server.client(logging({ logger })), pattern)
    await server.received(0)
    rpc.cancel()
    await rpc.done
    await settle()
    expect(logger.records.map(({ fields }) => fields['grpc.code'])).toEqual(['CANCELLED'])
  })

  // reference: flaw 20
  it.each(patterns)('a %s call that runs into its deadline is logged once', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    await startRpc(server.client(logging({ logger })), pattern, { options: { deadline: Date.now() + 30 } }).done
    expect(logger.records.map(({ fields }) => fields['grpc.code'])).toEqual(['DEADLINE_EXCEEDED'])
  })

  // reference: flaw 20
  it.each(['serverStream', 'bidi'] as const)('an abandoned %s call is logged once', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    const client = createClient(testService, server.channel(logging({ logger })))
    const open = new Gate()
    const requests = async function* () {
      yield {}
      await open.opened
    }
    const call = pattern === 'bidi' ? client.bidi(requests()) : client.serverStream({})
    const handled = await server.received(0)
    await handled.write({ n: 1 })
    for await (const _message of call as unknown as AsyncIterable<unknown>) break
    const records = await logger.atLeast(1)
    open.open()
    await handled.closed
    await settle()
    expect(records.map(({ fields }) => [fields['grpc.code'], fields['grpc.response.count']])).toEqual([
      ['CANCELLED', 1],
    ])
  })

  it.each(patterns)('logs a %s call without a server', async (pattern) => {
    const logger = new RecordingLogger()
    const client = new TestClient(NOWHERE, credentials.createInsecure(), {
      interceptors: clientInterceptors(logging({ logger })),
    })
    try {
      await runRpc(client, pattern)
    } finally {
      client.close()
    }
    expect(logger.records.map(({ level, fields }) => [level, fields['grpc.code'], fields['grpc.origin']])).toEqual([
      ['warn', 'UNAVAILABLE', 'remote'],
    ])
  })

  it('names the interceptor that refused a call', async () => {
    const logger = new RecordingLogger()
    const rateLimit: Interceptor = function rateLimit() {
      return { code: Code.RESOURCE_EXHAUSTED, details: 'slow down' }
    }
    const server = await start()
    await runRpc(server.client(logging({ logger }), rateLimit), 'bidi')
    expect(logger.records[0]?.fields).toMatchObject({
      'grpc.code': 'RESOURCE_EXHAUSTED',
      'grpc.error': 'slow down',
      'grpc.refused_by': 'rateLimit',
      'grpc.origin': 'local',
    })
  })
})

describe('one record per RPC on a server', () => {
  // reference: flaw 55, symbol 74
  it.each(patterns)('%s calls are logged', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    await runRpc(server.client(), pattern)
    const records = await logger.atLeast(1)
    expect(records).toHaveLength(1)
    expect(records[0]).toMatchObject({
      level: 'info',
      message: 'finished call',
      fields: {
        'grpc.component': 'server',
        'grpc.service': 'grpcstack.testing.Test',
        'grpc.method': methodNames[pattern],
        'grpc.method_type': methodTypes[pattern],
        'grpc.code': 'OK',
        'peer.address': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      },
    })
  })

  // reference: flaw 56
  it.each(patterns)('a %s handler that ends with a code is logged with that code', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    const metadata = server.behave(endWith({ code: Code.NOT_FOUND, details: 'no such thing' }))
    await runRpc(server.client(), pattern, { metadata })
    const records = await logger.atLeast(1)
    expect(records.map(({ fields }) => [fields['grpc.code'], fields['grpc.error']])).toEqual([
      ['NOT_FOUND', 'no such thing'],
    ])
  })

  // reference: flaw 57
  it('a handler that aborts is logged with code, details and cause, the cause not being sent', async () => {
    const logger = new RecordingLogger()
    const cause = new Error('the disk is full')
    const abort: Interceptor = function store() {
      throw new RpcError(Code.DATA_LOSS, 'the order is gone', { cause })
    }
    const server = await start({ interceptors: [logging({ logger }), abort] })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.error?.details).toBe('the order is gone')
    const [record] = await logger.atLeast(1)
    expect(record?.level).toBe('error')
    expect(record?.fields).toMatchObject({
      'grpc.code': 'DATA_LOSS',
      'grpc.error': 'the order is gone',
      'grpc.refused_by': 'store',
    })
  })

  // reference: flaw 57
  it('the error behind an INTERNAL is logged and not sent', async () => {
    const logger = new RecordingLogger()
    const broken: Interceptor = () => {
      throw new Error('the password of the database is hunter2')
    }
    const server = await start({ interceptors: [logging({ logger }), broken] })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.error?.details).toBe('Internal error')
    const [record] = await logger.atLeast(1)
    expect(record?.fields.err).toMatchObject({ message: 'the password of the database is hunter2' })
  })

  // reference: flaw 58
  it.each(patterns)('a %s call its client cancels is logged once', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual, interceptors: [logging({ logger })] })
    const rpc = startRpc(server.client(), pattern)
    await server.received(0)
    rpc.cancel()
    await logger.atLeast(1)
    await rpc.done
    await settle()
    expect(logger.records.map(({ fields }) => fields['grpc.code'])).toEqual(['CANCELLED'])
  })

  // reference: flaw 58
  it.each(patterns)('a %s call that outlives its deadline is logged once', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual, interceptors: [logging({ logger })] })
    // Time stands still until the server has heard of the call.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
    const rpc = startRpc(server.client(), pattern, { options: { deadline: Date.now() + 50 } })
    await server.received(0)
    vi.advanceTimersByTime(50)
    await rpc.done
    const records = await logger.atLeast(1)
    await settle()
    expect(records).toHaveLength(1)
    // The client gives up at the same moment: whose word comes first is open.
    expect(records[0]?.fields['grpc.code']).toMatch(/^(?:DEADLINE_EXCEEDED|CANCELLED)$/)
    expect(records[0]?.fields['grpc.deadline_left_ms']).toBeLessThan(40)
  })

  // reference: flaw 58
  it('a call whose connection breaks is logged once', async () => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual, interceptors: [logging({ logger })] })
    const rpc = startRpc(server.client(), 'bidi')
    await server.received(0)
    server.kill()
    await rpc.done
    await logger.atLeast(1)
    await settle()
    expect(logger.records).toHaveLength(1)
    expect(logger.records[0]?.fields['grpc.code']).toBe('CANCELLED')
  })

  // reference: flaw 59, sentence 33
  it.each(patterns)('a %s call another interceptor refuses is logged', async (pattern) => {
    const logger = new RecordingLogger()
    const serverAuth: Interceptor = async function serverAuth() {
      return { code: Code.UNAUTHENTICATED, details: 'no token' }
    }
    const server = await start({ interceptors: [logging({ logger }), serverAuth] })
    await runRpc(server.client(), pattern)
    const records = await logger.atLeast(1)
    expect(records).toHaveLength(1)
    expect(records[0]?.fields).toMatchObject({ 'grpc.code': 'UNAUTHENTICATED', 'grpc.refused_by': 'serverAuth' })
  })

  // reference: flaw 59
  it('a request that cannot be read is logged', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    const rpc = await runRpc(server.client(), 'unary', { requests: [unparsable] })
    const records = await logger.atLeast(1)
    expect(records).toHaveLength(1)
    expect(records[0]?.fields['grpc.code']).toBe(Code[rpc.status?.code ?? 0])
    expect(records[0]?.fields['grpc.code']).toBe('INTERNAL')
  })

  // reference: flaw 59
  it('a call to an unregistered method is logged, its name cleaned', async () => {
    const logger = new RecordingLogger()
    const server = createServer({ interceptors: [logging({ logger })] })
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
      const path = `/shop.Cart/${'x'.repeat(500)}`
      await new Promise((resolve) => client.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), resolve))
      const records = await logger.atLeast(1)
      expect(records).toHaveLength(1)
      expect(records[0]?.level).toBe('error')
      expect(records[0]?.fields).toMatchObject({
        'grpc.code': 'UNIMPLEMENTED',
        'grpc.service': 'shop.Cart',
        'grpc.method': `${'x'.repeat(256)}…`,
        'grpc.method_type': 'unknown',
      })
    } finally {
      client.close()
      server.forceShutdown()
    }
  })

  // reference: flaw 60, symbol 75
  it('a handler of any style is logged, because none is wrapped', async () => {
    const logger = new RecordingLogger()
    const server = createServer({ interceptors: [logging({ logger })] })
    server.addService(testService, {
      unary: (_call: unknown, callback: sendUnaryData<TestMessage>) => callback(null, { text: 'callback' }),
      clientStream: async (call: AsyncIterable<TestMessage>) => {
        let n = 0
        for await (const _request of call) n++
        return { n }
      },
      serverStream: async function* () {
        yield { n: 1 }
        yield { n: 2 }
      },
      bidi: (call: ServerDuplexStream<TestMessage, TestMessage>) => {
        call.on('data', (message: TestMessage) => call.write(message))
        call.on('end', () => call.end())
      },
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      for (const pattern of patterns) await runRpc(client, pattern)
      await logger.atLeast(4)
      expect(logger.records.map(({ fields }) => [fields['grpc.method_type'], fields['grpc.code']])).toEqual(
        patterns.map((pattern) => [methodTypes[pattern], 'OK']),
      )
    } finally {
      client.close()
      server.forceShutdown()
    }
  })

  // reference: flaw 61
  it('the duration includes what comes before and after the handler', async () => {
    const clock = new FakeClock()
    const logger = new RecordingLogger()
    const slowAuth: Interceptor = async function slowAuth(_call, next) {
      await clock.advance(30)
      const status = await next()
      await clock.advance(12.5)
      return status
    }
    const gate = new Gate()
    const server = await start({ behaviour: heldBy(gate), interceptors: [logging({ logger, clock }), slowAuth] })
    const rpc = startRpc(server.client(), 'unary', { requests: [{}] })
    await server.received(0)
    await clock.advance(100)
    gate.open()
    await rpc.done
    const [record] = await logger.atLeast(1)
    expect(record?.fields['grpc.time_ms']).toBe(142.5)
  })

  // reference: flaw 61, symbol 58
  it('a wall clock that is set back does not make a call take negative time', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    const now = Date.now
    try {
      const rpc = startRpc(server.client(), 'unary', { requests: [{}] })
      Date.now = () => now() - 3_600_000
      await rpc.done
    } finally {
      Date.now = now
    }
    const [record] = await logger.atLeast(1)
    expect(record?.fields['grpc.time_ms']).toBeGreaterThanOrEqual(0)
  })
})
