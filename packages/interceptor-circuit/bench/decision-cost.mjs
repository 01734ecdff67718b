// What a closed circuit costs per successful call, beside cockatiel and opossum, in one run:
//
//     npx tsc -b packages/interceptor-circuit/tsconfig.build.json && node packages/interceptor-circuit/bench/decision-cost.mjs
//
// All guard the same function, which resolves at once; what awaiting it alone costs is subtracted. All look at a time
// window of 10 s in 10 slots. The interceptor is called as the engine calls it, with a call that has just what it uses.

import { circuitBreaker, consecutive, timeWindow } from '@grpc-stack/interceptor-circuit'
import { ConsecutiveBreaker, circuitBreaker as cockatiel, handleAll, SamplingBreaker } from 'cockatiel'
import Opossum from 'opossum'

const OK = { code: 0, details: '', origin: 'remote' }
const work = () => Promise.resolve(OK)

function interceptor(policy) {
  const breaker = circuitBreaker({ policy })
  const method = {
    path: '/shop.v1.Catalog/Get',
    service: 'shop.v1.Catalog',
    pattern: 'unary',
    responseStream: false,
    registered: true,
  }
  let tap
  const call = {
    side: 'client',
    method,
    target: 'localhost:50051',
    deadline: Number.POSITIVE_INFINITY,
    onStatus: (heard) => {
      tap = heard
    },
  }
  const next = () => {
    tap(OK)
    return work()
  }
  return () => breaker(call, next)
}

const sampling = cockatiel(handleAll, {
  halfOpenAfter: 10_000,
  breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 2 }),
})
const counting = cockatiel(handleAll, { halfOpenAfter: 10_000, breaker: new ConsecutiveBreaker(5) })
const opossum = new Opossum(work, {
  timeout: false,
  rollingCountTimeout: 10_000,
  rollingCountBuckets: 10,
  volumeThreshold: 20,
})
const bareOpossum = new Opossum(work, { timeout: false, rollingPercentilesEnabled: false, volumeThreshold: 20 })

const contestants = {
  'nothing (subtracted below)': work,
  'circuitBreaker, timeWindow': interceptor(timeWindow()),
  'circuitBreaker, timeWindow, slow calls': interceptor(timeWindow({ slowMs: 60_000 })),
  'circuitBreaker, consecutive': interceptor(consecutive(5)),
  'cockatiel 3, SamplingBreaker': () => sampling.execute(work),
  'cockatiel 3, ConsecutiveBreaker': () => counting.execute(work),
  'opossum 9': () => opossum.fire(),
  'opossum 9, no percentiles': () => bareOpossum.fire(),
}

const CALLS = 20_000
const ROUNDS = 25
const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run] of Object.entries(contestants)) {
    const began = process.hrtime.bigint()
    for (let i = 0; i < CALLS; i++) await run()
    times[name].push(Number(process.hrtime.bigint() - began) / CALLS)
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]
const nothing = median(times['nothing (subtracted below)'])
console.log(`Node ${process.version}; median of ${ROUNDS} rounds of ${CALLS} calls`)
for (const [name, values] of Object.entries(times)) {
  const cost = name.startsWith('nothing') ? nothing : median(values) - nothing
  console.log(`${name.padEnd(42)} ${cost.toFixed(0).padStart(6)} ns`)
}
opossum.shutdown()
bareOpossum.shutdown()
