import { status as Code, Metadata } from '@grpc/grpc-js'
import type { ClientCall, Next, Status } from '@grpc-stack/grpc-core'
import {
  func,
  inThisContext,
  integer,
  type MonotonicClock,
  milliseconds,
  monotonicClock,
  type OptionTable,
  quoted,
  readOptions,
  runShared,
} from '@grpc-stack/grpc-core/authoring'
import { endedWaiting } from '../admission/ended-waiting.ts'
import { type Place, WaitingLine } from '../admission/waiting-line.ts'
import { debtAt, type Quota, unitsOf, waitMs } from '../quota/gcra.ts'
import { checkCost, costOption, type QuotaOptions, quotaOptions, resolveQuota } from '../quota/quota-options.ts'

export interface PacingOptions extends QuotaOptions {
  /** What a call costs, ≥ 0, or how to tell. Default: 1. */
  readonly cost?: number | ((call: ClientCall) => number)
  /** How long a call waits at most, in milliseconds. Never past its deadline in any case. Default: no other bound. */
  readonly maxWaitMs?: number
  /** How many calls wait at most, per key. Default: 1000. */
  readonly maxQueue?: number
  /** What shares the rate. Default: the target of the channel, where grpc-core made it, else all calls. */
  readonly key?: (call: ClientCall) => string
  /** Default: monotonic time. */
  readonly clock?: MonotonicClock
}

/** A call that waits for its turn. */
interface Waiter {
  readonly units: number
  admit(): void
}

/** One outgoing rate. */
interface Lane {
  readonly key: string
  readonly line: WaitingLine<Waiter>
  debt: number
  lastUs: number
  /** What those in the line will add. */
  waitingUnits: number
  timer: unknown
}

const table = {
  ...quotaOptions,
  cost: costOption<(call: ClientCall) => number>(),
  maxWaitMs: milliseconds({ min: 0, infinite: true })
    .default(Number.POSITIVE_INFINITY)
    .refusingUndefined('leave it out to wait until the deadline'),
  maxQueue: integer({ min: 0 }).default(1000).refusingUndefined('leave it out for 1000'),
  key: func<(call: ClientCall) => string>()
    .default((call) => call.target ?? '')
    .refusingUndefined('leave it out for one rate per target'),
  clock: monotonicClock(),
} satisfies OptionTable<PacingOptions>

/**
 * Sends calls at a rate: one over it waits in line for its turn, if its turn comes before its deadline, and is refused
 * at once otherwise. Who is cancelled leaves the line, and those behind move up.
 */
export class Pacer {
  readonly #quota: Quota
  readonly #numbers: string
  readonly #burst: number
  readonly #cost: number | ((call: ClientCall) => number)
  readonly #maxWaitMs: number
  readonly #maxQueue: number
  readonly #key: (call: ClientCall) => string
  readonly #clock: MonotonicClock
  readonly #lanes = new Map<string, Lane>()

  constructor(where: string, options: PacingOptions) {
    const read = readOptions(where, options, table, { show: quoted })
    const { maxWaitMs, maxQueue, key, clock } = read
    const { rate, perMs, burst, quota } = resolveQuota(where, read)
    this.#quota = quota
    this.#numbers = `${rate} per ${perMs} ms, burst ${burst}`
    this.#burst = burst
    this.#cost = checkCost(where, read.cost, burst)
    this.#maxWaitMs = maxWaitMs
    this.#maxQueue = maxQueue
    this.#key = key
    this.#clock = clock
  }

