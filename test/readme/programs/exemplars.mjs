import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { fromPage, GreeterService, greeterAt, listen, outcome } from './pages.mjs'

const exporter = new InMemorySpanExporter()
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
const { server, registry } = await fromPage('guides-prometheus', 'block-1')
server.addService(GreeterService, { sayHello: async () => ({ message: 'Hello' }) })
await outcome(greeterAt(await listen(server)).sayHello({ name: 'you' }))
const [span] = exporter.getFinishedSpans()
const scraped = await registry.metrics()
console.log(scraped.includes(`# {trace_id="${span.spanContext().traceId}"`) || scraped)
process.exit()
