import type { Metadata } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { metadataOf, patterns, runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import {
  context,
  createTraceState,
  INVALID_SPAN_CONTEXT,
  propagation,
  ROOT_CONTEXT,
  type TextMapPropagator,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { CompositePropagator, suppressTracing, W3CTraceContextPropagator } from '@opentelemetry/core'
import { B3InjectEncoding, B3Propagator } from '@opentelemetry/propagator-b3'
import { AlwaysOffSampler, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'
const parent = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED })

/** Keeps the request metadata that comes by, on either side. */
function spy(): Interceptor & { seen: Metadata[] } {
  const seen: Metadata[] = []
  const interceptor: Interceptor = (call, next) => {
    seen.push(call.metadata.clone())
    return next()
  }
  return Object.assign(interceptor, { seen })
}

describe('with an SDK', () => {
  let log: SpanLog
  beforeAll(() => {
    log = registerSdk()
  })
  afterAll(unregisterSdk)
  beforeEach(() => log.clear())

  it('the trace goes on over the wire, with its state', async () => {
    const wire = spy()
    await using server = await startTestServer({ interceptors: [wire, tracing()] })
    const client = server.channel(tracing()).client(TestClient)
    const traceState = createTraceState('vendor=1')
    const state = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, traceState })
    await context.with(state, () => runRpc(client, 'unary'))
    await log.count(2)
    expect(log.client.parentSpanContext?.spanId).toBe(spanId)
    expect(log.client.spanContext().traceId).toBe(traceId)
    expect(log.server.spanContext().traceId).toBe(traceId)
    expect(log.server.parentSpanContext).toMatchObject({ spanId: log.client.spanContext().spanId, isRemote: true })
    expect(log.server.spanContext().traceState?.get('vendor')).toBe('1')
    expect(wire.seen[0]?.get('traceparent')).toEqual([`00-${traceId}-${log.client.spanContext().spanId}-01`])
  })

  it("the caller's metadata is not touched", async () => {
    await using server = await startTestServer()
    const metadata = metadataOf({ 'x-own': '1', traceparent: 'stale' })
    await runRpc(server.client(tracing()), 'unary', { metadata })
    expect(metadata.getMap()).toEqual({ 'x-own': '1', traceparent: 'stale' })
    expect(server.calls[0]?.metadata.get('traceparent')).toHaveLength(1)
    expect(server.calls[0]?.metadata.get('traceparent')[0]).toContain(log.client.spanContext().spanId)
    expect(server.calls[0]?.metadata.get('x-own')).toEqual(['1'])
  })

  it('baggage reaches the handler', async () => {
    await using server = await startTestServer({
      interceptors: [tracing()],
      behaviour: (rpc) => {
        baggage = propagation.getBaggage(context.active())?.getEntry('tenant')?.value
        rpc.end()
      },
    })
    let baggage: string | undefined
    const caller = propagation.setBaggage(parent, propagation.createBaggage({ tenant: { value: 'acme' } }))
    await context.with(caller, () => runRpc(server.client(tracing()), 'unary'))
    expect(baggage).toBe('acme')
  })

  it.each([
    ['no header', {}],
    ['a malformed header', { traceparent: '00-xyz-01' }],
    ['an invalid trace id', { traceparent: `00-${'0'.repeat(32)}-${spanId}-01` }],
    ['a header in another version of grpc-trace-bin', { 'grpc-trace-bin': Buffer.from([9, 9]) }],
  ])('%s: the server starts a trace of its own', async (_what, headers) => {
    await using server = await startTestServer({ interceptors: [tracing({ grpcTraceBin: true })] })
    await runRpc(server.client(), 'unary', { metadata: metadataOf(headers) })
    await log.count(1)
    expect(log.server.parentSpanContext).toBeUndefined()
  })

  it('the server takes no parent from the context it was started in', async () => {
    await context.with(parent, async () => {
      await using server = await startTestServer({ interceptors: [tracing()] })
      await context.with(ROOT_CONTEXT, () => runRpc(server.client(), 'unary'))
    })
    await log.count(1)
    expect(log.server.parentSpanContext).toBeUndefined()
  })

  it('any propagator: B3, as an option on both sides', async () => {
    const b3 = new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER })
    await using server = await startTestServer({ interceptors: [tracing({ propagator: b3 })] })
    await runRpc(server.client(tracing({ propagator: b3 })), 'unary')
    await log.count(2)
    expect(log.server.parentSpanContext?.spanId).toBe(log.client.spanContext().spanId)
    const { metadata } = server.calls[0]!
    expect(metadata.get('x-b3-traceid')).toEqual([log.client.spanContext().traceId])
    expect(metadata.get('traceparent')).toEqual([])
  })

  it('a propagator whose keys end in -bin: values are bytes on the wire and base64 to it', async () => {
    const binary: TextMapPropagator = {
      inject: (_context, carrier, setter) => setter.set(carrier, 'own-bin', Buffer.from('hello').toString('base64')),
      extract: (outer, carrier, getter) => outer.setValue(key, [getter.get(carrier, 'own-bin'), getter.keys(carrier)]),
      fields: () => ['own-bin'],
    }
    const key = Symbol('own')
    let read: unknown
    await using server = await startTestServer({
      interceptors: [tracing({ propagator: binary })],
      behaviour: (rpc) => {
        read = context.active().getValue(key)
        rpc.end()
      },
    })
    await runRpc(server.client(tracing({ propagator: binary })), 'unary')
    expect(server.calls[0]?.metadata.get('own-bin')).toEqual([Buffer.from('hello')])
    expect(read).toEqual([Buffer.from('hello').toString('base64'), expect.arrayContaining(['own-bin'])])
  })

  describe('grpc-trace-bin', () => {
    const bin = tracing({ grpcTraceBin: true })

    it('is off by default', async () => {
      await using server = await startTestServer()
      await runRpc(server.client(tracing()), 'unary')
      expect(server.calls[0]?.metadata.get('grpc-trace-bin')).toEqual([])
    })

    it('is written beside the propagator', async () => {
      await using server = await startTestServer()
      await runRpc(server.client(bin), 'unary')
      const { metadata } = server.calls[0]!
      const { traceId, spanId } = log.client.spanContext()
      expect(metadata.get('grpc-trace-bin')).toEqual([Buffer.from(`0000${traceId}01${spanId}0201`, 'hex')])
      expect(metadata.get('traceparent')).toHaveLength(1)
    })

    it('is read where the propagator finds no trace', async () => {
      await using server = await startTestServer({ interceptors: [bin] })
      const bytes = Buffer.from(`0000${traceId}01${spanId}0201`, 'hex')
      await runRpc(server.client(), 'unary', { metadata: metadataOf({ 'grpc-trace-bin': bytes }) })
      await log.count(1)
      expect(log.server.parentSpanContext).toMatchObject({ traceId, spanId })
    })

    it('gives way to what the propagator finds', async () => {
      await using server = await startTestServer({ interceptors: [bin] })
      const other = Buffer.from(`0000${'1'.repeat(32)}01${'2'.repeat(16)}0201`, 'hex')
      const metadata = metadataOf({ 'grpc-trace-bin': other, traceparent: `00-${traceId}-${spanId}-01` })
      await runRpc(server.client(), 'unary', { metadata })
      await log.count(1)
      expect(log.server.parentSpanContext).toMatchObject({ traceId, spanId })
    })
  })

  describe('publicEndpoint', () => {
    it('starts a new trace, linked to the one of the caller', async () => {
      await using server = await startTestServer({ interceptors: [tracing({ publicEndpoint: true })] })
      await context.with(parent, () => runRpc(server.client(tracing()), 'unary'))
      await log.count(2)
      expect(log.server.parentSpanContext).toBeUndefined()
      expect(log.server.spanContext().traceId).not.toBe(traceId)
      expect(log.server.links).toMatchObject([{ context: { traceId, spanId: log.client.spanContext().spanId } }])
    })

    describe.each(patterns)('of a stranger, %s', (pattern) => {
      const from = (headers: Record<string, string>) => metadataOf({ baggage: 'tenant=admin,debug=1', ...headers })
      const traced = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'vendor=stranger' }

      it.each([
        ['with a trace', traced, true, false],
        ['with a trace, stock server', traced, true, true],
        ['without a trace', {}, true, false],
        ['as a function says', {}, (): boolean => true, false],
        [
          'as a function says that throws',
          traced,
          (): boolean => {
            throw new Error('cannot tell')
          },
          false,
        ],
      ])('forwards neither baggage nor tracestate, %s', async (_how, headers, publicEndpoint, stock) => {
        await using onward = await startTestServer()
        const inner = onward.client(tracing())
        const baggage: unknown[] = []
        const calls: Interceptor = async function calls(_call, next) {
          baggage.push(propagation.getActiveBaggage()?.getAllEntries())
          await runRpc(inner, 'unary')
          return next()
        }
        const edge = tracing({ publicEndpoint, onFailure: () => undefined })
        await using server = await startTestServer({ stock, interceptors: [edge, calls] })
        await runRpc(server.client(), pattern, { metadata: from(headers) })
        await log.count(2)
        const forwarded = onward.calls[0]?.metadata
        expect(forwarded?.get('baggage')).toEqual([])
        expect(forwarded?.get('tracestate')).toEqual([])
        expect(forwarded?.get('traceparent')[0]).not.toContain(traceId)
        expect(baggage).toEqual([undefined])
      })
    })

    it('forwards the baggage of callers that are none', async () => {
      await using onward = await startTestServer()
      const inner = onward.client(tracing())
      const calls: Interceptor = async function calls(_call, next) {
        await runRpc(inner, 'unary')
        return next()
      }
      await using server = await startTestServer({ interceptors: [tracing({ publicEndpoint: () => false }), calls] })
      await runRpc(server.client(), 'unary', { metadata: metadataOf({ baggage: 'tenant=acme' }) })
      expect(onward.calls[0]?.metadata.get('baggage')).toEqual(['tenant=acme'])
    })

    it('may depend on the call', async () => {
      const publicEndpoint = (call: { metadata: Metadata }) => call.metadata.get('x-internal').length === 0
      await using server = await startTestServer({ interceptors: [tracing({ publicEndpoint })] })
      await runRpc(server.client(tracing()), 'unary', { metadata: metadataOf({ 'x-internal': '1' }) })
      await log.count(2)
      expect(log.server.parentSpanContext?.spanId).toBe(log.client.spanContext().spanId)
    })
  })

  it('an unsampled trace stays unsampled, records nothing and goes on', async () => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    const unsampled = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.NONE })
    await context.with(unsampled, () => runRpc(server.client(tracing()), 'unary'))
    expect(log.started).toEqual([])
    const [header] = server.calls[0]!.metadata.get('traceparent')
    expect(header).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
    expect(header).not.toContain(spanId)
  })

  it('suppressed tracing makes no span and writes nothing', async () => {
    await using server = await startTestServer()
    const client = server.client(tracing({ grpcTraceBin: true }))
    await context.with(suppressTracing(parent), () => runRpc(client, 'unary'))
    expect(log.started).toEqual([])
    expect(Object.keys(server.calls[0]!.metadata.getMap())).toEqual(['user-agent'])
  })

  it('a provider that gives no span to speak of lets the trace of the caller pass through', async () => {
    const startSpan = () => trace.wrapSpanContext(INVALID_SPAN_CONTEXT)
    const tracerProvider = { getTracer: () => ({ startSpan, startActiveSpan: startSpan }) }
    await using server = await startTestServer()
    await context.with(parent, () => runRpc(server.client(tracing({ tracerProvider })), 'unary'))
    expect(server.calls[0]?.metadata.get('traceparent')).toEqual([`00-${traceId}-${spanId}-01`])
  })

  it('a method that the option "methods" leaves out: nothing is recorded, read or written', async () => {
    const quiet = tracing({ methods: { method: 'Bidi' } })
    await using server = await startTestServer({ interceptors: [quiet] })
    await runRpc(server.client(quiet), 'unary')
    expect(log.started).toEqual([])
    expect(server.calls[0]?.metadata.get('traceparent')).toEqual([])
    await runRpc(server.client(quiet), 'bidi')
    await log.count(2)
    expect(log.client.name).toBe('grpcstack.testing.Test/Bidi')
  })
})

