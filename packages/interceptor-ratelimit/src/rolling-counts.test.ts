import { array, boolean, integer, property, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../test/holds.ts'
import { RollingCounts } from './rolling-counts.ts'

describe('RollingCounts', () => {
  it('counts what is in the window, forgotten in sixtieths of it', () => {
    holds(
      property(array(tuple(integer({ min: 0, max: 5000 }), boolean()), { maxLength: 300 }), (events) => {
        const counts = new RollingCounts(6000) // buckets of 100 ms
        const seen: { bucket: number; accept: boolean }[] = []
        let now = 0
        for (const [gap, accept] of events) {
          now += gap
          counts.add(now, accept)
          seen.push({ bucket: Math.floor(now / 100), accept })
          const inside = seen.filter(({ bucket }) => bucket > Math.floor(now / 100) - 60)
          expect(counts.accepts).toBe(inside.filter((one) => one.accept).length)
          expect(counts.requests).toBe(inside.length)
        }
      }),
    )
  })

  it('survives a clock that goes backwards', () => {
    const counts = new RollingCounts(6000)
    counts.add(1e6, false)
    counts.add(5, true)
    expect(counts).toMatchObject({ requests: 2, accepts: 1 })
    counts.advance(1e6 + 6000)
    expect(counts).toMatchObject({ requests: 0, accepts: 0 })
  })
})
