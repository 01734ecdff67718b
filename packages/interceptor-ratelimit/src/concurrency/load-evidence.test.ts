import { status as Code } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { type AdaptiveLimit, aimdLimit, gradientLimit } from './concurrency-policy.ts'
import { evidenceOf } from './load-evidence.ts'

describe('what the end of a call says about load', () => {
  const base = { side: 'server', pattern: 'unary', origin: 'local', atDeadline: false } as const
  it.each([
    [{ code: Code.OK }, 'finished'],
    [{ code: Code.DEADLINE_EXCEEDED, atDeadline: true }, 'unfinished'],
    [{ code: Code.CANCELLED, atDeadline: true }, 'unfinished'],
    [{ code: Code.CANCELLED }, undefined],
    [{ code: Code.DEADLINE_EXCEEDED }, undefined],
    [{ code: Code.UNAVAILABLE }, undefined],
    [{ code: Code.UNAVAILABLE, side: 'client', origin: 'remote' }, 'refused'],
    [{ code: Code.UNAVAILABLE, side: 'client' }, undefined],
    [{ code: Code.RESOURCE_EXHAUSTED, side: 'client', origin: 'remote' }, undefined],
    [{ code: Code.NOT_FOUND, atDeadline: true }, undefined],
    [{ code: Code.OK, pattern: 'serverStream' }, undefined],
    [{ code: Code.DEADLINE_EXCEEDED, atDeadline: true, pattern: 'bidi' }, undefined],
  ] as const)('%j: %s', (end, evidence) => {
    expect(evidenceOf({ ...base, ...end })).toBe(evidence)
  })
})

/** Calls that come at random times with a mean rate, each with its deadline and the work it makes. */
interface Traffic {
  readonly perSecond: number
  readonly deadlineMs: number
  readonly workMs: number
  readonly hostile?: boolean
}

interface Running {
  readonly traffic: Traffic
  readonly startedMs: number
  readonly inFlight: number
  leftMs: number
}

interface Result {
  readonly limit: number
  readonly lowest: number
  /** Calls of the good traffic: answered in time, and refused by the limit, per second of the second half. */
  readonly answered: number
  readonly refused: number
}

const PROCESSORS = 10

/** The rule that counts every deadline as a loss, to show what it does. */
const everyDeadlineIsALoss = (limit: AdaptiveLimit): AdaptiveLimit => ({
  get limit() {
    return limit.limit
  },
  onSample: (sample) => limit.onSample({ ...sample, dropped: sample.dropped || sample.unfinished, unfinished: false }),
})

/**
 * A server with ten processors that its calls share, in steps of a millisecond: up to ten calls each take as long as their
 * work, twenty take twice as long. A call past its deadline is dropped by both sides.
 */
function simulate(limit: AdaptiveLimit, traffics: readonly Traffic[], seconds: number): Result {
  let seed = 42
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0 // Numerical Recipes' generator
    return seed / 2 ** 32
  }
  let running: Running[] = []
  let [lowest, answered, refused] = [limit.limit, 0, 0]
  const end = seconds * 1000
  for (let now = 0; now < end; now++) {
    const share = Math.min(1, PROCESSORS / Math.max(1, running.length))
    const counted = now >= end / 2
    running = running.filter((call) => {
      call.leftMs -= share
      const rttMs = now - call.startedMs
      const finished = call.leftMs <= 0
      const atDeadline = !finished && rttMs >= call.traffic.deadlineMs
      if (!finished && !atDeadline) return true
      const code = finished ? Code.OK : Code.DEADLINE_EXCEEDED
      const evidence = evidenceOf({ side: 'server', pattern: 'unary', origin: 'local', code, atDeadline })
      const unfinished = evidence === 'unfinished'
      const { startedMs, inFlight } = call
      limit.onSample({ rttMs, inFlight, dropped: false, unfinished, startedMs, endedMs: now })
      lowest = Math.min(lowest, limit.limit)
      if (finished && counted && !call.traffic.hostile) answered++
      return false
    })
    for (const traffic of traffics) {
      if (random() >= traffic.perSecond / 1000) continue
      if (running.length < limit.limit) {
        running.push({ traffic, startedMs: now, inFlight: running.length + 1, leftMs: traffic.workMs })
      } else if (counted && !traffic.hostile) refused++
    }
  }
  return { limit: limit.limit, lowest, answered: (answered * 2) / seconds, refused: (refused * 2) / seconds }
}

const policies: [string, () => AdaptiveLimit][] = [
  ['aimdLimit', () => aimdLimit({ timeoutMs: 200 })],
  ['gradientLimit', () => gradientLimit({ min: 1 })],
]

describe('simulated: a healthy server', () => {
  const good: Traffic = { perSecond: 100, deadlineMs: 1000, workMs: 20 }
  const hasty: Traffic = { perSecond: 100, deadlineMs: 15, workMs: 20, hostile: true }

  it.each(policies)('%s does not fall for callers whose deadline is below the usual time', (_name, make) => {
    const calm = simulate(make(), [good], 60)
    const attacked = simulate(make(), [good, hasty], 60)
    expect(attacked.lowest).toBeGreaterThanOrEqual(20)
    expect(attacked.refused).toBe(0)
    expect(attacked.answered).toBeGreaterThan(calm.answered * 0.9)
  })

  it.each(policies)('%s is not moved at all by these callers alone', (_name, make) => {
    const { limit, lowest } = simulate(make(), [hasty], 60)
    expect([limit, lowest]).toEqual([20, 20])
  })

  it('aimdLimit would be at its floor if every deadline counted', () => {
    expect(simulate(everyDeadlineIsALoss(aimdLimit({ timeoutMs: 200 })), [hasty], 60).limit).toBe(1)
  })
})

describe('simulated: a server with twice the calls it can do', () => {
  // 500 calls of 20 ms are all that ten processors can do in a second.
  const load: Traffic = { perSecond: 990, deadlineMs: 400, workMs: 20 }

  it.each(policies)('%s keeps it answering nearly as much as it can', (_name, make) => {
    const { answered, limit } = simulate(make(), [load], 60)
    expect(answered).toBeGreaterThan(450)
    expect(limit).toBeLessThan(200)
  })

  it('aimdLimit learns nothing while its timeoutMs is over the deadlines of callers, as its documentation says', () => {
    const { lowest, limit } = simulate(aimdLimit({ max: 1000 }), [load], 60)
    expect(lowest).toBe(20)
    expect(limit).toBeGreaterThan(200)
  })

  it.each(policies)('%s falls no further for a call with a deadline than for the same call without', (_name, make) => {
    const long: Traffic = { perSecond: 50, deadlineMs: Number.POSITIVE_INFINITY, workMs: 300 }
    const good: Traffic = { perSecond: 100, deadlineMs: 1000, workMs: 20 }
    const left = simulate(make(), [good, long], 60)
    const cut = simulate(make(), [good, { ...long, deadlineMs: 100 }], 60)
    expect(cut.lowest).toBeGreaterThanOrEqual(left.lowest)
  })
})
