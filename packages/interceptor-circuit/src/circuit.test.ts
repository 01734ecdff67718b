import { describe, expect, it } from 'vitest'
import { Circuit, type CircuitChange, type CircuitSettings, type Permit, type Verdict } from './circuit.ts'
import { consecutive } from './consecutive.ts'
import { timeWindow } from './time-window.ts'

/** A circuit that opens after three failures in a row, for 1 s, then 2 s, then 4 s. */
function table(change: Partial<CircuitSettings> = {}, policy = consecutive(3)) {
  const changes: CircuitChange[] = []
  let now = 0
  const circuit = new Circuit(policy.open(), {
    halfOpenPermits: 2,
    successesToClose: 3,
    probeTimeoutMs: 500,
    clock: { now: () => now },
    slowMs: policy.slowMs,
    openTimeMs: (opening) => 1000 * 2 ** (opening - 1),
    onChange: (event) => changes.push(event),
    ...change,
  })
  return {
    circuit,
    changes,
    at: (ms: number) => {
      now = ms
    },
    acquire: () => circuit.acquire(),
    settle: (permit: Permit | undefined, verdict: Verdict) => {
      if (permit === undefined) throw new Error('refused')
      circuit.settle(permit, verdict)
    },
    state: () => circuit.state(),
    snapshot: () => circuit.snapshot(),
    /** One call after another, each with its verdict. */
    calls(...verdicts: Verdict[]) {
      for (const verdict of verdicts) this.settle(this.acquire(), verdict)
    },
    trip() {
      this.calls('failure', 'failure', 'failure')
    },
  }
}

