import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'
import { type RetryOptions, retry } from '@grpc-stack/interceptor-retry'

/**
 * Retries what a service of the shop may repeat for its callers. A customer who is over the limit is told so, and by when
 * to come back; were it tried again here, the customer's haste would use up the budget of all the others.
 */
export function retrying(options: RetryOptions): Interceptor<ClientCall> {
  return retry({
    ...options,
    retryIf: ({ code }) => (code === Code.RESOURCE_EXHAUSTED ? false : undefined),
  })
}
