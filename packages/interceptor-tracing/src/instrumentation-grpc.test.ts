import { createRequire } from 'node:module'
import { status as Code, credentials } from '@grpc/grpc-js'
import { clientInterceptors, type Interceptor } from '@grpc-stack/grpc-core'
import {
  endWith,
  manual,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  type TestClient,
  testService,
} from '@grpc-stack/grpc-testing'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { GrpcInstrumentation } from '@opentelemetry/instrumentation-grpc'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { type TracingOptions, tracing } from './index.ts'

type Grpc = typeof import('@grpc/grpc-js')

const INSTRUMENTATION = '@opentelemetry/instrumentation-grpc'
const OURS = '@grpc-stack/interceptor-tracing'

let log: SpanLog
let instrumentation: GrpcInstrumentation
let warnings: (Error & { code?: string })[]
const onWarning = (warning: Error): void => void warnings.push(warning)

/** Patches grpc-js for the server and the clients made from here on. */
function instrument(): void {
  instrumentation.enable()
  // The instrumentation patches what require() returns.
  const grpc: Grpc = createRequire(import.meta.url)('@grpc/grpc-js')
  expect(grpc.Server.prototype.register).toHaveProperty('__wrapped', true)
}

/** A stub made by the patched function, as an application's would be. */
function stubOf(address: string, options?: TracingOptions): TestClient {
  const grpc: Grpc = createRequire(import.meta.url)('@grpc/grpc-js')
  const Stub = grpc.makeClientConstructor(testService, 'grpcstack.testing.Test')
  const client: unknown = new Stub(address, credentials.createInsecure(), {
    interceptors: options ? clientInterceptors(tracing(options)) : [],
  })
  return client as TestClient
}

/** What made the spans that ended, in short. */
const spans = () =>
  log.ended.map(({ kind, instrumentationScope }) => `${SpanKind[kind]} ${instrumentationScope.name}`).toSorted()
const only = (scope: string, kind: SpanKind): ReadableSpan => {
  const found = log.ended.filter((span) => span.kind === kind && span.instrumentationScope.name === scope)
  expect(found).toHaveLength(1)
  return found[0] as ReadableSpan
}

beforeAll(() => {
  log = registerSdk()
  instrumentation = new GrpcInstrumentation({ enabled: false })
  instrumentation.setTracerProvider(trace.getTracerProvider())
})
afterAll(unregisterSdk)
beforeEach(() => {
  log.clear()
  warnings = []
  process.on('warning', onWarning)
})
afterEach(() => {
  instrumentation.disable()
  process.removeListener('warning', onWarning)
})

