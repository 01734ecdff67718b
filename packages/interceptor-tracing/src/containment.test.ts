import type { Interceptor } from '@grpc-stack/grpc-core'
import { metadataOf, patterns, runRpc, settle, startTestServer, type TestPattern } from '@grpc-stack/grpc-testing'
import { context, DiagLogLevel, diag, propagation, ROOT_CONTEXT, type Span, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  SimpleSpanProcessor,
  type SpanExporter,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace-node'
import { afterEach, describe, expect, it } from 'vitest'
import { SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { type Tracing, type TracingOptions, tracing } from './index.ts'

const boom = (): never => {
  throw new Error('on purpose')
}
const rejecting = () => Promise.reject(new Error('on purpose, later')) as never
const quiet: SpanProcessor = { onStart() {}, onEnd() {}, async forceFlush() {}, async shutdown() {} }

afterEach(unregisterSdk)

/** What the application and the handler see of a call with these interceptors. */
async function outcome(pattern: TestPattern, interceptor: Interceptor): Promise<unknown> {
  await using server = await startTestServer({ interceptors: [interceptor] })
  const rpc = await runRpc(server.client(interceptor), pattern, { metadata: metadataOf({ 'x-a': '1' }) })
  await settle()
  const [handler] = server.calls
  return { events: rpc.events, messages: rpc.messages, code: rpc.status?.code, requests: handler?.requests }
}

async function expectUnharmed(pattern: TestPattern, broken: Tracing): Promise<void> {
  const pass: Interceptor = (_call, next) => next()
  expect(await outcome(pattern, broken)).toEqual(await outcome(pattern, pass))
}

describe.each(patterns)('what fails in an option does not reach the RPC: %s', (pattern) => {
  const options: Record<string, TracingOptions> = {
    methods: { methods: boom },
    spanName: { spanName: boom },
    attributes: { attributes: boom },
    links: { links: boom },
    messageLinks: { messageLinks: boom },
    isError: { isError: boom },
    requestHook: { requestHook: boom },
    responseHook: { responseHook: boom },
    'spanName, rejecting': { spanName: rejecting },
    'attributes, rejecting': { attributes: rejecting },
    'links, rejecting': { links: rejecting },
    'messageLinks, rejecting': { messageLinks: rejecting },
    'isError, rejecting': { isError: rejecting },
    'publicEndpoint, rejecting': { publicEndpoint: rejecting },
    'requestHook, rejecting': { requestHook: rejecting },
    'responseHook, rejecting': { responseHook: rejecting },
    propagator: { propagator: { inject: boom, extract: boom, fields: () => [] } },
    tracerProvider: { tracerProvider: { getTracer: boom } },
    'tracerProvider, its tracer': { tracerProvider: { getTracer: () => ({ startSpan: boom, startActiveSpan: boom }) } },
  }

  it.each(Object.entries(options))('%s', async (name, given) => {
    const log = new SpanLog()
    new NodeTracerProvider({ spanProcessors: [log] }).register()
    const failures: [unknown, string][] = []
    const broken = tracing({ ...given, onFailure: (error, where) => failures.push([error, where]) })
    await expectUnharmed(pattern, broken)
    expect(broken.failures).toBeGreaterThan(0)
    expect(failures).toHaveLength(broken.failures)
    expect(failures.map(([error]) => (error as Error).message).join()).toContain('on purpose')
    expect(new Set(failures.map(([, where]) => where))).not.toContain('')
    // All but a provider that is broken itself still records.
    expect(log.ended).toHaveLength(name.startsWith('tracerProvider') ? 0 : 2)
    expect(log.ended).toHaveLength(log.started.length)
  })
})

describe('what fails in an SDK does not reach the RPC', () => {
  const span = (change: Partial<Record<keyof Span, unknown>>): SpanProcessor => ({
    ...quiet,
    onStart: (started) => void Object.assign(started, change),
  })
  const processors: Record<string, SpanProcessor> = {
    'a processor at the start': { ...quiet, onStart: boom },
    'a processor at the end': { ...quiet, onEnd: boom },
    'a span that takes no attributes': span({ setAttribute: boom, setAttributes: boom }),
    'a span that takes no status': span({ setStatus: boom }),
    'a span that does not end': span({ end: boom }),
    'a span that takes no events': span({ addEvent: boom, recordException: boom }),
  }

  it.each(Object.entries(processors))('%s', async (name, processor) => {
    new NodeTracerProvider({ spanProcessors: [processor] }).register()
    const all = tracing({ messageEvents: true, isError: () => true, metadata: { requestHeaders: ['x-a'] } })
    await expectUnharmed('bidi', all)
    expect(all.failures, name).toBeGreaterThan(0)
  })

  it('a sampler', async () => {
    const sampler = { shouldSample: boom, toString: () => 'broken' }
    new NodeTracerProvider({ sampler, spanProcessors: [quiet] }).register()
    const all = tracing()
    await expectUnharmed('unary', all)
    expect(all.failures).toBe(2)
  })

  it.each(['throws before', 'throws after'])('a context manager that %s it runs what it was given', async (when) => {
    new NodeTracerProvider({ spanProcessors: [quiet] }).register({ contextManager: null })
    const manager = new AsyncLocalStorageContextManager().enable()
    const run = manager.with.bind(manager)
    context.setGlobalContextManager(manager)
    const all = tracing()
    const calls: string[] = []
    manager.with = (inside, work, self, ...args) => {
      if (when === 'throws before') boom()
      run(inside, work, self, ...args)
      return boom()
    }
    const counting: Interceptor = (call, next) => {
      calls.push(call.side)
      return next()
    }
    await using server = await startTestServer({ interceptors: [all, counting] })
    const { status } = await runRpc(server.client(all, counting), 'unary')
    expect(status?.code).toBe(0)
    expect(calls).toEqual(['client', 'server'])
    expect(all.failures).toBe(2)
  })

  it.each(['unary', 'bidi'] as const)('an exporter, behind either processor: %s', async (pattern) => {
    let exports = 0
    const exporter: SpanExporter = {
      export() {
        exports++
        boom()
      },
      shutdown: async () => undefined,
    }
    const batch = new BatchSpanProcessor(exporter, { scheduledDelayMillis: 1 })
    const simple = new SimpleSpanProcessor(exporter)
    diag.setLogger({ error() {}, warn() {}, info() {}, debug() {}, verbose() {} }, DiagLogLevel.NONE)
    new NodeTracerProvider({ spanProcessors: [batch, simple] }).register()
    await expectUnharmed(pattern, tracing())
    await batch.forceFlush().catch(() => undefined)
    expect(exports).toBeGreaterThanOrEqual(3)
    diag.disable()
  })
})

describe('a failure', () => {
  it('is told to the diag logger, and a logger or listener that throws is contained too', async () => {
    new NodeTracerProvider({ spanProcessors: [quiet] }).register()
    const told: unknown[][] = []
    const logger = {
      error: (...args: unknown[]) => {
        told.push(args)
        if (told.length > 1) boom()
      },
      warn() {},
      info() {},
      debug() {},
      verbose() {},
    }
    diag.setLogger(logger, { logLevel: DiagLogLevel.ERROR, suppressOverrideMessage: true })
    try {
      const broken = tracing({ requestHook: boom, onFailure: boom })
      await expectUnharmed('unary', broken)
      // On each side the hook and the listener, and on the second side the logger, of which the listener is told too.
      expect(broken.failures).toBe(6)
      expect(String(told[0]?.[0])).toBe('@grpc-stack/interceptor-tracing: requestHook failed')
    } finally {
      diag.disable()
    }
  })

  it('warns the process of the first of each where there is no listener', async () => {
    new NodeTracerProvider({ spanProcessors: [quiet] }).register()
    const warnings: (Error & { code?: string })[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)
    try {
      const broken = tracing({ requestHook: boom })
      await expectUnharmed('unary', broken)
      expect(broken.failures).toBe(2)
      expect(warnings.filter(({ code }) => code === 'GRPC_STACK_OBSERVER').map(({ message }) => message)).toEqual([
        'tracing: "requestHook" failed: on purpose. RPCs are not affected; more failures are only counted.',
      ])
    } finally {
      process.removeListener('warning', onWarning)
    }
  })

  it('to start a span lets the trace of the caller pass through', async () => {
    const log = new SpanLog()
    new NodeTracerProvider({ spanProcessors: [log] }).register()
    const broken = tracing({ tracerProvider: { getTracer: () => ({ startSpan: boom, startActiveSpan: boom }) } })
    await using server = await startTestServer({ interceptors: [broken] })
    const caller = trace.getTracer('app').startSpan('caller')
    await context.with(trace.setSpan(ROOT_CONTEXT, caller), () => runRpc(server.client(broken), 'unary'))
    expect(server.calls[0]?.metadata.get('traceparent')[0]).toContain(caller.spanContext().spanId)
  })

  it('of an unwritable propagator leaves the rest of it alone', async () => {
    new NodeTracerProvider({ spanProcessors: [quiet] }).register({ propagator: null })
    propagation.setGlobalPropagator({
      inject(inside, carrier, setter) {
        new W3CTraceContextPropagator().inject(inside, carrier, setter)
        setter?.set(carrier, 'x-broken', 'line\nbreak')
      },
      extract: (outer) => outer,
      fields: () => [],
    })
    const own = tracing()
    await using server = await startTestServer()
    const { status } = await runRpc(server.client(own), 'unary')
    expect(status?.code).toBe(0)
    expect(own.failures).toBe(1)
    expect(server.calls[0]?.metadata.get('traceparent')).toHaveLength(1)
  })
})
