// Spans and metrics over OTLP/gRPC, by OpenTelemetry's own exporters, to a collector that stops answering, ends and comes back, while a
// server goes on serving.
import { setTimeout as sleep } from 'node:timers/promises'
import { credentials, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { createChannel, createClient, createServer } from '@grpc-stack/grpc-core'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { openTelemetry } from '@grpc-stack/interceptor-metrics/opentelemetry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { startTracing } from '@grpc-stack/interceptor-tracing/node'
import { type Span, trace } from '@opentelemetry/api'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { expect, it, vi } from 'vitest'
import { Collector } from './collector.ts'

const asIs = (message: Buffer): Buffer => message

const service = {
  call: {
    path: '/telemetry.Test/Call',
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
} satisfies ServiceDefinition

/** Spans that may wait, and spans of one export. */
const QUEUE = 200
const BATCH = 50
/** Spans in memory: a full queue, what is being exported, what has just failed, and the last calls, not all of which Node has let go. */
const MOST = QUEUE + 3 * BATCH

it('a collector that stops answering, ends and comes back costs spans, all counted, and no call', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_TIMEOUT', '1000')
  using collector = new Collector()
  await collector.start()
  const tracingNow = startTracing({
    endpoint: collector.endpoint,
    batch: { maxQueueSize: QUEUE, maxExportBatchSize: BATCH, scheduledDelayMs: 50 },
    shutdownWithProcess: false,
  })
  const exporter = new OTLPMetricExporter({ url: collector.endpoint })
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1100, exportTimeoutMillis: 1000 })
  const meterProvider = new MeterProvider({ readers: [reader] })

  const spans: WeakRef<Span>[] = []
  const recorder = openTelemetry({ meterProvider, grpc: false })
  const server = createServer({ interceptors: [tracing(), metrics({ recorder })] })
  server.addService(service, {
    call: async () => {
      spans.push(new WeakRef(trace.getActiveSpan() ?? expect.unreachable()))
      return Buffer.alloc(0)
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  const client = createClient(service, channel)
  /** Makes calls, all of which succeed, and returns what the median of them took, in milliseconds. */
  const serve = async (count: number): Promise<number> => {
    const took: number[] = []
    for (let i = 0; i < count; i++) {
      const begin = performance.now()
      await client.call(Buffer.alloc(0))
      took.push(performance.now() - begin)
    }
    return took.sort((one, other) => one - other)[Math.floor(count / 2)] ?? 0
  }
  /** A flush does not wait for an export that was under way before it. */
  const accounted = async (): Promise<void> => {
    while (collector.spans + tracingNow.lostSpans < spans.length) {
      await tracingNow.flush()
      await sleep(10)
    }
  }
  const kept = async (): Promise<number> => {
    await sleep(10)
    globalThis.gc?.()
    return spans.filter((span) => span.deref() !== undefined).length
  }

  try {
    const before = await serve(100)
    await accounted()
    expect([collector.spans, tracingNow.lostSpans]).toEqual([100, 0])

    collector.hold()
    const silent = await serve(600)
    expect(await kept()).toBeLessThanOrEqual(MOST)
    expect(tracingNow.lostSpans).toBeGreaterThanOrEqual(600 - QUEUE - BATCH)

    collector.stop()
    const down = await serve(600)
    expect(await kept()).toBeLessThanOrEqual(MOST)

    await collector.start()
    const received = collector.spans
    while (collector.spans === received || collector.calls < 1300) {
      await serve(1)
      await sleep(20)
    }
    await accounted()
    await meterProvider.forceFlush()
    expect(collector.spans + tracingNow.lostSpans).toBe(spans.length)
    expect(collector.calls).toBe(spans.length)
    const medians = [before, silent, down].map((ms) => ms.toFixed(2)).join(', ')
    console.log(`the median call took ${medians} ms; ${tracingNow.lostSpans} of ${spans.length} spans were lost`)
    for (const median of [silent, down]) expect(median).toBeLessThan(3 * before + 5)
  } finally {
    await tracingNow.shutdown()
    await meterProvider.shutdown().catch(() => undefined)
    channel.close()
    server.forceShutdown()
  }
}, 60_000)
