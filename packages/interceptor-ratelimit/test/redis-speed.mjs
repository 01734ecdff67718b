// Prints decisions a second on one Redis of its own, ours beside those of rate-limiter-flexible, one after the other and 64 at
// once, and the processor time that a decision takes here and in Redis, which other work on the machine changes little: medians over
// rounds, in turn. Runs compiled files.
//
//     npm run build && node packages/interceptor-ratelimit/test/redis-speed.mjs [ioredis | node-redis]
import { spawn } from 'node:child_process'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { redisStore } from '@grpc-stack/interceptor-ratelimit/redis'
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import { createClient } from 'redis'

const ROUNDS = 9
const ROUND_MS = 400
const KEYS = Array.from({ length: 100 }, (_, n) => `10.0.0.${n}`)
const port = 15_000 + Math.floor(Math.random() * 15_000)
const kind = process.argv[2] ?? 'ioredis'

const redis = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', ''], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
await new Promise((resolve) => redis.stdout.on('data', (text) => `${text}`.includes('Ready to accept') && resolve()))
const client = kind === 'ioredis' ? new Redis(port) : await createClient({ url: `redis://127.0.0.1:${port}` }).connect()

const answer = Promise.resolve({ code: 0 })
const next = () => answer
const rate = { rate: 1e9, key: ({ key }) => key, storeTimeoutMs: 5000 }
const store = redisStore(client)
// Of a call the limiter looks at nothing else.
const callBy = (key) => ({ side: 'server', method: { registered: true, requestStream: false }, key })
const one = rateLimit({ ...rate, name: 'one', store })
const two = rateLimit({
  store,
  storeTimeoutMs: 5000,
  limits: ['two', 'three'].map((name) => ({ rate: 1e9, key: rate.key, name })),
})
const leasing = rateLimit({ ...rate, name: 'leasing', store, lease: { tokens: 10, ms: 100 } })
const spent = rateLimit({ ...rate, name: 'spent', rate: 1, perMs: 86_400_000, store })
const flexible = new RateLimiterRedis({
  storeClient: client,
  points: 1e9,
  duration: 60,
  ...(kind === 'node-redis' && { useRedisPackage: true }),
})
const ways = {
  'rate-limiter-flexible': (key) => flexible.consume(key),
  'one limit': (key) => one(callBy(key), next),
  'two limits': (key) => two(callBy(key), next),
  'one limit, leases of 10': (key) => leasing(callBy(key), next),
  'refused again': () => spent(callBy('spent'), next),
}

const admin = new Redis(port)

async function redisUs() {
  const info = await admin.info('cpu')
  const seconds = (name) => Number(new RegExp(`${name}:([0-9.]+)`).exec(info)[1])
  return (seconds('used_cpu_user') + seconds('used_cpu_sys')) * 1e6
}

async function measured(decide, atOnce) {
  let count = 0
  const redisBefore = await redisUs()
  const before = process.cpuUsage()
  const begin = performance.now()
  const end = begin + ROUND_MS
  const worker = async () => {
    while (performance.now() < end) await decide(KEYS[count++ % KEYS.length])
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  const perSecond = (count / (performance.now() - begin)) * 1000
  const { user, system } = process.cpuUsage(before)
  return { perSecond, hereUs: (user + system) / count, redisUs: ((await redisUs()) - redisBefore) / count }
}

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1]

for (const atOnce of [1, 64]) {
  const rounds = new Map(Object.keys(ways).map((name) => [name, []]))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, decide] of Object.entries(ways)) rounds.get(name).push(await measured(decide, atOnce))
  }
  for (const [name, all] of rounds) {
    const of = (figure) => median(all.map((one) => one[figure]))
    console.log(
      `${kind}, ${atOnce} at once, ${name}: ${Math.round(of('perSecond'))} decisions a second, ` +
        `${of('hereUs').toFixed(1)} µs here, ${of('redisUs').toFixed(1)} µs in Redis`,
    )
  }
}
if (one.counters().storeErrors + one.counters().storeLate > 0)
  throw new Error('the store failed, so other work was measured')
admin.disconnect()
client.destroy?.() ?? client.disconnect()
redis.kill()