describe('without a global SDK', () => {
  beforeAll(unregisterSdk)
  afterAll(unregisterSdk)

  it('nothing happens to the metadata', async () => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.client(tracing()), 'unary')
    expect(Object.keys(server.calls[0]!.metadata.getMap())).toEqual(['user-agent'])
  })

  it('a provider of its own is enough, context manager or not', async () => {
    const log = new SpanLog()
    const tracerProvider = new NodeTracerProvider({ spanProcessors: [log] })
    const own = tracing({ tracerProvider, propagator: new W3CTraceContextPropagator() })
    await using server = await startTestServer({ interceptors: [own] })
    const attempt = tracing({ per: 'attempt', tracerProvider, propagator: new W3CTraceContextPropagator() })
    await runRpc(server.client(own, attempt), 'unary')
    await log.count(3)
    expect(log.attempts[0]?.parentSpanContext?.spanId).toBe(log.client.spanContext().spanId)
    expect(log.server.parentSpanContext?.spanId).toBe(log.attempts[0]?.spanContext().spanId)
  })

  it('with only a propagator, the trace of the caller passes through', async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    propagation.setGlobalPropagator(new CompositePropagator({ propagators: [new W3CTraceContextPropagator()] }))
    try {
      let inHandler: string | undefined
      await using server = await startTestServer({
        interceptors: [tracing()],
        behaviour: (rpc) => {
          inHandler = trace.getSpanContext(context.active())?.spanId
          rpc.end()
        },
      })
      await context.with(parent, () => runRpc(server.client(tracing()), 'unary'))
      expect(server.calls[0]?.metadata.get('traceparent')).toEqual([`00-${traceId}-${spanId}-01`])
      expect(inHandler).toBe(spanId)
    } finally {
      unregisterSdk()
    }
  })

  it('an SDK that is registered after the interceptor was made is found, and so is the next one', async () => {
    const made = tracing()
    await using server = await startTestServer({ interceptors: [made] })
    await runRpc(server.client(), 'unary')
    for (let round = 0; round < 2; round++) {
      const log = registerSdk()
      await runRpc(server.client(), 'unary')
      await log.count(1)
      expect(log.server.name).toBe('grpcstack.testing.Test/Unary')
      unregisterSdk()
    }
  })
})

describe('a sampler', () => {
  it('that says no still lets the trace through', async () => {
    registerSdk({ sampler: new AlwaysOffSampler() })
    try {
      await using server = await startTestServer({ interceptors: [tracing()] })
      await runRpc(server.client(tracing()), 'unary')
      expect(server.calls[0]?.metadata.get('traceparent')[0]).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
    } finally {
      unregisterSdk()
    }
  })
})
