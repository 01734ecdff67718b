// What one decision to try again costs, with its backoff, beside cockatiel's backoff alone, in one run:
//
//     npx tsc -b packages/interceptor-retry/tsconfig.build.json && node packages/interceptor-retry/bench/decision-cost.mjs
//
// Ours looks at code, attempts, pushback, deadline and budget, and then waits for up to initial × multiplier^n.
// cockatiel's makes the next wait from the last one; what else it decides, it decides in its policy.

import { ExponentialBackoff, fullJitterGenerator } from 'cockatiel'
import { decide } from '../dist/decision.js'

const policy = {
  maxAttempts: 5,
  retryableStatusCodes: new Set([14]),
  jitter: 'full',
  idempotent: false,
  maxPushbackMs: 60_000,
  initialBackoffMs: 100,
  maxBackoffMs: 5000,
  backoffMultiplier: 2,
}
const spend = () => true
const failures = [1, 2, 3, 4].map((attempts) => ({
  code: 14,
  attempts,
  streak: attempts - 1,
  timedOut: false,
  refused: false,
  committed: false,
  pushback: undefined,
  retryInfoMs: undefined,
  leftMs: 60_000,
  asked: undefined,
  backoffMs: undefined,
}))

const backoff = new ExponentialBackoff({
  generator: fullJitterGenerator,
  initialDelay: 100,
  maxDelay: 5000,
  exponent: 2,
})
let step = backoff.next()

/** Each returns a wait in ms, so that nothing is optimized away. */
const contestants = {
  'retry(): whether, and after how long': (i) => decide(policy, failures[i & 3], Math.random, spend).delayMs,
  'cockatiel 3: after how long': (i) => {
    step = (i & 3) === 0 ? backoff.next() : step.next()
    return step.duration
  },
}

const DECISIONS = 500_000
const ROUNDS = 15
const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]))
let sum = 0
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, decideOnce] of Object.entries(contestants)) {
    const began = process.hrtime.bigint()
    for (let i = 0; i < DECISIONS; i++) sum += decideOnce(i)
    times[name].push(Number(process.hrtime.bigint() - began) / DECISIONS)
  }
}
if (!(sum > 0)) throw new Error('nothing was decided')
console.log(`Node ${process.version}; median of ${ROUNDS} rounds of ${DECISIONS} decisions`)
for (const [name, values] of Object.entries(times)) {
  const median = values.toSorted((a, b) => a - b)[ROUNDS >> 1]
  console.log(`${name.padEnd(42)} ${median.toFixed(0).padStart(6)} ns`)
}
