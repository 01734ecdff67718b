// The examples of the README, compiled.
import { credentials } from '@grpc/grpc-js'
import { createChannel, interceptChannel, type Status } from '@grpc-stack/grpc-core'
import { TestClient } from '@grpc-stack/grpc-testing'
import { circuitBreaker, consecutive, countWindow, type FailurePolicy, timeWindow } from './index.ts'

const breaker = circuitBreaker({
  policy: timeWindow({ failureRate: 0.3, minCalls: 50, slowMs: 2000, slowRate: 0.8 }),
})
breaker.on('stateChange', ({ key, from, to, reason }) => console.warn(`circuit ${key}: ${from} → ${to}, ${reason}`))
breaker.on('refusal', ({ key, retryInMs, call }) => console.warn(key, retryInMs, call.method.path))

const channel = interceptChannel(createChannel('catalog:50051', credentials.createInsecure()), breaker)
const catalog = channel.client(TestClient)

catalog.unary({ text: 'A-1' }, (error, product) => {
  const failed = error as (Error & Status) | null
  if (failed?.refusedBy === 'circuitBreaker') console.warn('not even tried:', failed.details)
  else console.log(failed ?? product)
})
console.log(breaker.state('catalog:50051/shop.v1.Catalog'))

const release = breaker.forceOpen()
release()

circuitBreaker({ policy: countWindow(), key: 'method' })
circuitBreaker({ policy: consecutive(5), key: (call) => call.method.name, isFailure: ({ code }) => code === 14 })

/** A policy of one's own: the first failure. */
export const strict: FailurePolicy = {
  open: () => ({
    record: (failed) => failed,
    clear: () => undefined,
    counts: () => ({ calls: 0, failures: 0, slow: 0 }),
  }),
}
circuitBreaker({ policy: strict })

// @ts-expect-error an event there is not
breaker.on('open', () => undefined)
// @ts-expect-error a misspelt option
circuitBreaker({ halfOpenPermit: 3 })
// @ts-expect-error a key there is not
circuitBreaker({ key: 'target' })
