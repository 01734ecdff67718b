import { describe, expect, it } from 'vitest'
import { type CircuitBreakerOptions, circuitBreaker, countWindow, timeWindow } from './index.ts'

/** Leaving it out is the stricter choice, or as strict: what a variable that is not set comes to. */
const asIfAbsent: readonly (keyof CircuitBreakerOptions)[] = [
  'policy',
  'openMs',
  'maxOpenMs',
  'openMultiplier',
  'openJitter',
  'halfOpenPermits',
  'successesToClose',
  'probeTimeoutMs',
  'observeOnly',
  'maxKeys',
  'clock',
  'random',
]

const refused: readonly (keyof CircuitBreakerOptions)[] = ['key', 'isFailure']

describe('an option that is written out and undefined', () => {
  it.each(asIfAbsent)('%s is as if it were left out', (name) => {
    expect(() => circuitBreaker({ [name]: undefined })).not.toThrow()
  })

  it.each(refused)('%s is refused, since what is meant by it would not hold', (name) => {
    expect(() => circuitBreaker({ [name]: undefined })).toThrow(`circuitBreaker: option "${name}" must be `)
  })

  it.each(['windowMs', 'failureRate', 'minCalls', 'slowMs', 'slowRate'])(
    '%s of a window is as if it were left out',
    (name) => {
      expect(() => timeWindow({ [name]: undefined })).not.toThrow()
      if (name !== 'windowMs') expect(() => countWindow({ [name]: undefined })).not.toThrow()
    },
  )

  it.each([null, [], 5, 'options', () => undefined])('and %j instead of options is refused', (options) => {
    expect(() => circuitBreaker(options as never)).toThrow('circuitBreaker: options must be an object')
    expect(() => timeWindow(options as never)).toThrow('timeWindow: options must be an object')
    expect(() => countWindow(options as never)).toThrow('countWindow: options must be an object')
  })
})
