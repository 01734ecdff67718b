import type { MonotonicTime } from '@grpc-stack/grpc-core/authoring'
import type { FailureWindow, WindowCounts } from './failure-window.ts'

export type CircuitState = 'closed' | 'open' | 'half-open'

/** What a call says about the server: nothing, where the call ended for reasons of its own. */
export type Verdict = 'success' | 'failure' | 'nothing'

/** The right to make one call, and the duty to tell what came of it. Counts only in the state that gave it. */
export interface Permit {
  readonly generation: number
  /** When it was given. */
  readonly since: number
  /** From when on the server makes the call slow; undefined: nothing does. */
  slowSince: number | undefined
  /** The call may succeed, but its end cannot show that the server fails: it has little time, or is a stream with a deadline. */
  readonly weak: boolean
  /** It was used, or taken back. */
  spent: boolean
}

/** Why a circuit changed its state. */
export type ChangeReason =
  /** The window is too bad. */
  | 'failures'
  /** The open time is over and a call came. */
  | 'waited'
  /** A probe failed. */
  | 'probe-failed'
  /** Enough probes succeeded. */
  | 'recovered'
  | 'forced'
  | 'released'
  | 'reset'

export interface CircuitChange {
  readonly from: CircuitState
  readonly to: CircuitState
  readonly reason: ChangeReason
}

/** Of a circuit, as it is now. */
export interface CircuitSnapshot extends WindowCounts {
  readonly state: CircuitState
  /** Times in a row it has opened without closing. */
  readonly openings: number
  /** Until calls are let through again, ms; 0 unless open, `Infinity` while forced open. */
  readonly retryInMs: number
  /** Probes under way. */
  readonly probes: number
}

export interface CircuitSettings {
  readonly halfOpenPermits: number
  readonly successesToClose: number
  /** A probe that has not ended by then gives its place to another, ms. */
  readonly probeTimeoutMs: number
  /** Calls that take longer are slow; undefined: none is. */
  readonly slowMs: number | undefined
  readonly clock: MonotonicTime
  readonly openTimeMs: (opening: number) => number
  readonly onChange: (change: CircuitChange) => void
}

/**
 * One circuit breaker, without any RPC. Every change of state begins a new generation, and a verdict counts only in the
 * generation whose permit it comes with.
 *
 *     state      event                      if                                  then
 *     ─────────  ─────────────────────────  ──────────────────────────────────  ──────────────────────────────
 *     closed     a call                                                         permit
 *     closed     success, failure           the window is too bad               open
 *     open       a call                     its time is not over                refuse
 *     open       a call                     its time is over                    half-open, permit
 *     half-open  a call                     fewer probes than permits           permit
 *     half-open  a call                     a probe is older than its timeout   that probe's place, permit
 *     half-open  a call that is not weak    a probe is weak                     that probe's place, permit
 *     half-open  a call                     otherwise                           refuse
 *     half-open  success                    it is the last one needed           closed, window cleared
 *     half-open  failure                                                        open, for longer
 *     any        nothing                                                        the permit's place is free again
 *     any        a verdict of another generation, or a second one               nothing at all
 *     any        force open                 is the first                        open, until released
 *     forced     the last release                                               half-open
 *     any        reset                      not forced                          closed, window cleared
 */
export class Circuit {
  readonly #window: FailureWindow
  readonly #settings: CircuitSettings
  #state: CircuitState = 'closed'
  #generation = 0
  #openings = 0
  #openedAt = 0
  #openForMs = 0
  #forced = 0
  #successes = 0
  #probes: Permit[] = []

  constructor(window: FailureWindow, settings: CircuitSettings) {
    this.#window = window
    this.#settings = settings
  }

