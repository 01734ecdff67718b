import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Histogram, latencyBoundsMs } from './histogram.ts'

describe('Histogram', () => {
  it('puts a value into the first bucket that is not below it', () => {
    const histogram = new Histogram([1, 10, 100])
    for (const value of [0, 1, 1.5, 10, 10.1, 100, 101, 5000]) histogram.observe(value)
    expect([...histogram.counts]).toEqual([2, 2, 2, 2])
    expect(histogram).toMatchObject({ count: 8, sum: 5223.6, min: 0, max: 5000 })
  })

  it('adds up', () => {
    const one = new Histogram([1, 10])
    const other = new Histogram([1, 10])
    one.observe(0.5)
    other.observe(5)
    other.observe(50)
    one.add(other)
    expect([...one.counts]).toEqual([1, 1, 1])
    expect(one).toMatchObject({ count: 3, sum: 55.5, min: 0.5, max: 50 })
  })

  it('estimates percentiles within a bucket', () => {
    const histogram = new Histogram([10, 20, 30])
    for (let i = 1; i <= 100; i++) histogram.observe(10 + i / 10)
    expect(histogram.percentile(0.5)).toBeCloseTo(15, 0)
    expect(histogram.percentile(0.99)).toBeCloseTo(20, 0)
    expect(histogram.percentile(0)).toBeCloseTo(10.1)
    expect(histogram.percentile(1)).toBe(20)
    expect(new Histogram([1]).percentile(0.5)).toBeNaN()
  })

  it('a percentile is never off by more than the bucket the true one lies in', () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0.001, max: 200_000, noNaN: true }), { minLength: 1, maxLength: 200 }),
        fc.constantFrom(0.5, 0.9, 0.99, 1),
        (values, share) => {
          const histogram = new Histogram(latencyBoundsMs)
          for (const value of values) histogram.observe(value)
          const sorted = values.toSorted((a, b) => a - b)
          const truth = sorted[Math.max(0, Math.ceil(share * values.length) - 1)] as number
          const upper = latencyBoundsMs.find((bound) => truth <= bound) ?? Number.POSITIVE_INFINITY
          const lower = latencyBoundsMs.findLast((bound) => bound < truth) ?? 0
          const estimate = histogram.percentile(share)
          expect(estimate).toBeGreaterThanOrEqual(Math.min(lower, sorted[0] as number))
          expect(estimate).toBeLessThanOrEqual(upper)
          expect(estimate).toBeLessThanOrEqual(sorted.at(-1) as number)
        },
      ),
    )
  })
})
