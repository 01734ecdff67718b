// What sends traces and metrics to an OpenTelemetry collector. Loaded only where there is one: it is much code.
import type { Interceptor } from '@grpc-stack/grpc-core'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { openTelemetry } from '@grpc-stack/interceptor-metrics/opentelemetry'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import type { Resource } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import type { SpanExporter } from '@opentelemetry/sdk-trace-node'

const EXPORT_MS = 5000

/** The exporters find out where the collector is themselves, from `OTEL_EXPORTER_OTLP_ENDPOINT`. */
export function traceExporter(): SpanExporter {
  return new OTLPTraceExporter()
}

export function startMetrics(resource: Resource): { observers: Interceptor[]; stop(): Promise<void> } {
  const exporter = new OTLPMetricExporter()
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: EXPORT_MS })
  const meterProvider = new MeterProvider({ resource, readers: [reader] })
  return {
    observers: [metrics({ recorder: openTelemetry({ meterProvider }) })],
    stop: () => meterProvider.shutdown(),
  }
}
