// The examples of the README, compiled.
import { credentials } from '@grpc/grpc-js'
import { createChannel, type Interceptor, interceptChannel, type Status } from '@grpc-stack/grpc-core'
import { TestClient } from '@grpc-stack/grpc-testing'
import { hedge, RetryBudget, retry, retryReport } from './index.ts'

const channel = interceptChannel(
  createChannel('catalog:50051', credentials.createInsecure()),
  retry({
    perAttemptTimeoutMs: 400,
    idempotent: ['/shop.v1.Catalog/Get', '/shop.v1.Catalog/List'],
    onRetry: ({ call, attempts, delayMs }) =>
      console.warn(`${call.method.path}: attempt ${attempts} failed, next in ${delayMs} ms`),
  }),
)
const catalog = channel.client(TestClient)

catalog.unary({ text: 'A-1' }, (error, product) => {
  const failed = error as (Error & Status) | null
  if (failed) console.error(failed.code, failed.attempts, failed.cause)
  else console.log(product)
})
catalog.serverStream({}, undefined, { ...retry.perCall({ maxAttempts: 1 }) })

interceptChannel(channel, hedge({ delayMs: 80, idempotent: '/shop.v1.Catalog/Get' }))

const budget = new RetryBudget({ maxTokens: 10, tokenRatio: 0.1 })
retry({ budget })
retry({ budget: false })
retry({ budget: { started() {}, succeeded() {}, failed() {}, spend: () => true } })

export const observer: Interceptor = async (call, next) => {
  const status = await next()
  console.log(status.attempts, retryReport(call)?.gaveUp)
  return status
}

// @ts-expect-error a token bucket needs a ratio
new RetryBudget({ maxTokens: 10 })
// @ts-expect-error a misspelt option
retry({ maxAttempt: 3 })
// @ts-expect-error a name instead of a number
retry({ retryableStatusCodes: ['UNAVAILABLE'] })
// @ts-expect-error hedging needs to be told what may run twice, and when; checked when it is made
hedge()
