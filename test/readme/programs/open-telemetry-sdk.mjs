import { metrics as metricsApi } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { fromPage, GreeterService, greeterAt, listen, outcome } from './pages.mjs'

const { server, channel } = await fromPage('guides-opentelemetry', 'block-0')
server.addService(GreeterService, { sayHello: async () => ({ message: 'Hello' }) })
// The SDK may come after.
const spans = new InMemorySpanExporter()
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).register()
const instruments = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: instruments })
metricsApi.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }))

await listen(server, `localhost:${process.env.GRPC_PORT}`)
await outcome(greeterAt(channel).sayHello({ name: 'you' }))
await reader.forceFlush()
const [serverSpan, clientSpan] = spans.getFinishedSpans()
console.log(serverSpan.name, serverSpan.parentSpanContext.spanId === clientSpan.spanContext().spanId)
const names = instruments.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
console.log(
  names
    .map(({ descriptor }) => descriptor.name)
    .sort()
    .join(' '),
)
process.exit()
