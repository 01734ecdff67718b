import { interceptorSuite } from '@grpc-stack/grpc-testing'
import { circuitBreaker, timeWindow } from './index.ts'

interceptorSuite('circuitBreaker', () => ({ client: circuitBreaker() }))
interceptorSuite('circuitBreaker that times calls', () => ({
  client: circuitBreaker({ policy: timeWindow({ slowMs: 60_000 }) }),
}))
