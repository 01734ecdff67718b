// A process of its own: a gRPC server behind a limit it shares through Redis. Runs compiled files.
//
//     node limited-server.mjs <redis port> <ioredis | node-redis> <options of rateLimit as JSON>
import { startTestServer } from '@grpc-stack/grpc-testing'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { redisStore } from '@grpc-stack/interceptor-ratelimit/redis'
import { Redis } from 'ioredis'
import { createClient } from 'redis'

const [, , port, kind, options] = process.argv
const client =
  kind === 'ioredis' ? new Redis(Number(port)) : await createClient({ url: `redis://127.0.0.1:${port}` }).connect()
const limit = rateLimit({ ...JSON.parse(options), store: redisStore(client) })
const server = await startTestServer({ interceptors: [limit] })

process.on('message', async (message) => {
  if (message === 'counters') process.send?.(limit.counters())
  if (message === 'stop') {
    await server.stop()
    client.destroy?.() ?? client.disconnect()
    process.disconnect()
  }
})
// Nobody is left to ask for a stop.
process.on('disconnect', () => process.exit())
process.send?.(server.address)
