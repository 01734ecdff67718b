import { expect, it } from 'vitest'
import { named } from './named.ts'

it('an interceptor has the name it was given, whatever a bundler made of its function', () => {
  const e = (a: number, b: number) => a + b
  const interceptor: (a: number, b: number) => number = named('rateLimit', e)
  expect([interceptor.name, interceptor(1, 2)]).toEqual(['rateLimit', 3])
})
