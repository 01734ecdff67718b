import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backoffMs, jittered } from './backoff.ts'

const policy = { initialBackoffMs: 100, maxBackoffMs: 1000, backoffMultiplier: 2 }

describe('backoffMs', () => {
  it.each([
    [1, 100],
    [2, 200],
    [3, 400],
    [4, 800],
    [5, 1000],
    [6, 1000],
  ])('before retry %i: %i ms', (n, ms) => {
    expect(backoffMs(policy, n)).toBe(ms)
  })

  it('is never longer than the cap, not even at first', () => {
    expect(backoffMs({ ...policy, initialBackoffMs: 5000 }, 1)).toBe(1000)
  })

  it('may shrink, as gRFC A6 allows with a multiplier below 1', () => {
    expect(backoffMs({ ...policy, backoffMultiplier: 0.5 }, 3)).toBe(25)
  })

  it('stays a finite number within the cap for any policy and any number of retries', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.double({ min: 0, max: 1e6, noNaN: true }),
        fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
        fc.integer({ min: 1, max: 1_000_000 }),
        (initialBackoffMs, maxBackoffMs, backoffMultiplier, n) => {
          const ms = backoffMs({ initialBackoffMs, maxBackoffMs, backoffMultiplier }, n)
          return ms >= 0 && ms <= maxBackoffMs
        },
      ),
    )
  })
})

describe('jittered', () => {
  it.each([
    ['full', 0, 0],
    ['full', 0.25, 25],
    ['full', 1, 100],
    ['proportional', 0, 80],
    ['proportional', 0.5, 100],
    ['proportional', 1, 120],
    ['none', 0, 100],
  ] as const)('%s with random %d makes %d of 100', (jitter, random, ms) => {
    expect(jittered(100, jitter, () => random)).toBeCloseTo(ms)
  })
})
