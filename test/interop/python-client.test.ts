import { status as Code, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { abort, createServer, healthAndReflection, RpcError, type Status } from '@grpc-stack/grpc-core'
import { principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { logging, requestId, requestIdVar } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { byMetadata, rateLimit, unlimited } from '@grpc-stack/interceptor-ratelimit'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { context, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Interop, type Request, type Response } from './interop-service.ts'
import { missingPython, preparePython, runPythonClient } from './python.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const recorder = inMemory()
const records: Record<string, unknown>[] = []
const keep = (fields: object): void => void records.push({ ...fields })
const held = new Map<string, Status['code']>()
const closers: (() => unknown)[] = []
let checks: Map<string, Record<string, unknown>> = new Map()

interface Caller {
  readonly metadata: Metadata
  readonly cancelled: boolean
  once(event: 'cancelled', listener: () => void): unknown
  sendMetadata(metadata: Metadata): void
}

/** What a request asks for besides an answer, as in the Python server. */
async function admit(request: Request, call: Caller): Promise<void> {
  const echo = call.metadata.get('x-echo-bin')[0]
  if (echo !== undefined) {
    const headers = new Metadata()
    headers.set('x-echo-bin', echo)
    call.sendMetadata(headers)
  }
  if (request.code) {
    const metadata = new Metadata()
    metadata.set('x-reason', 'asked for')
    metadata.set('x-reason-bin', Buffer.from([0, 255, 127]))
    throw new RpcError(request.code, 'asked for', { metadata })
  }
  if (request.hold) {
    const { hold } = request
    call.sendMetadata(new Metadata())
    await new Promise<void>((resolve) => call.once('cancelled', resolve))
    held.set(hold, Code.CANCELLED)
    abort(Code.ABORTED, 'no client is listening')
  }
}

function answer(request: Request, call: Caller): Response {
  const seen: Record<string, string> = { principal: principalVar.get().subject, requestId: requestIdVar.get() }
  for (const [key, value] of Object.entries(call.metadata.getMap())) if (typeof value === 'string') seen[key] = value
  return { text: request.text ?? '', payload: request.payload ?? Buffer.alloc(0), seen }
}

beforeAll(async () => {
  if (missingPython) return
  provider.register()
  const python = preparePython()
  closers.push(() => python.remove())
  const server = createServer({
    'grpc.max_receive_message_length': -1,
    interceptors: [
      requestId(),
      tracing(),
      metrics({ recorder }),
      logging({ logger: { debug: keep, info: keep, warn: keep, error: keep } }),
      serverAuth({
        verify: (token) => (token === 'good' ? { subject: 'snake' } : null),
        public: healthAndReflection,
      }),
      rateLimit({ rate: 2, perMs: 60_000, key: byMetadata('x-customer', { otherwise: () => unlimited }) }),
    ],
  })
  server.addService(Interop, {
    Unary: async (call) => {
      await admit(call.request, call)
      return answer(call.request, call)
    },
    ServerStream: async function* (call) {
      await admit(call.request, call)
      for (let count = 0; count < (call.request.count ?? 0); count++) yield { count }
    },
    ClientStream: async (call) => {
      const texts: string[] = []
      for await (const request of call as AsyncIterable<Request>) {
        await admit(request, call)
        texts.push(request.text ?? '')
      }
      return { text: texts.join(' '), count: texts.length }
    },
    Bidi: async function* (call) {
      for await (const request of call as AsyncIterable<Request>) {
        await admit(request, call)
        yield answer(request, call)
      }
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  closers.push(() => server.drain(0))
  checks = await runPythonClient(python.directory, port)
}, 60_000)

afterAll(async () => {
  for (const close of closers.reverse()) await close()
  await provider.shutdown()
  trace.disable()
  context.disable()
})

const PATTERNS = ['unary', 'server stream', 'client stream', 'bidi']

describe('gRPC Python clients with Python interceptors against a stack of every concern', () => {
  it('all four patterns succeed, binary metadata and payload included', ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(checks.get('unary')).toMatchObject({
      text: 'hello',
      payload: [0, 1, 255],
      seen: { 'x-stamp': 'python', principal: 'snake' },
      headers: { 'x-echo-bin': [0, 254] },
    })
    expect(checks.get('server stream')).toEqual({ counts: [0, 1, 2, 3, 4] })
    expect(checks.get('client stream')).toEqual({ text: '0 1 2 3 4' })
    expect(checks.get('bidi')).toEqual({ texts: ['0', '1', '2', '3', '4'] })
  })

  it('every status code arrives with its details and trailers, in all four patterns', ({ skip }) => {
    if (missingPython) skip(missingPython)
    for (let code = 1; code <= 16; code++) {
      for (const pattern of PATTERNS) {
        expect(checks.get(`status ${code} ${pattern}`), `${code} ${pattern}`).toMatchObject({
          code,
          details: 'asked for',
          trailers: { 'x-reason': 'asked for', 'x-reason-bin': [0, 255, 127] },
        })
      }
    }
  })

  it('a refusal is the same in all four patterns, empty request streams included', ({ skip }) => {
    if (missingPython) skip(missingPython)
    const refusals = PATTERNS.map((pattern) => checks.get(`no token ${pattern}`))
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: Code.UNAUTHENTICATED })
    expect(new Set(refusals.map((refusal) => refusal?.details)).size).toBe(1)
  })

  it('a deadline and a cancel of Python end the call on both sides', ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(checks.get('deadline')).toMatchObject({ code: Code.DEADLINE_EXCEEDED })
    expect(checks.get('cancel')).toMatchObject({ code: Code.CANCELLED })
    expect([...held.keys()].sort()).toEqual(['cancel', 'deadline'])
  })

  it('large messages and gzip requests are read', ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(checks.get('large')).toEqual({ size: 3 * 1024 * 1024, same: true })
    expect(checks.get('gzip')).toEqual({ size: 100_000 })
  })

  it('an unregistered method is UNIMPLEMENTED, and interceptors saw it', ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(checks.get('unregistered')).toMatchObject({ code: Code.UNIMPLEMENTED })
    expect(records.some((record) => record['grpc.method'] === 'Nowhere')).toBe(true)
  })

  it('the rate limit tells Python when to come back', ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(checks.get('rate limit')).toMatchObject({ codes: [0, 0, 8, 8], rich: true })
    expect(Number(checks.get('rate limit')?.pushback)).toBeGreaterThan(0)
  })

  it('trace and request id of the Python caller go on', ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(checks.get('trace')).toMatchObject({ seen: { requestId: 'from-python' } })
    const traced = exporter
      .getFinishedSpans()
      .filter((span) => span.spanContext().traceId === '0af7651916cd43dd8448eb211c80319c')
    expect(traced).toHaveLength(1)
    expect(traced[0]?.parentSpanContext?.spanId).toBe('b7ad6b7169203331')
  })

  it('every call made one record and was counted', ({ skip }) => {
    if (missingPython) skip(missingPython)
    const requests = Object.values(recorder.snapshot().requests).reduce((sum, n) => sum + n, 0)
    expect(records).toHaveLength(requests)
    expect(requests).toBe(4 + 16 * 4 + 4 + 2 + 2 + 1 + 4 + 1)
  })
})
