import { describe, it } from 'vitest'
import { interceptorSuite } from '../index.ts'

interceptorSuite('a pass-through interceptor', () => (_call, next) => next(), { describe, it })

interceptorSuite('an asynchronous one that awaits before and after', () => async (_call, next) => {
  await new Promise((resolve) => setImmediate(resolve))
  const status = await next()
  await Promise.resolve()
  return status
})
