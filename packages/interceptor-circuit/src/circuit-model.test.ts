import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Circuit, type CircuitSnapshot, type CircuitState, type Permit, type Verdict } from './circuit.ts'
import { consecutive } from './consecutive.ts'
import { countWindow } from './count-window.ts'
import type { FailurePolicy } from './failure-window.ts'
import { timeWindow } from './time-window.ts'

const PERMITS = 3
const TO_CLOSE = 4
const PROBE_TIMEOUT = 700
const SIZE = 8
const SLOW = 400
const openFor = (opening: number) => Math.min(1000 * 2 ** (opening - 1), 5000)

interface Outcome {
  readonly at: number
  readonly failed: boolean
  readonly slow: boolean
}

/** Three ways to judge a history, each in one line, over the whole history there ever was. */
const policies: readonly [string, FailurePolicy, (history: readonly Outcome[], now: number) => boolean][] = [
  ['consecutive', consecutive(4), (history) => history.length >= 4 && history.slice(-4).every(({ failed }) => failed)],
  [
    'countWindow',
    countWindow({ size: SIZE, minCalls: 5, failureRate: 0.6 }),
    (history) => {
      const recent = history.slice(-SIZE)
      return recent.length >= 5 && recent.filter(({ failed }) => failed).length >= 0.6 * recent.length
    },
  ],
  [
    'timeWindow',
    timeWindow({ windowMs: 2000, minCalls: 5, failureRate: 0.5, slowMs: SLOW, slowRate: 0.75 }),
    (history, now) => {
      const recent = history.filter(({ at }) => Math.floor(at / 200) > Math.floor(now / 200) - 10)
      const share = (n: number) => n / recent.length
      const failed = recent.filter((outcome) => outcome.failed).length
      const slow = recent.filter((outcome) => outcome.slow).length
      return recent.length >= 5 && (share(failed) >= 0.5 || share(slow) >= 0.75)
    },
  ],
]

/** A call of the model: which state it was admitted in, by the number of state changes until then. */
interface ModelCall {
  readonly epoch: number
  readonly since: number
  done: boolean
}

/** What the table in circuit.ts says, written down as plainly as possible: lists, no counters, no rings. */
class Model {
  state: CircuitState = 'closed'
  epoch = 0
  openings = 0
  openUntil = 0
  forced = 0
  successes = 0
  history: Outcome[] = []
  probes: ModelCall[] = []
  readonly trips: (history: readonly Outcome[], now: number) => boolean
  readonly slowMs: number

  constructor(trips: Model['trips'], slowMs: number) {
    this.trips = trips
    this.slowMs = slowMs
  }

  go(state: CircuitState): void {
    this.state = state
    this.epoch++
    this.successes = 0
    this.probes = []
  }

  open(now: number): void {
    this.openings++
    this.openUntil = now + openFor(this.openings)
    this.go('open')
  }

  start(now: number): ModelCall | undefined {
    if (this.state === 'open' && this.forced === 0 && now >= this.openUntil) this.go('half-open')
    if (this.state === 'open') return undefined
    const probing = this.state === 'half-open'
    if (probing && this.probes.length === PERMITS) {
      const [oldest] = this.probes
      if (oldest === undefined || now - oldest.since < PROBE_TIMEOUT) return undefined
      oldest.done = true
      this.probes.shift()
    }
    const call = { epoch: this.epoch, since: now, done: false }
    if (probing) this.probes.push(call)
    return call
  }

  end(call: ModelCall, verdict: Verdict, now: number): void {
    if (call.done) return
    call.done = true
    if (call.epoch !== this.epoch) return
    this.probes = this.probes.filter((probe) => probe !== call)
    if (verdict === 'nothing') return
    const failed = verdict === 'failure'
    const slow = now - call.since > this.slowMs
    if (this.state === 'closed') {
      this.history.push({ at: now, failed, slow })
      if (this.trips(this.history, now)) this.open(now)
    } else if (failed || slow) this.open(now)
    else if (++this.successes === TO_CLOSE) this.close()
  }

