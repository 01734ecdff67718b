import { AsyncLocalStorage } from 'node:async_hooks'
import {
  status as Code,
  credentials,
  Metadata,
  ServerCredentials,
  type ServerDuplexStream,
  type sendUnaryData,
} from '@grpc/grpc-js'
import { clientInterceptors, createClient, createServer, type Interceptor, RpcError } from '@grpc-stack/grpc-core'
import {
  echo,
  endWith,
  FakeClock,
  failing,
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
  TestClient,
  type TestMessage,
  type TestServer,
  type TestServerOptions,
  testService,
  unparsable,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { logging } from './logging.ts'
import { requestId } from './request-id.ts'

const servers: TestServer[] = []
const start = async (options?: TestServerOptions): Promise<TestServer> => {
  const server = await startTestServer(options)
  servers.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

const methodTypes = {
  unary: 'unary',
  clientStream: 'client_stream',
  serverStream: 'server_stream',
  bidi: 'bidi_stream',
}
const methodNames = { unary: 'Unary', clientStream: 'ClientStream', serverStream: 'ServerStream', bidi: 'Bidi' }

/** A free port may be somebody else's a moment later; this path is nobody's. */
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
  it('flaw 18: a failed call is never logged as completed', async () => {
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

  it('flaw 18: nothing is logged before the call has ended', async () => {
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

  it.each(patterns)('flaw 19: %s calls are logged', async (pattern) => {
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

  it.each(patterns)('flaw 20: a cancelled %s call is logged once, as cancelled', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    const rpc = startRpc(server.client(logging({ logger })), pattern)
    await server.received(0)
    rpc.cancel()
    await rpc.done
    await settle()
    expect(logger.records.map(({ fields }) => fields['grpc.code'])).toEqual(['CANCELLED'])
  })

  it.each(patterns)('flaw 20: a %s call that runs into its deadline is logged once', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    await startRpc(server.client(logging({ logger })), pattern, { options: { deadline: Date.now() + 30 } }).done
    expect(logger.records.map(({ fields }) => fields['grpc.code'])).toEqual(['DEADLINE_EXCEEDED'])
  })

  it.each(['serverStream', 'bidi'] as const)('flaw 20: an abandoned %s call is logged once', async (pattern) => {
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
  it.each(patterns)('flaw 55: %s calls are logged', async (pattern) => {
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

  it.each(patterns)('flaw 56: a %s handler that ends with a code is logged with that code', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    const metadata = server.behave(endWith({ code: Code.NOT_FOUND, details: 'no such thing' }))
    await runRpc(server.client(), pattern, { metadata })
    const records = await logger.atLeast(1)
    expect(records.map(({ fields }) => [fields['grpc.code'], fields['grpc.error']])).toEqual([
      ['NOT_FOUND', 'no such thing'],
    ])
  })

  it('flaw 57: a handler that aborts is logged with code, details and cause, the cause not being sent', async () => {
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

  it('flaw 57: the error behind an INTERNAL is logged and not sent', async () => {
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

  it.each(patterns)('flaw 58: a %s call its client cancels is logged once', async (pattern) => {
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

  it.each(patterns)('flaw 58: a %s call that outlives its deadline is logged once', async (pattern) => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual, interceptors: [logging({ logger })] })
    await startRpc(server.client(), pattern, { options: { deadline: Date.now() + 50 } }).done
    const records = await logger.atLeast(1)
    await settle()
    expect(records).toHaveLength(1)
    // The client gives up at the same moment: whose word comes first is open.
    expect(records[0]?.fields['grpc.code']).toMatch(/^(?:DEADLINE_EXCEEDED|CANCELLED)$/)
    expect(records[0]?.fields['grpc.deadline_left_ms']).toBeLessThan(40)
  })

  it('flaw 58: a call whose connection breaks is logged once', async () => {
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

  it.each(patterns)('flaw 59: a %s call another interceptor refuses is logged', async (pattern) => {
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

  it('flaw 59: a request that cannot be read is logged', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    const rpc = await runRpc(server.client(), 'unary', { requests: [unparsable] })
    const records = await logger.atLeast(1)
    expect(records).toHaveLength(1)
    expect(records[0]?.fields['grpc.code']).toBe(Code[rpc.status?.code ?? 0])
    expect(records[0]?.fields['grpc.code']).toBe('INTERNAL')
  })

  it('flaw 59: a call to a method nobody registered is logged, its name cleaned', async () => {
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

  it('flaw 60: a handler of any style is logged, because none is wrapped', async () => {
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

  it('flaw 61: the duration includes what comes before and after the handler', async () => {
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

  it('flaw 61: a wall clock that is set back does not make a call take negative time', async () => {
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

describe('what a record says', () => {
  it('flaw 21: code, peer, attempt, deadline and request id', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [requestId(), logging({ logger })] })
    const deadline = Date.now() + 60_000
    const metadata = metadataOf({ 'x-request-id': 'order-17', 'grpc-previous-rpc-attempts': '2' })
    await runRpc(server.client(), 'unary', { metadata, options: { deadline } })
    const [record] = await logger.atLeast(1)
    expect(record?.fields).toMatchObject({
      'grpc.code': 'OK',
      'peer.address': expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      'grpc.attempt': 3,
      'request.id': 'order-17',
    })
    expect(record?.fields['grpc.deadline_left_ms']).toBeGreaterThan(50_000)
    expect(record?.fields['grpc.deadline_left_ms']).toBeLessThanOrEqual(60_000)
    expect(Date.parse(String(record?.fields['grpc.request.deadline']))).toBeGreaterThan(deadline - 1000)
  })

  it('leaves out what is not there', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    await runRpc(server.client(), 'unary')
    const [record] = await logger.atLeast(1)
    expect(Object.keys(record?.fields ?? {})).toEqual([
      'protocol',
      'grpc.component',
      'grpc.service',
      'grpc.method',
      'grpc.method_type',
      'grpc.code',
      'grpc.time_ms',
      'grpc.start_time',
      'peer.address',
    ])
  })

  it('the trace of the traceparent, on both sides', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger })] })
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const metadata = metadataOf({ traceparent: `00-${traceId}-00f067aa0ba902b7-01` })
    await runRpc(server.client(logging({ logger })), 'unary', { metadata })
    await logger.atLeast(2)
    expect(logger.records.map(({ fields }) => [fields.trace_id, fields.span_id])).toEqual([
      [traceId, undefined],
      [traceId, undefined],
    ])
  })

  it('the span an option names', async () => {
    const logger = new RecordingLogger()
    const traceContext = () => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) })
    const server = await start()
    await runRpc(server.client(logging({ logger, traceContext })), 'unary')
    expect(logger.records[0]?.fields).toMatchObject({ trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) })
  })

  it('message counts of streams, and sizes for who can tell them', async () => {
    const logger = new RecordingLogger()
    const sizeOf = (message: unknown) => JSON.stringify(message).length
    const server = await start({ interceptors: [logging({ logger })] })
    const client = server.client(logging({ logger, sizeOf }))
    await runRpc(client, 'clientStream', { requests: [{ n: 1 }, { n: 2 }, { n: 3 }] })
    await logger.atLeast(2)
    const counts = logger.records.map(({ fields }) => [fields['grpc.request.count'], fields['grpc.response.count']])
    expect(counts).toEqual([
      [3, undefined],
      [3, undefined],
    ])
    const clientRecord = logger.records.find(({ fields }) => fields['grpc.component'] === 'client')
    expect(clientRecord?.fields).toMatchObject({
      'grpc.request.size': 21,
      'grpc.response.size': '{"n":3,"text":""}'.length,
    })
  })

  it('more fields, and fewer', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const fields = (_call: unknown, status: { code: number } | undefined) => ({ tenant: 'acme', ended: status?.code })
    const client = server.client(logging({ logger, fields, omit: ['protocol', 'grpc.start_time'], start: true }))
    await runRpc(client, 'unary')
    expect(logger.records.map((record) => [record.message, record.fields.tenant, record.fields.ended])).toEqual([
      ['started call', 'acme', undefined],
      ['finished call', 'acme', 0],
    ])
    for (const record of logger.records) {
      expect(record.fields).not.toHaveProperty('protocol')
      expect(record.fields).not.toHaveProperty('grpc.start_time')
    }
  })

  it('flaw 21: nothing from outside can break a line or drive a terminal', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [logging({ logger, metadata: ['x-note'] })] })
    const details = 'no\n{"level":"info","msg":"all is well"}\r\u001b[2K\u202e'
    const metadata = server.behave(endWith({ code: Code.NOT_FOUND, details }), metadataOf({ 'x-note': 'a b' }))
    await runRpc(server.client(logging({ logger })), 'unary', { metadata })
    await logger.atLeast(2)
    for (const { fields } of logger.records) {
      expect(fields['grpc.error']).toBe('no\\u000a{"level":"info","msg":"all is well"}\\u000d\\u001b[2K\\u202e')
    }
  })
})

describe('where a record is written', () => {
  it.each(['client', 'server'] as const)(
    'in the asynchronous context of the %s call, for loggers that look there',
    async (side) => {
      const trace = new AsyncLocalStorage<string>()
      const tracing: Interceptor = function tracing(call, next) {
        return trace.run(`span of ${call.method.name}`, next)
      }
      const seen: unknown[] = []
      const logger = new RecordingLogger()
      const fields = () => {
        seen.push(trace.getStore())
        return {}
      }
      const stack = [tracing, logging({ logger, fields })]
      const server = await start({ interceptors: side === 'server' ? stack : [] })
      const client = server.client(...(side === 'client' ? stack : []))
      for (const pattern of patterns) await runRpc(client, pattern)
      await logger.atLeast(4)
      expect(seen).toEqual(patterns.map((pattern) => `span of ${methodNames[pattern]}`))
    },
  )
})

describe('how much is logged', () => {
  it('levels per code by default, and as configured', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    const seen = async (options: Parameters<typeof logging>[0], code: Code) => {
      logger.records.length = 0
      const metadata = server.behave(endWith({ code, details: '' }))
      await runRpc(server.client(logging({ logger, ...options })), 'unary', { metadata })
      return logger.records[0]?.level
    }
    expect(await seen({}, Code.NOT_FOUND)).toBe('debug')
    expect(await seen({}, Code.INTERNAL)).toBe('warn')
    expect(await seen({ levels: { NOT_FOUND: 'error' } }, Code.NOT_FOUND)).toBe('error')
    expect(await seen({ levels: { NOT_FOUND: 'error' } }, Code.INTERNAL)).toBe('warn')
    expect(await seen({ levels: { NOT_FOUND: 'silent' } }, Code.NOT_FOUND)).toBeUndefined()
    const levels = ({ code }: { code: Code }, { method }: { method: { name: string } }) =>
      code === Code.INTERNAL && method.name === 'Unary' ? ('info' as const) : undefined
    expect(await seen({ levels }, Code.INTERNAL)).toBe('info')
    expect(await seen({ levels }, Code.NOT_FOUND)).toBe('debug')
  })

  it('samples successes, never failures and slow calls', async () => {
    const clock = new FakeClock()
    const logger = new RecordingLogger()
    const draws = [0.05, 0.1, 0.9, 0.9, 0.9]
    const random = () => draws.shift() ?? 1
    const server = await start({ behaviour: echo })
    const slow: Interceptor = async function slow(call, next) {
      if (call.metadata.get('slow').length > 0) await clock.advance(1000)
      return next()
    }
    const client = server.client(logging({ logger, sample: 0.1, random, slowMs: 500, clock }), slow)
    await runRpc(client, 'unary', { requests: [{ text: 'sampled' }] })
    await runRpc(client, 'unary', { requests: [{ text: 'at the edge' }] })
    await runRpc(client, 'unary', { requests: [{ text: 'not sampled' }] })
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.ABORTED })) })
    await runRpc(client, 'unary', { metadata: metadataOf({ slow: 'yes' }) })
    expect(logger.records.map(({ level, fields }) => [level, fields['grpc.code'], fields['grpc.slow']])).toEqual([
      ['debug', 'OK', undefined],
      ['debug', 'ABORTED', undefined],
      ['warn', 'OK', true],
    ])
  })

  it('puts no record together that nobody would see', async () => {
    const logger = Object.assign(new RecordingLogger(), { isLevelEnabled: (level: string) => level !== 'debug' })
    let built = 0
    const fields = () => ({ built: ++built })
    const server = await start()
    const client = server.client(logging({ logger, fields }))
    await runRpc(client, 'unary')
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.INTERNAL })) })
    expect(logger.records).toHaveLength(1)
    expect(built).toBe(1)
  })

  it('logs metadata by allow-list, and credentials never', async () => {
    const logger = new RecordingLogger()
    const server = await start({
      behaviour: (rpc) => {
        rpc.sendHeaders({ 'x-shard': '7', 'set-cookie': 'session=1' })
        rpc.end({
          code: Code.ABORTED,
          details: '',
          metadata: metadataOf({ 'x-cause': 'conflict', 'x-api-token': 'abc' }),
        })
      },
    })
    const metadata = ['x-tenant', 'x-shard', 'x-cause', 'authorization', 'x-api-token', 'set-cookie', 'X-Bytes-Bin']
    const client = server.client(logging({ logger, metadata }))
    const sent = metadataOf({
      'x-tenant': 'acme',
      authorization: 'Bearer abc',
      'x-other': 'secret',
      'x-bytes-bin': Buffer.from([1, 2]),
    })
    sent.add('x-tenant', 'second')
    await runRpc(client, 'bidi', { metadata: sent })
    expect(logger.records[0]?.fields).toMatchObject({
      'grpc.request.metadata': {
        'x-tenant': ['acme', 'second'],
        authorization: '[masked]',
        'x-other': '[masked]',
        'x-bytes-bin': 'AQI=',
      },
      'grpc.response.metadata': { 'x-shard': '7', 'set-cookie': '[masked]' },
      'grpc.response.trailers': { 'x-cause': 'conflict', 'x-api-token': '[masked]' },
    })
  })

  it('logs no metadata unless asked', async () => {
    const logger = new RecordingLogger()
    const server = await start()
    await runRpc(server.client(logging({ logger })), 'unary', { metadata: metadataOf({ authorization: 'Bearer abc' }) })
    expect(JSON.stringify(logger.records)).not.toContain('abc')
  })
})

