import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  circuitBreaker,
  consecutive,
} from '@grpc-stack/interceptor-circuit'

/** The circuit breaker pattern: five failures in a row open it for a minute, then three probes decide. */
export function createCircuitBreaker(options: CircuitBreakerOptions = {}): CircuitBreaker {
  return circuitBreaker({ policy: consecutive(5), openMs: 60_000, halfOpenPermits: 3, ...options })
}
