// One process of a chain of services, started by a test. It runs the compiled packages, as an installed one would.
//
//   env NAME       name of the service
//   env COLLECTOR  where its spans go
//   env NEXT       address of the next service; without it, this is the last
//   env EXIT       what ends it, besides signals: 'listen' has the application listen for SIGTERM itself
//
// A 'stuck' one has a span that cannot be exported. The first of the chain is told to call by a message and ends by itself; the others serve until they get a SIGTERM.
import { credentials, ServerCredentials } from '@grpc/grpc-js'
import { createChannel, createServer, interceptChannel } from '@grpc-stack/grpc-core'
import { TestClient, testService } from '@grpc-stack/grpc-testing'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { startTracing } from '@grpc-stack/interceptor-tracing/node'
import { trace } from '@opentelemetry/api'

const { NAME, COLLECTOR, NEXT, EXIT } = process.env
const role = process.argv[2]
// An exporter that never comes to an end, for a process that is to be ended nevertheless.
const hanging = { export: () => process.send('exporting'), shutdown: async () => undefined }
const started = startTracing({
  serviceName: NAME,
  ...(role === 'stuck' ? { exporter: hanging } : { endpoint: COLLECTOR }),
})

const channel = NEXT ? interceptChannel(createChannel(NEXT, credentials.createInsecure()), tracing()) : undefined
const next = channel?.client(TestClient)

/** Calls the next service with one request and resolves to its answers. */
function call(pattern, request) {
  return new Promise((resolve, reject) => {
    const answers = []
    const answered = (error, answer) => (error ? reject(error) : resolve([answer]))
    const rpc =
      pattern === 'unary'
        ? next.unary(request, answered)
        : pattern === 'clientStream'
          ? next.clientStream(answered)
          : next[pattern](...(pattern === 'bidi' ? [] : [request]))
    if (pattern === 'clientStream' || pattern === 'bidi') {
      rpc.write(request)
      rpc.end()
    }
    if (pattern === 'serverStream' || pattern === 'bidi') {
      rpc.on('data', (answer) => answers.push(answer))
      rpc.on('error', reject)
      rpc.on('end', () => resolve(answers))
    }
  })
}

const answer = (pattern, request) =>
  next ? call(pattern, request) : Promise.resolve([{ text: `${request.text} from ${NAME}` }])

if (role === 'stuck') {
  trace.getTracer('app').startSpan('work').end()
  process.send('ready')
} else if (role === 'first') {
  process.once('message', async (patterns) => {
    for (const pattern of patterns) process.send(await answer(pattern, { text: pattern }))
    channel.close()
    process.disconnect() // nothing is left to do: beforeExit
  })
  process.send('ready')
} else {
  const server = createServer({ interceptors: [tracing()] })
  server.addService(testService, {
    unary: async ({ request }) => (await answer('unary', request))[0],
    async clientStream(requests) {
      let last
      for await (const request of requests) last = request
      return (await answer('clientStream', last))[0]
    },
    async *serverStream({ request }) {
      yield* await answer('serverStream', request)
    },
    async *bidi(requests) {
      for await (const request of requests) yield* await answer('bidi', request)
    },
  })
  const bound = (error, port) => {
    if (error) throw error
    process.send(`127.0.0.1:${port}`)
  }
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound)
  if (EXIT === 'listen') {
    process.on('SIGTERM', async () => {
      channel?.close()
      await server.drain(1000)
      await started.shutdown()
      process.exit(3)
    })
  }
}
