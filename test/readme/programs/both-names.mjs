import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node'
import { fromPage, GreeterService, greeterAt, listen, outcome } from './pages.mjs'

const exporter = new InMemorySpanExporter()
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register()
const { server } = await fromPage('migration-from-instrumentation-grpc', 'block-0')
server.addService(GreeterService, { sayHello: async () => ({ message: 'Hello' }) })
await outcome(greeterAt(await listen(server)).sayHello({ name: 'you' }))
const [span] = exporter.getFinishedSpans()
console.log(Object.keys(span.attributes).join(' '))
process.exit()
