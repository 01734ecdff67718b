import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider, type SpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { Place, Report } from './facts.ts'
import { reportingSpanProcessor } from './reporting-span-processor.ts'

/**
 * Sets OpenTelemetry up for this process: spans are reported to the shop and, where `OTEL_EXPORTER_OTLP_ENDPOINT` names
 * a collector, exported to it as well. Resolves to what ends it.
 */
export async function startOpenTelemetry(place: Place, report: Report): Promise<() => Promise<void>> {
  const spanProcessors: SpanProcessor[] = [reportingSpanProcessor(report)]
  if (process.env.OTEL_EXPORTER_OTLP_ENDPOINT) {
    // Loaded only where it is used: it is most of what this process would load.
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc')
    spanProcessors.push(new BatchSpanProcessor(new OTLPTraceExporter()))
  }
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({ 'service.namespace': 'shop', 'service.name': place }),
    spanProcessors,
  })
  provider.register()
  // A collector that is not there must not keep the process from ending.
  return () => provider.shutdown().catch(() => undefined)
}
