// What stands in a list of interceptors without its parentheses: clientInterceptors(retry).
import {
  chain,
  clientInterceptors,
  createServer,
  type Interceptor,
  propagate,
  select,
  stacks,
} from '@grpc-stack/grpc-core'
import { factory } from '@grpc-stack/grpc-core/authoring'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { extAuthz } from '@grpc-stack/interceptor-auth/ext-authz'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { logging, requestId } from '@grpc-stack/interceptor-logging'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { concurrencyLimit, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { rateLimitService } from '@grpc-stack/interceptor-ratelimit/rls'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { describe, expect, it } from 'vitest'

const factories = {
  circuitBreaker,
  clientAuth,
  concurrencyLimit,
  extAuthz,
  hedge,
  logging,
  metrics,
  propagate,
  rateLimit,
  rateLimitService,
  requestId,
  retry,
  serverAuth,
  throttle,
  tracing,
}
const pass: Interceptor = (_call, next) => next()

describe.each(Object.entries(factories))('%s without its parentheses', (name, uncalled) => {
  const item = uncalled as never
  it.each<[string, () => unknown]>([
    ['clientInterceptors: interceptor 1', () => clientInterceptors(pass, item)],
    ['createServer: option "interceptors": interceptor 1', () => createServer({ interceptors: [pass, item] })],
    ['chain: interceptor 0', () => chain(item)],
    ['select: interceptor 0', () => select('*', item)],
    ['stacks["*"]: interceptor 1', () => stacks({ '*': [pass, item] })],
  ])('is refused by %s', (place, compose) => {
    expect(compose).toThrow(new TypeError(`${place} is the function ${name}: call it, ${name}({ … })`))
  })
})

describe('factory', () => {
  it('gives back the function, which does what it did', () => {
    const make = (): Interceptor => pass
    expect(factory('make', make)).toBe(make)
    expect(make()).toBe(pass)
    expect(() => clientInterceptors(make())).not.toThrow()
  })

  it('refuses an empty name, and what is no function', () => {
    expect(() => factory('', () => pass)).toThrow('factory: the first argument must be a name')
    expect(() => factory('quota', {} as never)).toThrow('factory: the second argument must be a function')
  })
})
