import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'
import { tellSpan } from '@grpc-stack/grpc-core/authoring'
import {
  echo,
  endWith,
  FakeClock,
  failing,
  metadataOf,
  patterns,
  runRpc,
  startTestServer,
  type TestServer,
  type TestServerOptions,
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

const methodNames = { unary: 'Unary', clientStream: 'ClientStream', serverStream: 'ServerStream', bidi: 'Bidi' }

describe('what a record says', () => {
  // reference: flaw 21, symbol 57
  it('code, peer, attempt, deadline and request id', async () => {
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

  // reference: flaw 21
  it('how many attempts were made, around what makes them, and which one this is, inside', async () => {
    const logger = new RecordingLogger()
    const retry: Interceptor<ClientCall> = async function retry(call, next) {
      call.makeReplayable({ maxBytes: 1e6, maxMessages: 10 })
      await next()
      call.metadata.set('grpc-previous-rpc-attempts', '1')
      return await next()
    }
    const server = await start({ interceptors: [failing(1)] })
    const client = server.client(logging({ logger }), retry, logging({ logger }))
    await runRpc(client, 'unary')
    const seen = logger.records.map(({ fields }) => [
      fields['grpc.code'],
      fields['grpc.attempt'],
      fields['grpc.attempts'],
    ])
    expect(seen).toEqual([
      ['UNAVAILABLE', undefined, undefined],
      ['OK', 2, undefined],
      ['OK', undefined, 2],
    ])
  })

  it('the error behind a failure, if there is more to it than the status', async () => {
    const logger = new RecordingLogger()
    const causes = [new Error('the disk is full'), 'a thrown\ntext', { code: 5, details: 'in the status already' }]
    for (const cause of causes) {
      const broken: Interceptor = () => ({ code: Code.INTERNAL, details: 'broken', cause })
      const server = await start()
      await runRpc(server.client(logging({ logger }), broken), 'unary')
    }
    expect(logger.records.map(({ fields }) => fields.err)).toEqual([
      causes[0],
      { message: 'a thrown\\u000atext' },
      undefined,
    ])
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

  // reference: flaw 42
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

  it('the span that tracing made for the call, wherever it stands', async () => {
    const logger = new RecordingLogger()
    const span = { traceId: 'c'.repeat(32), spanId: 'd'.repeat(16), traceFlags: 1 }
    const tracing: Interceptor = (call, next) => {
      tellSpan(call, { spanContext: () => span })
      return next()
    }
    const server = await start()
    await runRpc(server.client(logging({ logger }), tracing, logging({ logger })), 'unary')
    expect(logger.records.map(({ fields }) => [fields.trace_id, fields.span_id])).toEqual([
      [span.traceId, span.spanId],
      [span.traceId, span.spanId],
    ])
  })

  it('the span an option names', async () => {
    const logger = new RecordingLogger()
    const traceContext = () => ({ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) })
    const server = await start()
    await runRpc(server.client(logging({ logger, traceContext })), 'unary')
    expect(logger.records[0]?.fields).toMatchObject({ trace_id: 'a'.repeat(32), span_id: 'b'.repeat(16) })
  })

  // reference: symbol 56
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

  // reference: flaw 21
  it('nothing from outside can break a line or drive a terminal', async () => {
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
    'in the asynchronous context of the %s call, for loggers that look there, messages too',
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
      const stack = [tracing, logging({ logger, fields, start: true, payload: true })]
      const server = await start({ interceptors: side === 'server' ? stack : [] })
      const client = server.client(...(side === 'client' ? stack : []))
      for (const pattern of patterns) {
        logger.records.length = 0
        seen.length = 0
        await runRpc(client, pattern)
        while (logger.finished.length === 0) await logger.atLeast(logger.records.length + 1)
        expect(seen.length).toBeGreaterThanOrEqual(4)
        expect(new Set(seen)).toEqual(new Set([`span of ${methodNames[pattern]}`]))
      }
    },
  )
})

describe('how much is logged', () => {
  // reference: flaw 21
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

  // reference: flaw 21
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

  it('puts no record together of a level that the logger leaves out', async () => {
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
