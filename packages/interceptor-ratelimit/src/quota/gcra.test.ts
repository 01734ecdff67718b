import { integer, property, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { debtAt, quotaOf, remaining, resetMs, unitsOf, waitMs } from './gcra.ts'

describe('quotaOf', () => {
  it.each([
    // rate, perMs, burst → leak per µs, units per call, capacity
    [100, 1000, 100, 1, 10_000, 1_000_000],
    [3, 1000, 3, 3, 1_000_000, 3_000_000],
    [0.5, 1000, 1, 1, 2_000_000, 2_000_000],
    [1, 86_400_000, 1, 1, 86_400_000_000, 86_400_000_000],
    [1_000_000, 1000, 5, 1, 1, 5],
    [1_000_000, 1000, 1, 1, 1, 1],
    [3, 1000, 1.5, 3, 1_000_000, 1_500_000],
    [0.25, 1000, 2, 1, 4_000_000, 8_000_000],
    [2.5, 1000, 2, 1, 400_000, 800_000],
    [0.000001, 1000, 1, 1, 1e12, 1e12],
    [1, 31_557_600_001, 1, 1, 31_557_600_001_000, 31_557_600_001_000],
  ])('%d per %d ms, burst %d, is exact', (rate, perMs, burst, leakPerUs, unitsPerCall, capacity) => {
    expect(quotaOf(rate, perMs, burst)).toEqual({ leakPerUs, unitsPerCall, capacity })
  })

  it.each([
    // A rate is cut after six decimals, and the leak halved, rounded down, until the burst can be counted.
    [1 / 3, 1000, 1, 333_333, 1e12, 1e12],
    [0.123456789, 1000, 1, 1929, 15_625_000_000, 15_625_000_000],
    [20_001, 86_399_999, 52_000, 20_001, 86_399_999_000, 4_492_799_948_000_000],
    [20_001, 86_399_999, 53_000, 10_000, 43_199_999_500, 2_289_599_973_500_000],
  ])('%d per %d ms, burst %d, is a hair stricter', (rate, perMs, burst, leakPerUs, unitsPerCall, capacity) => {
    expect(quotaOf(rate, perMs, burst)).toEqual({ leakPerUs, unitsPerCall, capacity })
  })

  it('is undefined for what cannot be counted exactly', () => {
    expect(quotaOf(19_997, 86_399_999, 53_000)).toBeUndefined()
    expect(quotaOf(1, 86_400_000, 1e9)).toBeUndefined()
    expect(quotaOf(1e-12, 1000, 1)).toBeUndefined()
  })

  it('is at most a hair stricter than asked for, and never looser, where numbers do not come out whole', () => {
    holds(
      property(
        integer({ min: 1, max: 1e6 }),
        integer({ min: 1, max: 86_400_000 }),
        integer({ min: 1, max: 1e6 }),
        (rate, perMs, burst) => {
          const quota = quotaOf(rate, perMs, burst)
          if (quota === undefined) return
          // leak ÷ units ≤ rate ÷ period, cross-multiplied
          const ours = BigInt(quota.leakPerUs) * BigInt(perMs) * 1000n
          const asked = BigInt(rate) * BigInt(quota.unitsPerCall)
          expect(ours <= asked).toBe(true)
          expect(Number(asked - ours) / Number(asked)).toBeLessThan(1e-3)
          expect(quota.capacity / quota.unitsPerCall).toBeLessThanOrEqual(burst)
        },
      ),
    )
  })
})

describe('a debt', () => {
  const quota = quotaOf(10, 1000, 5) ?? expect.unreachable()

  it('leaks away at the rate and never below nothing', () => {
    const debt = unitsOf(quota, 5)
    expect(remaining(quota, debt)).toBe(0)
    expect(remaining(quota, debtAt(quota, debt, 0, 99_999))).toBe(0)
    expect(remaining(quota, debtAt(quota, debt, 0, 100_000))).toBe(1)
    expect(debtAt(quota, debt, 0, 500_000)).toBe(0)
    expect(debtAt(quota, debt, 0, Number.MAX_SAFE_INTEGER)).toBe(0)
  })

  it('takes a cost that is not whole, rounded up to whole units', () => {
    expect(unitsOf(quota, 0.5)).toBe(quota.unitsPerCall / 2)
    expect(unitsOf({ leakPerUs: 1, unitsPerCall: 3, capacity: 9 }, 0.5)).toBe(2)
  })

  it('stays as it is when the clock goes backwards', () => {
    expect(debtAt(quota, 7, 1_000_000, 0)).toBe(7)
  })

  it('says never for more than the burst', () => {
    expect(waitMs(quota, 0, unitsOf(quota, 6))).toBe(Number.POSITIVE_INFINITY)
    expect(waitMs(quota, 0, unitsOf(quota, 5))).toBe(0)
    expect(waitMs(quota, quota.capacity, quota.capacity + 1)).toBe(Number.POSITIVE_INFINITY)
  })

  it('tells the shortest wait in whole milliseconds after which the cost fits', () => {
    const quotas = tuple(
      integer({ min: 1, max: 1e5 }),
      integer({ min: 1, max: 1e6 }),
      integer({ min: 1, max: 1e4 }),
      integer({ min: 0, max: 1e6 }),
    )
    holds(
      property(quotas, ([rate, perMs, burst, part]) => {
        const some = quotaOf(rate, perMs, burst)
        if (some === undefined) return
        const debt = Math.floor((some.capacity / 1e6) * part)
        const units = unitsOf(some, 1)
        const wait = waitMs(some, debt, units)
        expect(debtAt(some, debt, 0, wait * 1000) + units).toBeLessThanOrEqual(some.capacity)
        if (wait > 0) expect(debtAt(some, debt, 0, (wait - 1) * 1000) + units).toBeGreaterThan(some.capacity)
        expect(debtAt(some, debt, 0, resetMs(some, debt) * 1000)).toBe(0)
      }),
    )
  })
})
