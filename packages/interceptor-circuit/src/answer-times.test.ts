import { describe, expect, it } from 'vitest'
import { AnswerTimes } from './answer-times.ts'
import { timeWindow } from './index.ts'

/** Callers of one kind: their deadline, how many of them call per second, and how long the server takes for them. */
interface Callers {
  readonly deadlineMs: number
  readonly perSecond: number
  readonly takesMs: (random: () => number) => number
}

type Rule = (times: AnswerTimes, budgetMs: number) => boolean

const ours: Rule = (times, budgetMs) => times.sufficed(budgetMs)
const everyDeadline: Rule = () => true
const overTheMean: Rule = (times, budgetMs) => budgetMs > (times.usualMs(budgetMs) ?? Number.POSITIVE_INFINITY)

/** Feeds a window of the default policy, in steps of a millisecond. Returns when it opened, in seconds, or undefined. */
function opensAfter(seconds: number, callers: readonly Callers[], rule: Rule = ours, seed = 42): number | undefined {
  let now = 0
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0 // Numerical Recipes' generator
    return (seed + 0.5) / 2 ** 32
  }
  const times = new AnswerTimes()
  const window = timeWindow().open()
  const clock = { now: () => now }
  for (; now < seconds * 1000; now++) {
    for (const { deadlineMs, perSecond, takesMs } of callers) {
      // Up to ten calls in a millisecond.
      for (let i = 0; i < 10; i++) {
        if (random() >= perSecond / 10_000) continue
        const took = takesMs(random)
        const answered = took < deadlineMs
        const failed = !answered && rule(times, deadlineMs)
        if (!failed) times.note(deadlineMs, Math.min(took, deadlineMs), now)
        if ((answered || failed) && window.record(failed, false, clock)) return now / 1000
      }
    }
  }
  return undefined
}

const steady = (ms: number) => () => ms
const exponential = (meanMs: number) => (random: () => number) => -meanMs * Math.log(random())
/** Four in ten are answered from a cache. */
const cached = (random: () => number) => (random() < 0.4 ? 1 : 500)

describe('simulated: a healthy server', () => {
  const servers = [
    ['a steady 20 ms', steady(20), [1, 5, 15, 19]],
    ['an exponential time of mean 20 ms', exponential(20), [1, 5, 10, 15, 20, 40, 80, 200]],
    ['1 ms from a cache, or 500 ms', cached, [2, 15, 60, 150, 400, 499]],
  ] as const
  const cases = servers.flatMap(([name, takesMs, deadlines]) =>
    deadlines.map((deadlineMs) => [name, deadlineMs, takesMs] as const),
  )

  it.each(cases)(
    '%s: a flood with deadlines of %i ms opens nothing for patient callers',
    (_name, deadlineMs, takesMs) => {
      const patient: Callers = { deadlineMs: 2000, perSecond: 20, takesMs }
      const hasty: Callers = { deadlineMs, perSecond: 2000, takesMs }
      expect(opensAfter(60, [patient, hasty])).toBeUndefined()
    },
  )

  it.each(cases)(
    '%s: callers with deadlines of %i ms alone open nothing, from the first call on',
    (_n, deadlineMs, takesMs) => {
      for (let seed = 1; seed <= 10; seed++) {
        expect(opensAfter(30, [{ deadlineMs, perSecond: 200, takesMs }], ours, seed)).toBeUndefined()
      }
    },
  )

  it('callers who prepare with one deadline and then use a longer one open nothing', () => {
    const prepared: Callers = { deadlineMs: 1.5, perSecond: 2000, takesMs: cached }
    expect(opensAfter(60, [prepared, { deadlineMs: 150, perSecond: 500, takesMs: cached }])).toBeUndefined()
  })

  it('would be taken for a failing one if every deadline counted, or every one over the mean', () => {
    expect(opensAfter(60, [{ deadlineMs: 15, perSecond: 100, takesMs: steady(20) }], everyDeadline)).toBeLessThan(1)
    const slight: Callers = { deadlineMs: 400, perSecond: 100, takesMs: cached }
    expect(opensAfter(60, [slight], overTheMean)).toBeLessThan(60)
  })
})

describe('simulated: a server that hangs', () => {
  it.each([100, 500, 2000])(
    'opens the circuit for callers with deadlines of %i ms, within the window',
    (deadlineMs) => {
      let calls = 0
      const takesMs = (random: () => number) => (++calls > 1000 ? Number.POSITIVE_INFINITY : exponential(20)(random))
      const opened = opensAfter(60, [{ deadlineMs, perSecond: 100, takesMs }])
      expect(opened).toBeGreaterThan(9)
      expect(opened).toBeLessThan(21)
    },
  )

  it('opens it while hasty callers flood it, too', () => {
    let calls = 0
    const takesMs = () => (++calls > 10_000 ? Number.POSITIVE_INFINITY : 20)
    const opened = opensAfter(60, [
      { deadlineMs: 1000, perSecond: 50, takesMs },
      { deadlineMs: 15, perSecond: 950, takesMs },
    ])
    expect(opened).toBeLessThan(25)
  })

  it('opens it after a slow start', () => {
    let calls = 0
    const takesMs = () => {
      calls++
      if (calls <= 30) return 300
      return calls > 500 ? Number.POSITIVE_INFINITY : 5
    }
    expect(opensAfter(60, [{ deadlineMs: 500, perSecond: 50, takesMs }])).toBeLessThan(25)
  })
})

describe('the usual time', () => {
  it('is not known from fewer than 20 calls', () => {
    const times = new AnswerTimes()
    for (let i = 0; i < 19; i++) times.note(1000, 10, i)
    expect([times.usualMs(1000), times.sufficed(1000)]).toEqual([undefined, false])
    times.note(Number.POSITIVE_INFINITY, 10, 20)
    expect([times.usualMs(1000), times.sufficed(1000)]).toEqual([10, true])
    expect([times.sufficed(41), times.sufficed(40)]).toEqual([true, false])
  })

  it('leaves out calls that had less time, and groups of calls that stopped coming', () => {
    const times = new AnswerTimes()
    for (let i = 0; i < 100; i++) times.note(10, 1, 0)
    for (let i = 0; i < 100; i++) times.note(Number.POSITIVE_INFINITY, 30_000, 0)
    for (let i = 0; i < 100; i++) times.note(1000, 20, 1)
    expect(times.usualMs(1000)).toBe(15_010)
    times.note(1000, 20, 600_001)
    expect(times.usualMs(1000)).toBe(20)
  })
})
