import { Client, status as Code, credentials, Metadata } from '@grpc/grpc-js'
import {
  type Channel,
  createChannel,
  createClient,
  type Interceptor,
  interceptChannel,
  RpcError,
  type ServiceClient,
  type Status,
} from '@grpc-stack/grpc-core'
import { clientAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { logging, requestId } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { context, trace } from '@opentelemetry/api'
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Interop, type Request, type Response } from './interop-service.ts'
import { missingPython, preparePython, startPythonServer } from './python.ts'

const exporter = new InMemorySpanExporter()
const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const records: Record<string, unknown>[] = []
const keep = (fields: object): void => void records.push({ ...fields })
const recorder = inMemory()
const closers: (() => unknown)[] = []
let channel: Channel
let client: ServiceClient<typeof Interop>

/** A client of a stack with every concern, or bare. */
function connect(port: number): void {
  const base = createChannel(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
  })
  closers.push(() => base.close())
  channel = base
  client = createClient(
    Interop,
    interceptChannel(
      base,
      tracing(),
      metrics({ recorder }),
      logging({ logger: { debug: keep, info: keep, warn: keep, error: keep } }),
      requestId(),
      retry({ initialBackoffMs: 5, maxBackoffMs: 20 }),
      circuitBreaker(),
      clientAuth({ token: () => 'good', allowInsecure: true }),
    ),
  )
}

beforeAll(async () => {
  if (missingPython) return
  provider.register()
  const python = preparePython()
  closers.push(() => python.remove())
  const server = await startPythonServer(python.directory)
  closers.push(() => server.stop())
  connect(server.port)
}, 30_000)

afterAll(async () => {
  for (const close of closers.reverse()) await close()
  await provider.shutdown()
  trace.disable()
  context.disable()
})

async function collect(items: AsyncIterable<Response>): Promise<Response[]> {
  const all: Response[] = []
  for await (const item of items) all.push(item)
  return all
}

async function failureOf(work: PromiseLike<unknown>): Promise<RpcError> {
  const error = await Promise.resolve(work).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(RpcError)
  return error as RpcError
}

/** The same call by each of the four kinds. */
function everyPattern(request: Request): Record<string, () => Promise<unknown>> {
  return {
    unary: async () => await client.Unary(request),
    serverStream: () => collect(client.ServerStream({ ...request, count: 1 })),
    clientStream: async () => await client.ClientStream([request]),
    bidi: () => collect(client.Bidi([request])),
  }
}

