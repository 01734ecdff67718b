import { array, constantFrom, integer, property, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { type RequestEnd, RollingCounts } from './rolling-counts.ts'

describe('RollingCounts', () => {
  it('counts what is in the window, forgotten in sixtieths of it', () => {
    const ends = constantFrom<RequestEnd>('accepted', 'rejected', 'heldBack')
    holds(
      property(array(tuple(integer({ min: 0, max: 5000 }), ends), { maxLength: 300 }), (events) => {
        const counts = new RollingCounts(6000) // buckets of 100 ms
        const seen: { bucket: number; end: RequestEnd }[] = []
        let now = 0
        for (const [gap, end] of events) {
          now += gap
          counts.add(now, end)
          seen.push({ bucket: Math.floor(now / 100), end })
          const inside = seen.filter(({ bucket }) => bucket > Math.floor(now / 100) - 60)
          expect(counts.accepts).toBe(inside.filter((one) => one.end === 'accepted').length)
          expect(counts.rejections).toBe(inside.filter((one) => one.end === 'rejected').length)
          expect(counts.requests).toBe(inside.length)
        }
      }),
    )
  })

  it('survives a clock that goes backwards', () => {
    const counts = new RollingCounts(6000)
    counts.add(1e6, 'rejected')
    counts.add(5, 'accepted')
    expect(counts).toMatchObject({ requests: 2, accepts: 1, rejections: 1 })
    counts.advance(1e6 + 6000)
    expect(counts).toMatchObject({ requests: 0, accepts: 0, rejections: 0 })
  })
})
