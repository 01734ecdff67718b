// The process that is attacked: a server with every package in the order that the README recommends. It says its port, and what it
// holds whenever it is asked.
import { logVerbosity, ServerCredentials, setLogVerbosity } from '@grpc/grpc-js'
import { createServer } from '@grpc-stack/grpc-core'
import { apiKeys, hashApiKey, principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { jsonLogger, logging, requestId } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { byMetadata, byPeer, byPrincipal, concurrencyLimit, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { BasicTracerProvider, NoopSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { keepTraceContext } from '../fuzz/observers.ts'
import { type Item, MAX_MESSAGE_BYTES, service } from '../service.ts'
import { connectionOptions, type Held, places, streamOptions, TENANT, TRUSTED_PROXY } from './attacked.ts'

const limited = process.argv[2] === 'limited'
const NO_LIMIT = 1e9

let records = 0
let spans = 0
let handlers = 0

const ended: SpanProcessor = Object.assign(new NoopSpanProcessor(), { onEnd: () => void spans++ })
const recorder = inMemory()
const byCaller = byPeer({ trustedProxies: [TRUSTED_PROXY] })
const perPeer = concurrencyLimit({ limit: limited ? places.peer : NO_LIMIT, key: byCaller })
const all = concurrencyLimit({ limit: limited ? places.all : NO_LIMIT })

const server = createServer({
  ...connectionOptions,
  ...(limited && streamOptions),
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  interceptors: [
    requestId(),
    tracing({ tracerProvider: new BasicTracerProvider({ spanProcessors: [ended] }) }),
    metrics({ recorder }),
    logging({ logger: jsonLogger({ write: () => void records++ }) }),
    rateLimit({ name: 'peer', rate: limited ? 2000 : NO_LIMIT, key: byCaller }),
    perPeer,
    serverAuth({
      verify: apiKeys({
        // As a store of keys would, it answers later.
        keys: async (hash) => (hash === hashApiKey('good') ? { hash, subject: 'a customer' } : null),
      }),
    }),
    all,
    rateLimit({ name: 'principal', rate: NO_LIMIT, key: byPrincipal(principalVar) }),
    rateLimit({ name: 'tenant', rate: limited ? 2000 : NO_LIMIT, key: byMetadata(TENANT) }),
  ],
})

/** Counts handlers that run. */
async function running<T>(work: () => Promise<T>): Promise<T> {
  handlers++
  try {
    return await work()
  } finally {
    handlers--
  }
}

server.addService(service, {
  unary: (call) => running(async () => ({ n: call.request.n, size: 10 })),
  clientStream: (call) =>
    running(async () => {
      let count = 0
      for await (const _ of call) count++
      return { n: count, size: 10 }
    }),
  // As many messages as the request has bytes.
  async *serverStream(call): AsyncGenerator<Item> {
    handlers++
    try {
      for (let n = 0; n < call.request.size; n++) yield { n, size: 64 * 1024 }
    } finally {
      handlers--
    }
  },
  async *bidi(call): AsyncGenerator<Item> {
    handlers++
    try {
      for await (const { n } of call) yield { n, size: 10 }
    } finally {
      handlers--
    }
  },
})

function held(): Held {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('start Node with --expose-gc')
  gc()
  gc()
  const { heapUsed, rss } = process.memoryUsage()
  const byCode: Record<string, number> = {}
  let started = 0
  let over = 0
  const { methods } = recorder.snapshot()
  for (const method of methods) {
    started += method.started
    over += method.ended
    for (const [code, { count }] of Object.entries(method.byCode)) byCode[code] = (byCode[code] ?? 0) + count
  }
  const connections = process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
  return {
    heapBytes: heapUsed,
    rssBytes: rss,
    connections,
    handlers,
    started,
    ended: over,
    records,
    spans,
    methods: methods.length,
    places: perPeer.state().inFlight + all.state().inFlight,
    byCode,
  }
}

keepTraceContext()
setLogVerbosity(logVerbosity.NONE) // grpc-js complains of what attackers send
process.on('disconnect', () => process.exit())
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error
  process.on('message', () => process.send?.(held()))
  process.send?.({ port })
})
