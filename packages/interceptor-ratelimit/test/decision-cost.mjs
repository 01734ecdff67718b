// Prints what a decision in memory costs, as JSON: the median over rounds, those of the two limiters in turn. A process
// of its own, which runs compiled files.
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { RateLimiterMemory } from 'rate-limiter-flexible'

const ROUNDS = 150
const DECISIONS = 2000

const median = (values) => Math.round(values.toSorted((a, b) => a - b)[values.length >> 1])

async function measure(count) {
  const keys = Array.from({ length: count }, (_, n) => `10.0.${n >> 8}.${n & 255}`)
  const answer = Promise.resolve({ code: 0 })
  const next = () => answer
  // Of a call the limiter looks at nothing else.
  const call = { side: 'server', method: { registered: true, requestStream: false }, key: '' }
  const limit = rateLimit({ rate: 1_000_000, key: ({ key }) => key })
  const flexible = new RateLimiterMemory({ points: 1e9, duration: 1 })
  const ours = []
  const theirs = []
  for (let round = 0; round < ROUNDS; round++) {
    let begin = performance.now()
    for (let i = 0; i < DECISIONS; i++) {
      call.key = keys[i % count]
      limit(call, next)
    }
    ours.push(((performance.now() - begin) / DECISIONS) * 1e6)
    begin = performance.now()
    for (let i = 0; i < DECISIONS; i++) await flexible.consume(keys[i % count])
    theirs.push(((performance.now() - begin) / DECISIONS) * 1e6)
  }
  if (limit.counters().admitted !== ROUNDS * DECISIONS)
    throw new Error('the limit was reached, so other work was measured')
  return { keys: count, oursNs: median(ours), flexibleNs: median(theirs) }
}

console.log(JSON.stringify([await measure(1), await measure(1000)]))
process.exit() // the other limiter keeps a timer per key
