// The way from a figure to a trace, with nothing replaced: spans over OTLP to a collector, figures scraped by a real Prometheus.
import { status as Code } from '@grpc/grpc-js'
import { endWith, patterns, runRpc, settle, startTestServer } from '@grpc-stack/grpc-testing'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { startTracing } from '@grpc-stack/interceptor-tracing/node'
import { SamplingDecision } from '@opentelemetry/sdk-trace-node'
import { type OpenMetricsContentType, Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { missing, Prometheus } from '../../packages/interceptor-metrics/test/prometheus.ts'
import { OtlpReceiver } from '../../packages/interceptor-tracing/test/otlp-receiver.ts'

const SERVER = 2
const CLIENT = 3

const methods = {
  unary: 'Unary',
  clientStream: 'ClientStream',
  serverStream: 'ServerStream',
  bidi: 'Bidi',
} as const

it('an exemplar in Prometheus names the trace whose spans the collector has', { timeout: 60_000 }, async ({ skip }) => {
  const reason = missing('prometheus')
  if (reason) skip(reason)
  const receiver = await OtlpReceiver.start()
  const tracingNow = startTracing({
    endpoint: receiver.endpoint,
    serviceName: 'shop',
    shutdownWithProcess: false,
    // Server streams are in no trace.
    sampler: {
      shouldSample: (_context, _traceId, name) => ({
        decision: name.endsWith('/ServerStream') ? SamplingDecision.NOT_RECORD : SamplingDecision.RECORD_AND_SAMPLED,
      }),
    },
  })
  const registry = new Registry<OpenMetricsContentType>()
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
  const recorder = prometheus({ registry, exemplar: true })
  const stack = [tracing(), metrics({ recorder })]
  const grpc = await startTestServer({ interceptors: stack })
  const client = grpc.client(...stack)
  for (const pattern of patterns) await runRpc(client, pattern)
  await runRpc(client, 'unary', { metadata: grpc.behave(endWith({ code: Code.NOT_FOUND })) })
  await settle()
  await tracingNow.flush()
  const spans = await receiver.count(8)
  const scraping = await Prometheus.start(registry)
  try {
    await scraping.queryUntil('grpc_server_handled_total', (samples) => samples.length === 5)
    expect(await scraping.scrapeError()).toBeUndefined()
    for (const [family, kind] of [
      ['grpc_server', SERVER],
      ['grpc_client', CLIENT],
    ] as const) {
      for (const pattern of patterns) {
        const method = methods[pattern]
        const exported = (code: string): string[] =>
          spans
            .filter((span) => span.kind === kind && span.name.endsWith(`/${method}`))
            .filter(({ attributes }) => attributes['rpc.status_code'] === code)
            .map(({ traceId }) => traceId)
        const shown = async (selector: string): Promise<string[]> =>
          (await scraping.exemplars(`${family}_${selector}`)).map(({ labels }) => labels.trace_id as string)
        const ok = await shown(`handled_total{grpc_method="${method}",grpc_code="OK"}`)
        expect(ok).toHaveLength(pattern === 'serverStream' ? 0 : 1)
        expect(ok).toEqual(exported('OK'))
        const inBuckets = await shown(`handling_seconds_bucket{grpc_method="${method}"}`)
        expect(inBuckets.length > 0).toBe(pattern !== 'serverStream')
        expect([...exported('OK'), ...exported('NOT_FOUND')]).toEqual(expect.arrayContaining(inBuckets))
        if (pattern !== 'unary') continue
        expect(await shown(`handled_total{grpc_method="Unary",grpc_code="NotFound"}`)).toEqual(exported('NOT_FOUND'))
        expect(exported('NOT_FOUND')).toHaveLength(1)
        expect(exported('NOT_FOUND')).not.toEqual(ok)
      }
    }
  } finally {
    await scraping.stop()
    await grpc.stop()
    await tracingNow.shutdown()
    receiver.stop()
  }
})