describe('Circuit', () => {
  // reference: symbol 81
  it('closed: lets calls through, and opens when the window says so', () => {
    const t = table()
    t.calls('failure', 'failure', 'success', 'failure', 'failure')
    expect(t.state()).toBe('closed')
    t.calls('failure')
    expect(t.state()).toBe('open')
    expect(t.changes).toEqual([{ from: 'closed', to: 'open', reason: 'failures' }])
  })

  // reference: sentence 39
  it('open: refuses until its time is over', () => {
    const t = table()
    t.trip()
    t.at(999)
    expect(t.acquire()).toBeUndefined()
    expect(t.snapshot()).toMatchObject({ state: 'open', retryInMs: 1, openings: 1 })
    t.at(1000)
    expect(t.state()).toBe('half-open')
    expect(t.acquire()).toBeDefined()
    expect(t.changes.at(-1)).toEqual({ from: 'open', to: 'half-open', reason: 'waited' })
  })

  // reference: symbol 81, symbol 85
  it('half-open: has so many probes at once, and no more among a thousand calls', () => {
    const t = table()
    t.trip()
    t.at(1000)
    const permits = Array.from({ length: 1000 }, () => t.acquire()).filter((permit) => permit !== undefined)
    expect(permits).toHaveLength(2)
    expect(t.snapshot().probes).toBe(2)
    t.settle(permits[0], 'success')
    expect(t.acquire()).toBeDefined()
    expect(t.acquire()).toBeUndefined()
  })

  // reference: sentence 42
  it('half-open: closes after several successes, not the first', () => {
    const t = table()
    t.trip()
    t.at(1000)
    t.calls('success', 'success')
    expect(t.state()).toBe('half-open')
    t.calls('success')
    expect(t.state()).toBe('closed')
    expect(t.changes.at(-1)).toEqual({ from: 'half-open', to: 'closed', reason: 'recovered' })
    expect(t.snapshot()).toMatchObject({ openings: 0, failures: 0 })
  })

  it('half-open: one failure opens it again, for longer; closing forgets that', () => {
    const t = table()
    t.trip()
    t.at(1000)
    t.calls('success', 'success', 'failure')
    expect(t.snapshot()).toMatchObject({ state: 'open', retryInMs: 2000, openings: 2 })
    t.at(3000)
    t.calls('failure')
    expect(t.snapshot()).toMatchObject({ retryInMs: 4000, openings: 3 })
    t.at(7000)
    t.calls('success', 'success', 'success')
    t.trip()
    expect(t.snapshot()).toMatchObject({ retryInMs: 1000, openings: 1 })
  })

  it('half-open: successes of an earlier half-open do not count', () => {
    const t = table()
    t.trip()
    t.at(1000)
    t.calls('success', 'success', 'failure')
    t.at(3000)
    t.calls('success')
    expect(t.state()).toBe('half-open')
  })

  it('half-open: a probe that says nothing gives its place back, and decides nothing', () => {
    const t = table()
    t.trip()
    t.at(1000)
    for (let i = 0; i < 100; i++) t.calls('nothing')
    expect(t.snapshot()).toMatchObject({ state: 'half-open', probes: 0 })
    t.calls('success', 'nothing', 'success', 'success')
    expect(t.state()).toBe('closed')
  })

  it('half-open: a probe that never ends gives its place to another after its timeout, and its late result is dropped', () => {
    const t = table()
    t.trip()
    t.at(1000)
    const lost = [t.acquire(), t.acquire()]
    t.at(1499)
    expect(t.acquire()).toBeUndefined()
    t.at(1500)
    const third = t.acquire()
    expect(third).toBeDefined()
    t.settle(lost[0], 'failure')
    expect(t.snapshot()).toMatchObject({ state: 'half-open', probes: 2 })
    t.settle(third, 'failure')
    expect(t.state()).toBe('open')
  })

  it('a late result of an earlier state changes nothing', () => {
    const t = table()
    const old = Array.from({ length: 10 }, () => t.acquire())
    t.trip()
    t.settle(old[0], 'success')
    t.settle(old[1], 'failure')
    expect(t.snapshot()).toMatchObject({ state: 'open', openings: 1 })
    t.at(1000)
    const probe = t.acquire()
    for (const permit of old.slice(2, 6)) t.settle(permit, 'success')
    expect(t.state()).toBe('half-open')
    t.settle(old[6], 'failure')
    expect(t.state()).toBe('half-open')
    t.settle(probe, 'success')
    t.calls('success', 'success')
    expect(t.state()).toBe('closed')
    for (const permit of old.slice(7)) t.settle(permit, 'failure')
    expect(t.snapshot()).toMatchObject({ state: 'closed', failures: 0 })
  })

  it('a verdict counts once', () => {
    const t = table()
    const permit = t.acquire()
    for (let i = 0; i < 5; i++) t.settle(permit, 'failure')
    expect(t.snapshot()).toMatchObject({ state: 'closed', failures: 1 })
  })

  it('forced open is open until every force is released; then probes decide', () => {
    const t = table()
    t.circuit.force()
    t.circuit.force()
    t.at(1e9)
    expect(t.acquire()).toBeUndefined()
    expect(t.snapshot()).toMatchObject({ state: 'open', retryInMs: Number.POSITIVE_INFINITY })
    t.circuit.release()
    expect(t.acquire()).toBeUndefined()
    t.circuit.reset()
    expect(t.state()).toBe('open')
    t.circuit.release()
    expect(t.state()).toBe('half-open')
    t.circuit.release()
    t.calls('success', 'success', 'success')
    expect(t.changes.map(({ to, reason }) => [to, reason])).toEqual([
      ['open', 'forced'],
      ['half-open', 'released'],
      ['closed', 'recovered'],
    ])
  })

  it('forced open by a listener that hears of the change to half-open, it lets no probe through', () => {
    const t = table({
      onChange: ({ to }) => {
        if (to === 'half-open') t.circuit.force()
      },
    })
    t.trip()
    t.at(1000)
    expect(t.acquire()).toBeUndefined()
    expect(t.snapshot()).toMatchObject({ state: 'open', probes: 0 })
  })

  it('reset closes and forgets', () => {
    const t = table()
    t.trip()
    t.circuit.reset()
    expect(t.snapshot()).toMatchObject({ state: 'closed', openings: 0, failures: 0 })
    t.calls('failure', 'failure')
    t.circuit.reset()
    t.calls('failure', 'failure')
    expect(t.state()).toBe('closed')
  })

  it('a clock that goes back does not keep it open for as long again', () => {
    const t = table()
    t.at(1e6)
    t.trip()
    t.at(0)
    expect(t.snapshot().retryInMs).toBe(1000)
    t.at(1000)
    expect(t.acquire()).toBeDefined()
    expect(t.acquire()).toBeDefined()
    t.at(0)
    expect(t.acquire()).toBeDefined()
  })

  it('slow calls open it, and a slow probe does', () => {
    const policy = timeWindow({ minCalls: 4, slowMs: 100, slowRate: 0.5, failureRate: 1 })
    const t = table({}, policy)
    const call = (from: number, ms: number, verdict: Verdict = 'success') => {
      t.at(from)
      const permit = t.acquire()
      t.at(from + ms)
      t.settle(permit, verdict)
    }
    call(0, 101)
    call(200, 100)
    call(400, 5, 'failure')
    expect(t.state()).toBe('closed')
    call(500, 150)
    expect(t.state()).toBe('open')
    expect(t.snapshot()).toMatchObject({ calls: 4, failures: 1, slow: 2 })
    call(2000, 101)
    expect(t.snapshot()).toMatchObject({ state: 'open', openings: 2 })
  })
})