describe('beside instrumentation-grpc', () => {
  // First, because a process is told once.
  it('says once per side that both are there', async () => {
    instrument()
    await using server = await startTestServer({ interceptors: [tracing()] })
    const client = stubOf(server.address, {})
    await runRpc(client, 'unary')
    await runRpc(client, 'bidi')
    client.close()
    await settle()
    const told = warnings.filter(({ code }) => code === 'GRPC_STACK_TRACED_TWICE').map(({ message }) => message)
    expect(told).toHaveLength(2)
    expect(told[0]).toContain(`${INSTRUMENTATION} traces the same client calls`)
    expect(told[1]).toContain(`${INSTRUMENTATION} traces the same server calls`)
    expect(told[0]).toContain('OTEL_NODE_DISABLED_INSTRUMENTATIONS=grpc')
  })

  it.each(patterns)('yields to it: one span per side, and those are its own: %s', async (pattern) => {
    instrument()
    await using server = await startTestServer({ interceptors: [tracing()] })
    const client = stubOf(server.address, {})
    await runRpc(client, pattern)
    client.close()
    await log.count(2)
    await settle()
    expect(spans()).toEqual([`CLIENT ${INSTRUMENTATION}`, `SERVER ${INSTRUMENTATION}`])
    expect(only(INSTRUMENTATION, SpanKind.SERVER).parentSpanContext?.spanId).toBe(
      only(INSTRUMENTATION, SpanKind.CLIENT).spanContext().spanId,
    )
  })

  it('still records what it cannot see: a call refused before the handler', async () => {
    instrument()
    const gatekeeper: Interceptor = function gatekeeper() {
      return { code: Code.UNAVAILABLE, details: 'not today' }
    }
    await using server = await startTestServer({ interceptors: [tracing(), gatekeeper] })
    const client = stubOf(server.address, {})
    await runRpc(client, 'unary')
    client.close()
    await log.count(2)
    expect(spans()).toEqual([`CLIENT ${INSTRUMENTATION}`, `SERVER ${OURS}`])
    const refused = only(OURS, SpanKind.SERVER)
    expect(refused.attributes).toMatchObject({
      'rpc.status_code': 'UNAVAILABLE',
      'grpc_stack.refused_by': 'gatekeeper',
    })
    expect(refused.parentSpanContext?.spanId).toBe(only(INSTRUMENTATION, SpanKind.CLIENT).spanContext().spanId)
  })

  it('records beside it with instrumentationGrpc: "record"', async () => {
    instrument()
    const own: TracingOptions = { instrumentationGrpc: 'record' }
    await using server = await startTestServer({ interceptors: [tracing(own)] })
    const client = stubOf(server.address, own)
    await runRpc(client, 'unary')
    client.close()
    await log.count(4)
    expect(spans()).toHaveLength(4)
    expect(only(OURS, SpanKind.CLIENT).parentSpanContext?.spanId).toBe(
      only(INSTRUMENTATION, SpanKind.CLIENT).spanContext().spanId,
    )
  })

  it('records a client call that it does not patch, also inside one of its spans', async () => {
    instrument()
    await using server = await startTestServer()
    const unpatched = server.client(tracing())
    const client = stubOf(server.address)
    const stream = client.serverStream({ n: 1 })
    await new Promise<void>((resolve, reject) => {
      stream.on('error', reject)
      stream.on('data', () => resolve(runRpc(unpatched, 'unary').then(() => undefined)))
    })
    client.close()
    only(OURS, SpanKind.CLIENT)
  })

  it('does not mind it once it is disabled', async () => {
    instrument()
    instrumentation.disable()
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.client(tracing()), 'unary')
    await log.count(2)
    expect(spans()).toEqual([`CLIENT ${OURS}`, `SERVER ${OURS}`])
  })
})

/** The same calls, first with the instrumentation alone, then with tracing() alone. */
async function sideBySide(
  call: (server: Awaited<ReturnType<typeof startTestServer>>, client: TestClient) => Promise<unknown>,
  { inner = [], stock = false }: { inner?: readonly Interceptor[]; stock?: boolean } = {},
): Promise<Record<'theirs' | 'ours', readonly ReadableSpan[]>> {
  const record = async (options?: TracingOptions): Promise<readonly ReadableSpan[]> => {
    log.clear()
    const interceptors = options ? [tracing(options), ...inner] : inner
    const server = await startTestServer({ interceptors, stock })
    const client = stubOf(server.address, options)
    try {
      await call(server, client)
      await Promise.all(server.calls.map((rpc) => rpc.closed))
      await settle(20)
      return [...log.ended]
    } finally {
      client.close()
      await server.stop()
    }
  }
  instrument()
  const theirs = await record()
  instrumentation.disable()
  return { theirs, ours: await record({}) }
}

const clientOf = (list: readonly ReadableSpan[]) => list.find(({ kind }) => kind === SpanKind.CLIENT)
const serverOf = (list: readonly ReadableSpan[]) => list.find(({ kind }) => kind === SpanKind.SERVER)

