// Refuses a call by one interceptor after the other, and tells who did. Bundled by minified.test.ts.
import { credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { createChannel, createClient, createServer, interceptChannel } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'

const codec = { serialize: () => Buffer.alloc(0), deserialize: () => ({}) }
const Ping = {
  ping: {
    path: '/test.Ping/Ping',
    requestStream: false,
    responseStream: false,
    requestSerialize: codec.serialize,
    requestDeserialize: codec.deserialize,
    responseSerialize: codec.serialize,
    responseDeserialize: codec.deserialize,
  },
}

async function refuse({ onServer = [], onClient = [] }) {
  let refuser
  const watching = (call, next) => {
    call.onStatus(({ refusedBy }) => {
      refuser ??= refusedBy
    })
    return next()
  }
  const server = createServer({ interceptors: [watching, ...onServer] })
  server.addService(Ping, { ping: async () => ({}) })
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const base = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  const client = createClient(Ping, interceptChannel(base, watching, ...onClient))
  await client.ping({}, { metadata: new Metadata() }).catch(() => undefined)
  base.close()
  server.forceShutdown()
  return refuser
}

const forced = () => {
  const breaker = circuitBreaker()
  breaker.forceOpen()
  return breaker
}
const namedByItsFunction = () => ({ code: 7 })

let retried = 0
const counting = (_call, next) => {
  retried++
  return next()
}
await refuse({
  onClient: [retry({ retryRefusals: ['circuitBreaker'], maxAttempts: 2, initialBackoffMs: 1 }), counting, forced()],
})

console.log(
  JSON.stringify({
    control: await refuse({ onServer: [namedByItsFunction] }),
    refusedBy: [
      await refuse({ onServer: [rateLimit({ rate: 1, cost: () => 2 })] }),
      await refuse({ onServer: [serverAuth({ verify: () => null })] }),
      await refuse({ onClient: [forced()] }),
      await refuse({ onServer: [named('mine', () => ({ code: 7 }))] }),
    ],
    retried,
  }),
)
