import { type CircuitBreaker, circuitBreaker, timeWindow } from '@grpc-stack/interceptor-circuit'
import type { Instruments } from '../telemetry/instruments.ts'

const KEY = 'payments'

/** Stops asking payments when half of the calls fail, and finds out by itself when that is over. Shown on the page. */
export function paymentsBreaker({ event, gauge }: Instruments): CircuitBreaker {
  const breaker = circuitBreaker({
    key: () => KEY,
    policy: timeWindow({ windowMs: 5000, minCalls: 5, failureRate: 0.5 }),
    // Short, so that there is something to watch; a real one gives a service longer to recover.
    openMs: 1500,
    openMultiplier: 1,
    halfOpenPermits: 1,
    successesToClose: 2,
  })
  breaker.on('stateChange', ({ from, to, reason }) => event('circuitBreaker', 'stateChange', { from, to, reason }))
  breaker.on('refusal', ({ retryInMs }) => event('circuitBreaker', 'refusal', { retryInMs }))
  gauge('circuit', () => ({ state: 'closed', ...breaker.snapshot(KEY) }))
  return breaker
}