describe('nothing it calls can hurt an RPC', () => {
  const explode = () => {
    throw new Error('out of order')
  }
  const broken = {
    logger: { logger: { debug: explode, info: explode, warn: explode, error: explode } },
    'rejecting logger': {
      logger: {
        debug: async () => explode(),
        info: async () => explode(),
        warn: async () => explode(),
        error: async () => explode(),
      },
    },
    isLevelEnabled: { logger: Object.assign(new RecordingLogger(), { isLevelEnabled: explode }) },
    levels: { levels: explode },
    'level that does not exist': { levels: () => 'loud' as 'info' },
    fields: { fields: explode },
    sizeOf: { sizeOf: explode },
    'payload.methods': { payload: { methods: explode } },
    'payload.redact': { payload: { redact: explode } },
    traceContext: { traceContext: explode },
    clock: { clock: { now: explode } },
    random: { random: explode, sample: 0.5 },
    onFailure: { levels: explode, onFailure: explode },
  }

  it.each(Object.keys(broken) as (keyof typeof broken)[])('flaw 22: %s', async (what) => {
    const logger = new RecordingLogger()
    const warnings: unknown[] = []
    const options = { logger, start: true, onFailure: (error: unknown) => void warnings.push(error), ...broken[what] }
    for (const side of ['client', 'server'] as const) {
      const log = logging(options as Parameters<typeof logging>[0])
      const server = await start({ interceptors: side === 'server' ? [log] : [] })
      const client = server.client(...(side === 'client' ? [log] : []))
      for (const pattern of patterns) {
        const rpc = await runRpc(client, pattern)
        expect([rpc.status?.code, rpc.messages.length > 0]).toEqual([Code.OK, true])
      }
      await settle()
      expect(log.failures).toBeGreaterThanOrEqual(patterns.length)
    }
  })

  it('makes the first failure public, once', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const log = logging({ logger: broken.logger.logger })
      const client = (await start()).client(log)
      await runRpc(client, 'unary')
      await runRpc(client, 'unary')
      await settle()
      expect(log.failures).toBe(2)
      expect(warnings.map(({ message }) => message)).toEqual([
        'logging: "logger" failed: out of order. RPCs are not affected; more failures are only counted.',
      ])
    } finally {
      process.off('warning', onWarning)
    }
  })

  it('a start record does not wait for anything', async () => {
    const logger = new RecordingLogger()
    const server = await start({ behaviour: manual })
    const rpc = startRpc(server.client(logging({ logger, start: true, levels: { OK: 'info' } })), 'bidi')
    expect(logger.records.map(({ level, message }) => [level, message])).toEqual([['info', 'started call']])
    expect(logger.records[0]?.fields).not.toHaveProperty('grpc.code')
    rpc.cancel()
    await rpc.done
  })

  it('leaves the metadata of the call alone', async () => {
    const server = await start()
    const metadata = new Metadata()
    metadata.set('x-tenant', 'acme')
    const before = JSON.stringify(metadata.toJSON())
    await runRpc(server.client(logging({ logger: new RecordingLogger(), metadata: ['x-tenant'] })), 'unary', {
      metadata,
    })
    expect(JSON.stringify(metadata.toJSON())).toBe(before)
  })
})
