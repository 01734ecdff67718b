// Observers around what repeats calls, with every package as it is: what they tell of attempts comes from core's own counts.
import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { type CallRecord, observe, recordOf } from '@grpc-stack/grpc-core/authoring'
import {
  echo,
  endWith,
  FakeClock,
  Gate,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
} from '@grpc-stack/grpc-testing'
import { logging } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { openTelemetry } from '@grpc-stack/interceptor-metrics/opentelemetry'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { SpanKind } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { afterEach, describe, expect, it } from 'vitest'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

/** A recorder, and the sums of the histograms it fed. */
function recording() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  closers.push(() => meterProvider.shutdown())
  const sums = async (): Promise<Record<string, unknown>> => {
    await reader.forceFlush()
    const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    return Object.fromEntries(
      found.map(({ descriptor, dataPoints }) => [
        descriptor.name.replace('grpc.client.call.', ''),
        dataPoints.map(({ value }) => (value as { readonly sum?: number }).sum),
      ]),
    )
  }
  return { recorder: openTelemetry({ meterProvider, retries: true, rpc: false, grpc: false }), sums }
}

/** The observers as documentation recommends them, and what they saw. */
function observers() {
  const log = new InMemorySpanExporter()
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(log)] })
  closers.push(() => tracerProvider.shutdown())
  const logged: Record<string, unknown>[] = []
  const write = (fields: Record<string, unknown>) => void logged.push(fields)
  const figures = inMemory()
  const records = new Set<CallRecord | undefined>()
  const looking: Interceptor = (call, next) => {
    records.add(recordOf(call))
    return next()
  }
  const fourth = observe('fourth', {
    start(_call, record) {
      records.add(record)
      return { end: (_status, _ms, own) => void records.add(own) }
    },
  })
  const stack = [
    tracing({ tracerProvider, messageEvents: true }),
    looking,
    metrics({ recorder: figures, sizeOf }),
    looking,
    logging({ logger: { debug: write, info: write, warn: write, error: write }, sizeOf }),
    looking,
    fourth,
  ]
  return { stack, records, logged, log, figures }
}

let measured = 0
const sizeOf = (message: unknown): number => {
  measured++
  return JSON.stringify(message).length
}

describe('tracing(), metrics(), logging() and a fourth observer', () => {
  it.each(patterns)('share one record of a call on each side, and measure each message once: %s', async (pattern) => {
    const [client, server] = [observers(), observers()]
    await using running = await startTestServer({ interceptors: server.stack })
    measured = 0
    const several = pattern === 'clientStream' || pattern === 'bidi'
    const requests = several ? [{ text: 'a' }, { text: 'b' }] : [{ text: 'a', n: 2 }]
    const rpc = await runRpc(running.client(...client.stack), pattern, { requests })
    await running.calls[0]?.closed
    await settle()
    expect(rpc.status?.code).toBe(Code.OK)
    expect([client.records.size, server.records.size]).toEqual([1, 1])
    for (const { logged, log, figures } of [client, server]) {
      const [span] = log.getFinishedSpans()
      expect(logged).toMatchObject([{ 'grpc.code': 'OK', trace_id: span?.spanContext().traceId }])
      expect(logged[0]?.span_id).toBe(span?.spanContext().spanId)
      expect(span?.events).toHaveLength(requests.length + rpc.messages.length)
      expect(figures.snapshot().methods).toMatchObject([{ started: 1, ended: 1, inFlight: 0 }])
    }
    expect(measured).toBe(2 * (requests.length + rpc.messages.length))
  })
})

describe('a log and a span', () => {
  it('have the attempts and the hedges of a call that a hedge answered', async () => {
    const clock = new FakeClock()
    const { stack, records, logged, log } = observers()
    let attempts = 0
    const never = new Gate()
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        if (++attempts < 2) await never.opened
        else await echo(rpc)
      },
    })
    const hedging = hedge({ delayMs: 100, maxAttempts: 2, idempotent: '*', budget: false, clock })
    const rpc = startRpc(server.client(...stack, hedging), 'unary')
    while (attempts < 1) await settle(1)
    await clock.advance(100)
    await rpc.done
    never.open()
    expect(logged).toMatchObject([{ 'grpc.code': 'OK', 'grpc.attempts': 2, 'grpc.hedges': 1 }])
    const call = log.getFinishedSpans().find(({ kind }) => kind === SpanKind.CLIENT)
    expect(call?.attributes).toMatchObject({ 'grpc_stack.attempts': 2, 'grpc_stack.hedges': 1 })
    expect([...records]).toMatchObject([{ attempts: 2, hedges: 1 }])
  })
})

describe('metrics around hedge() and retry()', () => {
  it('have the hedges of a call that a hedge answered', async () => {
    const clock = new FakeClock()
    const { recorder, sums } = recording()
    let attempts = 0
    const never = new Gate()
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        if (++attempts < 3) await never.opened
        else await echo(rpc)
      },
    })
    const hedging = hedge({ delayMs: 100, maxAttempts: 3, idempotent: '*', budget: false, clock })
    const rpc = startRpc(server.client(metrics({ recorder }), hedging), 'unary')
    for (let i = 1; i <= 3; i++) {
      while (attempts < i) await settle(1)
      if (i < 3) await clock.advance(100)
    }
    await rpc.done
    never.open()
    expect(rpc.status?.code).toBe(Code.OK)
    expect(await sums()).toMatchObject({ hedges: [2] })
    expect(await sums()).not.toHaveProperty('retries')
  })

  it('have the retries of a call, and the time it waited between them', async () => {
    const clock = new FakeClock()
    const { recorder, sums } = recording()
    let attempts = 0
    await using server = await startTestServer({
      behaviour: (rpc) => (++attempts < 3 ? endWith({ code: Code.UNAVAILABLE })(rpc) : echo(rpc)),
    })
    const client = server.client(
      metrics({ recorder }),
      retry({ clock, jitter: 'none', initialBackoffMs: 100, backoffMultiplier: 2 }),
    )
    const rpc = startRpc(client, 'unary')
    for (const waitMs of [100, 200]) {
      await clock.timerSet()
      await clock.advance(waitMs)
    }
    await rpc.done
    await runRpc(client, 'unary')
    expect(rpc.status?.code).toBe(Code.OK)
    expect(await sums()).toMatchObject({ retries: [2], retry_delay: [0.3] })
    expect(await sums()).not.toHaveProperty('hedges')
  })
})
