import { array, boolean, integer, property, record } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { type AdaptiveLimit, aimdLimit, gradientLimit } from './concurrency-policy.ts'

/** Feeds calls that end one millisecond apart. */
class Feed {
  now = 0
  readonly limit: AdaptiveLimit

  constructor(limit: AdaptiveLimit) {
    this.limit = limit
  }

  calls(
    count: number,
    rttMs: number,
    given: { inFlight?: number; dropped?: boolean; unfinished?: boolean; startedMs?: number } = {},
  ): number {
    const { dropped = false, unfinished = false, startedMs = this.now } = given
    for (let i = 0; i < count; i++) {
      this.now++
      const { inFlight = this.limit.limit } = given
      this.limit.onSample({ rttMs, inFlight, dropped, unfinished, startedMs, endedMs: this.now })
    }
    return this.limit.limit
  }
}

describe('aimdLimit', () => {
  it('goes step by step as the table says', () => {
    const feed = new Feed(aimdLimit({ initial: 10, max: 12 }))
    expect(feed.calls(1, 5)).toBe(11)
    expect(feed.calls(1, 5, { inFlight: 5 })).toBe(11) // less than half in use: no reason to grow
    expect(feed.calls(1, 5, { inFlight: 6 })).toBe(12)
    expect(feed.calls(1, 5)).toBe(12) // max
    expect(feed.calls(1, 5, { dropped: true })).toBe(10)
    expect(feed.calls(1, 5001)).toBe(9) // too slow is lost
  })

  it('takes losses of one jam for one', () => {
    const feed = new Feed(aimdLimit({ initial: 100 }))
    expect(feed.calls(50, 5, { dropped: true, startedMs: 0 })).toBe(90)
    expect(feed.calls(1, 5, { dropped: true })).toBe(81)
  })

  it('does not move for a call cut short by its deadline, and falls for one that had the time', () => {
    const feed = new Feed(aimdLimit({ initial: 20, timeoutMs: 200 }))
    expect(feed.calls(40, 199, { unfinished: true, startedMs: feed.now + 1 })).toBe(20)
    expect(feed.calls(1, 201, { unfinished: true })).toBe(18)
  })

  it('stops at its minimum', () => {
    const feed = new Feed(aimdLimit({ initial: 3 }))
    for (let i = 0; i < 10; i++) feed.calls(1, 5, { dropped: true, startedMs: feed.now + 1 })
    expect(feed.limit.limit).toBe(1)
  })
})

describe('gradientLimit', () => {
  const window = { windowMs: 10 }

  it('grows while calls take their usual time and the limit is in use', () => {
    const feed = new Feed(gradientLimit(window))
    expect(feed.calls(400, 20)).toBeGreaterThan(40)
    const reached = feed.limit.limit
    expect(feed.calls(400, 20, { inFlight: 1 }) - reached).toBeLessThanOrEqual(1) // what was in the window already
    expect(feed.calls(10_000, 20)).toBe(200)
  })

  it('falls when calls become slower than the tolerance, and comes back', () => {
    const feed = new Feed(gradientLimit({ ...window, initial: 100 }))
    feed.calls(1000, 20)
    const before = feed.limit.limit
    expect(feed.calls(100, 25)).toBeGreaterThanOrEqual(before) // within the tolerance
    const slow = feed.calls(150, 100)
    expect(slow).toBeLessThan(before * 0.6)
    expect(feed.calls(3000, 20)).toBeGreaterThan(slow * 2)
  })

  it('does not move for calls whose deadline came before the usual time', () => {
    const feed = new Feed(gradientLimit({ ...window, initial: 100 }))
    expect(feed.calls(1000, 1, { unfinished: true })).toBe(100)
    feed.calls(500, 20)
    const before = feed.limit.limit
    expect(feed.calls(500, 15, { unfinished: true })).toBe(before)
  })

  it('falls when calls reach their deadline after more than the usual time', () => {
    const feed = new Feed(gradientLimit({ ...window, initial: 100 }))
    feed.calls(500, 20)
    const before = feed.limit.limit
    expect(feed.calls(100, 200, { unfinished: true })).toBeLessThan(before)
  })

  it('falls when calls are lost', () => {
    const feed = new Feed(gradientLimit({ ...window, initial: 100 }))
    feed.calls(500, 20)
    const before = feed.limit.limit
    expect(feed.calls(50, 20, { dropped: true })).toBeLessThan(before)
  })
})

describe('every adaptive limit', () => {
  it.each([
    ['aimdLimit', () => aimdLimit({ min: 2, max: 50 })],
    ['gradientLimit', () => gradientLimit({ min: 2, max: 50, initial: 20, windowMs: 3 })],
  ])('%s stays a whole number in its range, whatever it sees', (_name, make) => {
    const sample = record({
      rttMs: integer({ min: 0, max: 100_000 }),
      inFlight: integer({ min: 1, max: 100 }),
      dropped: boolean(),
      unfinished: boolean(),
      gap: integer({ min: 0, max: 10_000 }),
    })
    holds(
      property(array(sample, { maxLength: 500 }), (samples) => {
        const limit = make()
        let now = 0
        for (const { gap, ...rest } of samples) {
          now += gap
          limit.onSample({ ...rest, startedMs: now - rest.rttMs, endedMs: now })
          expect(Number.isInteger(limit.limit)).toBe(true)
          expect(limit.limit).toBeGreaterThanOrEqual(2)
          expect(limit.limit).toBeLessThanOrEqual(50)
        }
      }),
    )
  })

  it.each([
    [() => aimdLimit({ min: 0 }), 'aimdLimit: option "min"'],
    [() => aimdLimit({ min: 10, max: 5 }), 'aimdLimit: option "max"'],
    [() => aimdLimit({ initial: 500 }), 'aimdLimit: option "initial"'],
    [() => aimdLimit({ backoffRatio: 1 }), 'aimdLimit: option "backoffRatio"'],
    [() => aimdLimit({ timeoutMs: 0 }), 'aimdLimit: option "timeoutMs"'],
    [() => gradientLimit({ tolerance: 0.5 }), 'gradientLimit: option "tolerance"'],
    [() => gradientLimit({ smoothing: 0 }), 'gradientLimit: option "smoothing"'],
    [() => gradientLimit({ queueSize: -1 }), 'gradientLimit: option "queueSize"'],
    [() => gradientLimit({ windowMs: 0 }), 'gradientLimit: option "windowMs"'],
    // @ts-expect-error: no such option
    [() => gradientLimit({ window: 1 }), 'gradientLimit: unknown option "window"'],
  ])('names the option that is wrong', (make, message) => {
    expect(make).toThrow(message)
  })
})
