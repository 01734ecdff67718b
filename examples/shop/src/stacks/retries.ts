import { RetryBudget, type RetryOptions } from '@grpc-stack/interceptor-retry'
import type { Instruments } from '../telemetry/instruments.ts'

/**
 * What the retries of a process have in common: one budget, whatever they call, so that an outage may add a little load
 * and never multiply it. Shown on the page.
 */
export function sharedRetries({ event, gauge }: Instruments): RetryOptions {
  const budget = new RetryBudget({ ratio: 0.5, minRetriesPerSecond: 5 })
  gauge('retry budget', () => budget.available)
  return {
    initialBackoffMs: 20,
    budget,
    onRetry: ({ call, attempts, delayMs }) => event('retry', 'retry', { method: call.method.path, attempts, delayMs }),
  }
}