  /** A permit for one call, or undefined: refused. */
  acquire(weak = false): Permit | undefined {
    const { clock } = this.#settings
    if (this.#state === 'closed') return this.#permit(clock.now(), weak)
    if (this.#state === 'open') {
      if (this.retryInMs() > 0) return undefined
      this.#change('half-open', 'waited')
    }
    // A listener that heard of the change may have forced it open again.
    return this.#forced > 0 ? undefined : this.#probe(clock.now(), weak)
  }

  /** Tells what came of a call. */
  settle(permit: Permit, verdict: Verdict): void {
    if (permit.spent) return
    permit.spent = true
    if (permit.generation !== this.#generation) return
    if (this.#state === 'half-open') this.#probes = this.#probes.filter((probe) => probe !== permit)
    if (verdict === 'nothing') return
    const failed = verdict === 'failure'
    const { clock, slowMs } = this.#settings
    const slow = slowMs !== undefined && permit.slowSince !== undefined && clock.now() - permit.slowSince > slowMs
    if (this.#state === 'closed') {
      if (this.#window.record(failed, slow, clock)) this.#open('failures')
    } else if (failed || slow) this.#open('probe-failed')
    else if (++this.#successes >= this.#settings.successesToClose) this.#close('recovered')
  }

  /** Open until `release` was called as often as this. */
  force(): void {
    if (this.#forced++ === 0) this.#change('open', 'forced')
  }

  /** Takes back one `force`. After the last, probes decide. */
  release(): void {
    if (this.#forced > 0 && --this.#forced === 0) this.#change('half-open', 'released')
  }

  /** Back to the start. A circuit that is forced open stays so. */
  reset(): void {
    if (this.#forced === 0) this.#close('reset')
  }

  /** An open circuit whose time is over reads as half-open: the next call is a probe. */
  state(): CircuitState {
    return this.#state === 'open' && this.retryInMs() === 0 ? 'half-open' : this.#state
  }

  /** Until the next probe, ms. */
  retryInMs(): number {
    if (this.#state !== 'open') return 0
    if (this.#forced > 0) return Number.POSITIVE_INFINITY
    const now = this.#settings.clock.now()
    // A clock that went back must not keep the circuit open for as long again.
    if (now < this.#openedAt) this.#openedAt = now
    return Math.max(0, this.#openedAt + this.#openForMs - now)
  }

  snapshot(): CircuitSnapshot {
    return {
      state: this.state(),
      openings: this.#openings,
      retryInMs: this.retryInMs(),
      probes: this.#probes.length,
      ...this.#window.counts(this.#settings.clock),
    }
  }

  #probe(now: number, weak: boolean): Permit | undefined {
    if (this.#probes.length >= this.#settings.halfOpenPermits) {
      const replaced = this.#replaceable(now, weak)
      if (replaced === undefined) return undefined
      replaced.spent = true
      this.#probes = this.#probes.filter((probe) => probe !== replaced)
    }
    const permit = this.#permit(now, weak)
    this.#probes.push(permit)
    return permit
  }

  /** The probe whose place a call takes that finds none free. */
  #replaceable(now: number, weak: boolean): Permit | undefined {
    const oldest = this.#probes[0]
    // The distance, so that a clock that went back cannot keep a lost probe's place for as long again.
    if (oldest !== undefined && Math.abs(now - oldest.since) >= this.#settings.probeTimeoutMs) return oldest
    // Callers with short deadlines could otherwise hold all places, one after the other, and keep the circuit half-open.
    return weak ? undefined : this.#probes.find((probe) => probe.weak)
  }

  #permit(since: number, weak: boolean): Permit {
    return { generation: this.#generation, since, slowSince: since, weak, spent: false }
  }

  #open(reason: ChangeReason): void {
    this.#openings++
    this.#openedAt = this.#settings.clock.now()
    this.#openForMs = this.#settings.openTimeMs(this.#openings)
    this.#change('open', reason)
  }

  #close(reason: ChangeReason): void {
    this.#openings = 0
    this.#window.clear()
    this.#change('closed', reason)
  }

  #change(to: CircuitState, reason: ChangeReason): void {
    const from = this.#state
    this.#generation++
    this.#state = to
    this.#successes = 0
    this.#probes = []
    if (from !== to) this.#settings.onChange({ from, to, reason })
  }
}
