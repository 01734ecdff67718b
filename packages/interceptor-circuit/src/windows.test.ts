import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { consecutive } from './consecutive.ts'
import { countWindow } from './count-window.ts'
import type { FailureWindow } from './failure-window.ts'
import { timeWindow } from './time-window.ts'

const at = (ms: number) => ({ now: () => ms })

/** `x` failed, `.` did not; returns the 1-based number of the first outcome that opens. */
function opensAt(window: FailureWindow, outcomes: string, now = 0): number | undefined {
  for (const [i, outcome] of [...outcomes].entries()) {
    if (window.record(outcome === 'x', false, at(now))) return i + 1
  }
  return undefined
}

describe('consecutive', () => {
  it.each([
    ['xx', undefined],
    ['xxx', 3],
    ['xx.xx.xx', undefined],
    ['..xxx', 5],
  ])('three in a row, %s: %s', (outcomes, opens) => {
    expect(opensAt(consecutive(3).open(), outcomes)).toBe(opens)
  })
})

describe('countWindow', () => {
  it.each([
    ['exactly at the rate', { size: 4, failureRate: 0.5 }, '.x.x', 4],
    ['not before the window is full', { size: 4, failureRate: 0.5 }, 'xxx', undefined],
    ['unless fewer are enough', { size: 4, failureRate: 0.5, minCalls: 2 }, 'xx', 2],
    ['a success can complete the volume', { size: 4, failureRate: 0.5 }, 'xxx.', 4],
    ['below the rate', { size: 4, failureRate: 0.75 }, '.x.x.x.x.x', undefined],
    ['old outcomes leave', { size: 4, failureRate: 0.75 }, 'xx..xxx', 7],
    ['a rate of 1', { size: 3, failureRate: 1 }, 'x.xxx', 5],
    ['a rate of a tenth', { size: 10, failureRate: 0.1 }, '.........x', 10],
  ])('%s', (_what, options, outcomes, opens) => {
    expect(opensAt(countWindow(options).open(), outcomes)).toBe(opens)
  })

  it('counts what the last calls were, for any sequence', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.tuple(fc.boolean(), fc.boolean())), (size, outcomes) => {
        const window = countWindow({ size }).open()
        for (const [failed, slow] of outcomes) window.record(failed, slow, at(0))
        const recent = outcomes.slice(-size)
        expect(window.counts(at(0))).toEqual({
          calls: recent.length,
          failures: recent.filter(([failed]) => failed).length,
          slow: recent.filter(([, slow]) => slow).length,
        })
      }),
    )
  })
})

describe('timeWindow', () => {
  it('needs a minimum of calls', () => {
    expect(opensAt(timeWindow().open(), 'x'.repeat(19))).toBeUndefined()
    expect(opensAt(timeWindow().open(), 'x'.repeat(20))).toBe(20)
    expect(opensAt(timeWindow().open(), '.x'.repeat(10))).toBe(20)
    expect(opensAt(timeWindow().open(), `${'.x'.repeat(9)}..`)).toBeUndefined()
  })

  it('forgets everything in an idle gap longer than the window', () => {
    const window = timeWindow({ minCalls: 2 }).open()
    window.record(true, false, at(0))
    expect(window.record(true, false, at(3_600_000))).toBe(false)
    expect(window.counts(at(3_600_000))).toEqual({ calls: 1, failures: 1, slow: 0 })
  })

  it('forgets slot by slot', () => {
    const window = timeWindow({ windowMs: 1000 }).open()
    for (let ms = 0; ms < 1000; ms += 100) window.record(true, false, at(ms))
    expect([999, 1000, 1150, 1850, 1900].map((now) => window.counts(at(now)).calls)).toEqual([10, 9, 8, 1, 0])
  })

  it('stays where it is when the clock goes back', () => {
    const window = timeWindow({ windowMs: 1000 }).open()
    window.record(true, false, at(5000))
    window.record(true, false, at(100))
    expect(window.counts(at(100)).calls).toBe(2)
    expect(window.counts(at(5000)).calls).toBe(2)
  })

  it('takes a clock that counts from anywhere', () => {
    const window = timeWindow({ windowMs: 1000 }).open()
    window.record(true, false, at(-5050))
    window.record(true, false, at(-4950))
    expect(window.counts(at(-4950)).calls).toBe(2)
    expect(window.counts(at(0)).calls).toBe(0)
  })

  it('can be cleared', () => {
    const window = timeWindow().open()
    window.record(true, true, at(1))
    window.clear()
    expect(window.counts(at(1))).toEqual({ calls: 0, failures: 0, slow: 0 })
  })
})

describe('policies', () => {
  it.each([
    [() => consecutive(0), 'consecutive: option "failures" must be an integer ≥ 1, got 0'],
    [() => consecutive(1.5), 'consecutive: option "failures"'],
    [() => countWindow({ size: 0 }), 'countWindow: option "size"'],
    [
      () => countWindow({ size: 10, minCalls: 11 }),
      'countWindow: option "minCalls" must be at most "size", 10, got 11',
    ],
    [() => countWindow({ failureRate: 0 }), 'countWindow: option "failureRate"'],
    [() => timeWindow({ failureRate: 1.1 }), 'timeWindow: option "failureRate"'],
    [() => timeWindow({ windowMs: 0 }), 'timeWindow: option "windowMs"'],
    [() => timeWindow({ minCalls: 0 }), 'timeWindow: option "minCalls"'],
    [() => timeWindow({ slowMs: -1 }), 'timeWindow: option "slowMs"'],
    [() => timeWindow({ slowRate: 0 }), 'timeWindow: option "slowRate"'],
    [() => timeWindow({ buckets: 5 } as object), 'timeWindow: unknown option "buckets"'],
    [() => countWindow(null as unknown as object), 'countWindow: options must be an object'],
  ])('refuse %s', (make, message) => {
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