  close(): void {
    this.openings = 0
    this.history = []
    this.go('closed')
  }

  force(): void {
    if (this.forced++ === 0) this.go('open')
  }

  release(): void {
    if (this.forced > 0 && --this.forced === 0) this.go('half-open')
  }

  reset(): void {
    if (this.forced === 0) this.close()
  }
}

function compare(seen: CircuitSnapshot, model: Model, now: number): void {
  const waiting = model.state === 'open' && (model.forced > 0 || now < model.openUntil)
  const retryInMs = model.forced > 0 ? Number.POSITIVE_INFINITY : model.openUntil - now
  assert.equal(seen.state, model.state === 'open' && !waiting ? 'half-open' : model.state)
  assert.equal(seen.retryInMs, waiting ? retryInMs : 0)
  assert.equal(seen.openings, model.openings)
  assert.equal(seen.probes, model.probes.length)
  assert.ok(seen.probes <= PERMITS)
  assert.ok(seen.failures <= seen.calls)
}

type Step =
  | { readonly do: 'start' }
  | { readonly do: 'end'; readonly which: number; readonly verdict: Verdict }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'force' | 'release' | 'reset' }

const verdict = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Verdict>('failure') },
  { weight: 4, arbitrary: fc.constant<Verdict>('success') },
  { weight: 1, arbitrary: fc.constant<Verdict>('nothing') },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.constant<Step>({ do: 'start' }) },
  { weight: 10, arbitrary: fc.record({ do: fc.constant('end' as const), which: fc.nat(1000), verdict }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 1500 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('force', 'release', 'release', 'reset') }) },
)

describe('Circuit', () => {
  it.each(policies)(
    'does what its table says, whatever happens when: %s',
    (_name, policy, trips) => {
      const visits: Record<string, number> = {}
      let steps = 0
      const run = (sequence: readonly Step[]) => {
        let now = 0
        const slowMs = policy.slowMs ?? Number.POSITIVE_INFINITY
        const model = new Model(trips, slowMs)
        const circuit = new Circuit(policy.open(), {
          halfOpenPermits: PERMITS,
          successesToClose: TO_CLOSE,
          probeTimeoutMs: PROBE_TIMEOUT,
          clock: { now: () => now },
          slowMs,
          openTimeMs: openFor,
          onChange: ({ from, to }) => {
            visits[`${from} → ${to}`] = (visits[`${from} → ${to}`] ?? 0) + 1
          },
        })
        // Calls stay in the list when they end, so that some end twice.
        const calls: { readonly permit: Permit; readonly call: ModelCall }[] = []
        for (const action of sequence) {
          steps++
          if (action.do === 'wait') now += action.ms
          else if (action.do === 'start') {
            const permit = circuit.acquire()
            const call = model.start(now)
            assert.equal(permit !== undefined, call !== undefined)
            if (permit !== undefined && call !== undefined) calls.push({ permit, call })
          } else if (action.do === 'end') {
            const chosen = calls[action.which % Math.max(1, calls.length)]
            if (chosen !== undefined) {
              circuit.settle(chosen.permit, action.verdict)
              model.end(chosen.call, action.verdict, now)
            }
          } else {
            circuit[action.do]()
            model[action.do]()
          }
          compare(circuit.snapshot(), model, now)
        }
      }
      const sequences = fc.array(step, { minLength: 100, maxLength: 1000, size: 'max' })
      fc.assert(fc.property(sequences, run), { numRuns: 300 })
      expect(steps).toBeGreaterThan(100_000)
      // Every way through the table was taken.
      expect(Object.keys(visits).sort()).toEqual([
        'closed → open',
        'half-open → closed',
        'half-open → open',
        'open → closed',
        'open → half-open',
      ])
    },
    60_000,
  )
})
