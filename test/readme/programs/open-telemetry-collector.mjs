// A collector that keeps what it is sent.
import { Server } from '@grpc/grpc-js'
import { fromPage, GreeterService, greeterAt, listen, outcome, until } from './pages.mjs'

let received = ''
const collector = new Server()
const bytes = (value) => value
collector.register(
  '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  (call, callback) => {
    received += call.request.toString('latin1')
    callback(null, Buffer.alloc(0))
  },
  bytes,
  bytes,
  'unary',
)
await listen(collector, `localhost:${process.env.COLLECTOR_PORT}`)

const { server } = await fromPage('guides-opentelemetry', 'block-1')
server.addService(GreeterService, { sayHello: async () => ({ message: 'Hello' }) })
const greeter = greeterAt(await listen(server))
// A tenth of the calls is recorded: of three hundred none, once in 50 million million runs.
for (let call = 0; call < 300; call++) await outcome(greeter.sayHello({ name: 'you' }))
await until(() => received.includes('greet.v1.Greeter/SayHello') && received.includes('greeter'))
console.log('received')
process.exit()
