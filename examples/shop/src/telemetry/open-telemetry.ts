import type { Interceptor } from '@grpc-stack/grpc-core'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { Place, Report } from './facts.ts'
import { reportingSpanProcessor } from './reporting-span-processor.ts'

export interface OpenTelemetry {
  /** Interceptors that it takes besides `tracing()`. */
  readonly observers: readonly Interceptor[]
  stop(): Promise<void>
}

/**
 * Sets OpenTelemetry up for this process. Spans are reported to the shop; where `OTEL_EXPORTER_OTLP_ENDPOINT` names a
 * collector (`http://127.0.0.1:4317`), spans and metrics are exported to it as well.
 */
export async function startOpenTelemetry(place: Place, report: Report): Promise<OpenTelemetry> {
  const resource = resourceFromAttributes({ 'service.namespace': 'shop', 'service.name': place })
  const spanProcessors: SpanProcessor[] = [reportingSpanProcessor(report)]
  const collector = process.env.OTEL_EXPORTER_OTLP_ENDPOINT ? await import('./collector.ts') : undefined
  if (collector) spanProcessors.push(new BatchSpanProcessor(collector.traceExporter()))
  const tracing = new NodeTracerProvider({ resource, spanProcessors })
  tracing.register()
  const metrics = collector?.startMetrics(resource)
  return {
    observers: metrics?.observers ?? [],
    async stop() {
      // A collector that is not there must not keep the process from ending.
      await Promise.allSettled([tracing.shutdown(), metrics?.stop()])
    },
  }
}