  intercept(call: ClientCall, next: Next): Status | Promise<Status> {
    const cost: unknown = typeof this.#cost === 'number' ? this.#cost : this.#cost(call)
    if (typeof cost !== 'number' || !(cost >= 0))
      throw new TypeError(`throttle: the cost must be a number ≥ 0, got ${quoted(cost)}`)
    if (cost > this.#burst) return this.#refuse(Number.POSITIVE_INFINITY, 'the call costs more than the burst')
    const lane = this.#laneOf(this.#key(call))
    const units = unitsOf(this.#quota, cost)
    const debt = this.#settleDebt(lane)
    const wait = waitInLine(this.#quota, debt + lane.waitingUnits, units)
    if (wait === 0 && lane.line.length === 0) {
      lane.debt += units
      return next()
    }
    if (lane.line.length >= this.#maxQueue) return this.#refuse(wait, `${this.#maxQueue} calls are waiting`)
    if (wait > this.#maxWaitMs) return this.#refuse(wait, `the turn of this call comes after ${this.#maxWaitMs} ms`)
    if (wait >= call.deadline - Date.now()) return this.#refuse(wait, 'the turn of this call comes after its deadline')
    return this.#wait(call, next, lane, units)
  }

  waiting(key: string): number {
    return this.#lanes.get(key)?.line.length ?? 0
  }

  #wait(call: ClientCall, next: Next, lane: Lane, units: number): Promise<Status> {
    const { signal } = call
    return new Promise((resolve) => {
      const leave = (): void => {
        signal.removeEventListener('abort', onAbort)
        lane.line.leave(place)
        lane.waitingUnits -= units
      }
      const place: Place<Waiter> = lane.line.join({
        units,
        admit: inThisContext(() => {
          leave()
          resolve(next())
        }),
      })
      lane.waitingUnits += units
      const onAbort = (): void => {
        leave()
        this.#schedule(lane)
        // The call has its status already, from the cancellation or the deadline.
        resolve(endedWaiting(signal, 'its turn'))
      }
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
      if (lane.timer === undefined) this.#schedule(lane)
    })
  }

  /** Wakes up when the first in line fits. */
  #schedule(lane: Lane): void {
    this.#clock.clearTimeout(lane.timer)
    lane.timer = undefined
    const first = lane.line.first
    if (first === undefined) return
    const wait = waitMs(this.#quota, this.#settleDebt(lane), first.value.units)
    // It serves the whole line: set in a call's context it would keep that call for as long as any call waits.
    lane.timer = runShared(() => this.#clock.setTimeout(() => this.#advance(lane), wait))
  }

  #advance(lane: Lane): void {
    for (let first = lane.line.first; first !== undefined; first = lane.line.first) {
      const { units, admit } = first.value
      if (this.#settleDebt(lane) + units > this.#quota.capacity) break
      lane.debt += units
      admit()
    }
    this.#schedule(lane)
  }

  /** Brings the debt up to date. */
  #settleDebt(lane: Lane): number {
    const nowUs = Math.floor(this.#clock.now() * 1000)
    lane.debt = debtAt(this.#quota, lane.debt, lane.lastUs, nowUs)
    lane.lastUs = nowUs
    return lane.debt
  }

  #laneOf(key: string): Lane {
    let lane = this.#lanes.get(key)
    if (lane === undefined) {
      this.#forgetIdle()
      lane = { key, line: new WaitingLine(), debt: 0, lastUs: 0, waitingUnits: 0, timer: undefined }
      this.#lanes.set(key, lane)
    }
    return lane
  }

  /** Two old lanes looked at per new one keep their number near that of the lanes in use. */
  #forgetIdle(): void {
    let looked = 0
    for (const lane of this.#lanes.values()) {
      if (looked++ === 2) return
      this.#lanes.delete(lane.key)
      if (lane.line.length > 0 || this.#settleDebt(lane) > 0) this.#lanes.set(lane.key, lane)
    }
  }

  #refuse(wait: number, why: string): Status {
    const metadata = new Metadata()
    metadata.set('grpc-retry-pushback-ms', Number.isFinite(wait) ? String(wait) : '-1')
    return { code: Code.RESOURCE_EXHAUSTED, details: `Throttled: ${this.#numbers}; ${why}`, metadata }
  }
}

/** As `waitMs`, for a debt that may exceed the burst by what is still waiting. */
function waitInLine(quota: Quota, debt: number, units: number): number {
  const excess = debt + units - quota.capacity
  return excess <= 0 ? 0 : Math.ceil(excess / quota.leakPerUs / 1000)
}