describe('a stack of every concern against a gRPC Python server', () => {
  it('all four patterns succeed', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    const payload = Buffer.from([0, 1, 255])
    expect(await client.Unary({ text: 'hi', payload })).toMatchObject({ text: 'hi', payload })
    expect((await collect(client.ServerStream({ count: 4 }))).map(({ count }) => count ?? 0)).toEqual([0, 1, 2, 3])
    expect(await client.ClientStream([{ text: 'a' }, { text: 'b' }])).toMatchObject({ text: 'a b', count: 2 })
    expect((await collect(client.Bidi([{ text: 'a' }, { text: 'b' }]))).map(({ text }) => text)).toEqual(['a', 'b'])
  })

  for (const code of Object.values(Code).filter((value): value is Code => typeof value === 'number' && value > 0)) {
    // reference: symbol 33
    it(`status ${Code[code]} arrives whole, trailers included, in all four patterns`, async ({ skip }) => {
      if (missingPython) skip(missingPython)
      for (const call of Object.values(everyPattern({ code }))) {
        // The breaker would open: each call has a stack of its own.
        const error = await failureOf(bareOrFresh(call))
        expect(error).toMatchObject({ code, details: 'asked for', origin: 'remote' })
        expect(error.metadata.get('x-reason')).toEqual(['asked for'])
        expect(error.metadata.get('x-reason-bin')).toEqual([Buffer.from([0, 255, 127])])
      }
    })
  }

  it('binary metadata goes there and back', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    const metadata = new Metadata()
    metadata.set('x-echo-bin', Buffer.from([0, 254]))
    const call = client.Unary({ text: 'x' }, { metadata })
    expect((await call.headers).get('x-echo-bin')).toEqual([Buffer.from([0, 254])])
    await call
  })

  it('a deadline and a cancel reach the Python handler', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    expect(await failureOf(client.Unary({ hold: 'by-deadline' }, { timeoutMs: 200 }))).toMatchObject({ code: 4 })
    const call = client.ServerStream({ hold: 'by-cancel' })
    const ended = call.status
    await until(async () => (await client.Unary({ ask: 'by-cancel' })).text === 'held')
    call.cancel()
    expect(((await ended) as Status).code).toBe(Code.CANCELLED)
    for (const ask of ['by-deadline', 'by-cancel']) {
      await until(async () => (await client.Unary({ ask })).text === 'cancelled')
    }
  })

  it('large messages and gzip from Python are read', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    const payload = Buffer.alloc(3 * 1024 * 1024, 7)
    expect(Buffer.compare((await client.Unary({ payload })).payload ?? Buffer.alloc(0), payload)).toBe(0)
    const zipped = Buffer.alloc(200_000, 9)
    expect((await client.Unary({ payload: zipped, gzip: true })).payload?.length).toBe(zipped.length)
  })

  it('the Python server takes the token of clientAuth, and its refusal of a bare client is UNAUTHENTICATED', async ({
    skip,
  }) => {
    if (missingPython) skip(missingPython)
    const metadata = new Metadata()
    metadata.set('x-needs-token', '1')
    expect(await client.Unary({ text: 'let me in' }, { metadata })).toMatchObject({ text: 'let me in' })
    const bare = createClient(Interop, channel)
    expect(await failureOf(bare.Unary({ text: 'x' }, { metadata }))).toMatchObject({ code: Code.UNAUTHENTICATED })
    const waiting = (async function* (): AsyncGenerator<Request> {
      await new Promise(() => undefined)
      yield {}
    })()
    expect(await failureOf(collect(bare.Bidi(waiting, { metadata })))).toMatchObject({ code: Code.UNAUTHENTICATED })
  })

  it('retry outlasts a server that fails twice, in all four patterns, and says how often it tried', async ({
    skip,
  }) => {
    if (missingPython) skip(missingPython)
    for (const pattern of ['unary', 'serverStream', 'clientStream', 'bidi']) {
      const flaky = `flaky-${pattern}`
      await everyPattern({ text: 'again', flaky, failures: 2 })[pattern]?.()
      expect((await client.Unary({ ask: flaky })).count).toBe(3)
    }
  })

  it('retry waits as long as the pushback of Python says, then succeeds', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    const before = performance.now()
    await client.Unary({ pushback: 'once' })
    expect(performance.now() - before).toBeGreaterThanOrEqual(19)
    expect((await client.Unary({ ask: 'once' })).count).toBe(2)
  })

  it('the handler sees the trace context and the request id of the caller', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    exporter.reset()
    const seen = (await client.Unary({ text: 'trace me' })).seen ?? {}
    const [span] = exporter.getFinishedSpans()
    expect(seen.traceparent).toContain(span?.spanContext().traceId)
    expect(seen['x-request-id']).toMatch(/./)
    expect(records.at(-1)).toMatchObject({ 'grpc.service': 'interop.v1.Interop', 'grpc.method': 'Unary' })
  })

  it('metrics counted every call by its code', async ({ skip }) => {
    if (missingPython) skip(missingPython)
    const snapshot = recorder.snapshot()
    expect(snapshot.requests['/interop.v1.Interop/Unary']).toBeGreaterThan(10)
    expect(snapshot.errors['/interop.v1.Interop/Unary']).toBeGreaterThan(0)
  })

  it("grpc-js's own client, bare, sees the same of this server", async ({ skip }) => {
    if (missingPython) skip(missingPython)
    const stub = new Client(channel.getTarget(), credentials.createInsecure())
    const { path, requestSerialize, responseDeserialize } = Interop.Unary
    const code = await new Promise((resolve) => {
      stub.makeUnaryRequest(path, requestSerialize, responseDeserialize, { code: 5 }, (error) => resolve(error?.code))
    })
    stub.close()
    expect(code).toBe(5)
  })
})

/** With a channel of its own for the stack, so that no breaker or budget remembers the failures before. */
async function bareOrFresh(call: () => Promise<unknown>): Promise<unknown> {
  const shared = client
  const watch: Interceptor = async (_call, next) => await next()
  client = createClient(
    Interop,
    interceptChannel(channel, tracing(), watch, retry({ maxAttempts: 1 }), circuitBreaker()),
  )
  try {
    return await call()
  } finally {
    client = shared
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('what the test waits for did not come true')
}