describe('instrumentation-grpc and tracing() for the same calls', () => {
  it.each(patterns)('success: other names, and what a sampler or a dashboard needs besides: %s', async (pattern) => {
    const { theirs, ours } = await sideBySide((_server, client) => runRpc(client, pattern))
    expect(theirs).toHaveLength(2)
    expect(ours).toHaveLength(2)
    const method = clientOf(ours)?.name.split('/')[1]
    const port = clientOf(ours)?.attributes['server.port']

    expect(clientOf(theirs)?.name).toBe(`grpc.grpcstack.testing.Test/${method}`)
    expect(clientOf(ours)?.name).toBe(`grpcstack.testing.Test/${method}`)
    const before = {
      'rpc.system': 'grpc',
      'rpc.service': 'grpcstack.testing.Test',
      'rpc.method': method,
      'rpc.grpc.status_code': 0,
    }
    expect(clientOf(theirs)?.attributes).toMatchObject(before)
    expect(Object.keys(clientOf(theirs)?.attributes ?? {})).not.toContain('network.peer.address')
    expect(serverOf(theirs)?.attributes).toEqual(before)
    const today = {
      'rpc.system.name': 'grpc',
      'rpc.method': `grpcstack.testing.Test/${method}`,
      'rpc.status_code': 'OK',
      'server.address': '127.0.0.1',
      'server.port': port,
      'network.peer.address': '127.0.0.1',
      'network.peer.port': expect.any(Number),
    }
    expect(clientOf(ours)?.attributes).toEqual(today)
    expect(serverOf(ours)?.attributes).toEqual(today)
  })

  it("a status that is the caller's doing: it makes the server span an error, the conventions do not", async () => {
    const { theirs, ours } = await sideBySide((server, client) =>
      runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND, details: 'gone' })) }),
    )
    expect(serverOf(theirs)?.status.code).toBe(SpanStatusCode.ERROR)
    expect(serverOf(ours)?.status.code).toBe(SpanStatusCode.UNSET)
    // The client's description is missing there.
    expect(clientOf(theirs)?.status).toEqual({ code: SpanStatusCode.ERROR })
    expect(clientOf(ours)?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'gone' })
    expect(clientOf(theirs)?.attributes).not.toHaveProperty('error.type')
    expect(clientOf(ours)?.attributes['error.type']).toBe('NOT_FOUND')
  })

  it('a refusal by an interceptor of the server: it has no span for it', async () => {
    const gatekeeper: Interceptor = function gatekeeper() {
      return { code: Code.UNAUTHENTICATED, details: 'who are you' }
    }
    const { theirs, ours } = await sideBySide((_server, client) => runRpc(client, 'unary'), {
      inner: [gatekeeper],
    })
    expect(serverOf(theirs)).toBeUndefined()
    expect(serverOf(ours)?.attributes['rpc.status_code']).toBe('UNAUTHENTICATED')
  })

  it('a stream that the client cancels: its server span never ends', async () => {
    const { theirs, ours } = await sideBySide(async (server, client) => {
      const rpc = startRpc(client, 'bidi', { metadata: server.behave(manual), requests: [{}] })
      const handler = await server.received(0)
      rpc.cancel()
      await Promise.all([rpc.done, handler.closed])
    })
    expect(serverOf(theirs)).toBeUndefined()
    expect(serverOf(ours)?.attributes['rpc.status_code']).toBe('CANCELLED')
  })

  it('a handler that throws on a stock server: its server span never ends', async () => {
    const { theirs, ours } = await sideBySide(
      (server, client) =>
        runRpc(client, 'unary', {
          metadata: server.behave(() => {
            throw new Error('on purpose')
          }),
        }),
      { stock: true },
    )
    expect(serverOf(theirs)).toBeUndefined()
    expect(serverOf(ours)?.status.code).toBe(SpanStatusCode.ERROR)
  })

  it("the caller's metadata: it writes into it", async () => {
    const { theirs, ours } = await sideBySide(async (_server, client) => {
      const metadata = metadataOf({})
      await runRpc(client, 'unary', { metadata })
      touched.push(metadata.get('traceparent').length)
    })
    expect([theirs, ours].map((list) => list.length)).toEqual([2, 2])
    expect(touched).toEqual([1, 0])
  })
  const touched: number[] = []
})
