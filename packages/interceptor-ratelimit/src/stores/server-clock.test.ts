import { array, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { ServerClock } from './server-clock.ts'

describe('ServerClock', () => {
  it('sets no deadline before the server has told its time', () => {
    expect(new ServerClock().deadlineUs(1000)).toBe(0)
  })

  it('is never late, and early by no more than the fastest answer travelled', () => {
    const answers = array(record({ waitMs: integer({ min: 1, max: 500 }), travelMs: integer({ min: 0, max: 40 }) }), {
      minLength: 1,
      maxLength: 10, // within one window
    })
    holds(
      property(integer({ min: -1e9, max: 1e12 }), answers, (aheadUs, plan) => {
        const clock = new ServerClock()
        let nowMs = 0
        for (const { waitMs, travelMs } of plan) {
          nowMs += waitMs
          clock.heard(nowMs * 1000 + aheadUs, nowMs + travelMs)
        }
        const fastest = Math.min(...plan.map(({ travelMs }) => travelMs))
        expect(clock.deadlineUs(7000)).toBe(7_000_000 + aheadUs - fastest * 1000)
      }),
    )
  })

  it('follows a server clock that was set forward at once, and one that was set back within 20 s', () => {
    const clock = new ServerClock()
    clock.heard(5_000_000, 0)
    clock.heard(65_000_000, 1000)
    expect(clock.deadlineUs(1000)).toBe(65_000_000)
    clock.heard(3_000_000, 2000)
    expect(clock.deadlineUs(2000)).toBe(66_000_000)
    clock.heard(11_000_000, 10_000)
    expect(clock.deadlineUs(10_000)).toBe(74_000_000)
    clock.heard(21_000_000, 20_000)
    expect(clock.deadlineUs(20_000)).toBe(21_000_000)
  })

  it('does not believe what it heard long ago', () => {
    const clock = new ServerClock()
    clock.heard(100_000_000, 0)
    clock.heard(3_600_000_000, 3_600_000)
    expect(clock.deadlineUs(3_600_000)).toBe(3_600_000_000)
  })
})
