import type { Metadata } from '@grpc/grpc-js'
import { type NamedSettings, named } from '../compose/named.ts'
import type { Call, CallAttempt, ClientCall, Interceptor, Next, StatusTap } from '../contract/call.ts'
import type { CallRecord } from '../contract/call-record.ts'
import type { Status } from '../contract/status.ts'
import { isThenable } from '../runtime/thenable.ts'
import { type MonotonicTime, monotonicTime, systemMonotonicClock } from './clock.ts'
import { type Containment, contain } from './contain.ts'
import { noteEnd, openRecord, recordOf } from './observe-record.ts'
import { kindOf } from './option-error.ts'
import { anything, objectWith } from './option-kinds.ts'
import { type OptionTable, readOptions } from './option-table.ts'

/**
 * How one call is observed. Each hook is optional, and what is not there costs nothing: without `request` no request is looked at.
 * All must be synchronous, and run in the asynchronous context in which the observer's layer called `next()`. An observation may be
 * made for the call, or be the same for all calls of a method: the hooks are given the record.
 */
export interface Observation {
  /**
   * Each request message as it passes this layer.
   * @param n its number at this layer, from 1
   */
  request?(message: unknown, n: number, record: CallRecord): void
  /** Each response message as it passes this layer. */
  response?(message: unknown, n: number, record: CallRecord): void
  /** The response metadata as they pass this layer. */
  headers?(metadata: Metadata, record: CallRecord): void
  /** On a client, an attempt about to go out; what this returns hears how it ends. */
  attempt?(attempt: CallAttempt, record: CallRecord): StatusTap | undefined | void
  /**
   * Runs what is inside this layer, for observers that enter a context: it must call `proceed`, once and before it returns. Where it
   * does not, or throws, the call goes on without it.
   */
  around?(proceed: () => void, record: CallRecord): void
  /**
   * What `next()` resolves to at this layer, once, however the RPC ends. On a server it comes before the status is sent.
   * @param durationMs since this observer began, by its own clock; never negative
   */
  end?(status: Status, durationMs: number, record: CallRecord): void
}

/** Where an observer failed: the hook, or the clock it was given. */
export type ObserverPlace = 'start' | keyof Observation | 'clock'

export interface Observer {
  /**
   * A call has come to this layer, and nothing of it has gone further. What it returns observes the rest; undefined leaves the call
   * alone. The record is shared with the other observers on the call, so ask it for counts and sizes instead of counting.
   */
  start(call: Call, record: CallRecord): Observation | undefined | void
}

export interface ObserveOptions extends NamedSettings {
  /** For durations. Default: the system's monotonic clock. */
  readonly clock?: MonotonicTime
  /** Counts and tells what the observer throws. Default: `contain(name)`. */
  readonly contained?: Pick<Containment<ObserverPlace>, 'failed'>
}

/**
 * Makes an interceptor that watches RPCs and changes nothing. It costs a call one closure and its share of one record: it returns the
 * promise of `next()` itself, and looks at messages, headers and attempts only where the observation has a hook for them.
 *
 *     const slow = observe('slowCalls', {
 *       start: () => ({
 *         end(status, durationMs, { method }) {
 *           if (durationMs > 1000) report(method.path, status.code, durationMs)
 *         },
 *       }),
 *     })
 *
 * The record of the call is made by the first observer and shared by all of them, `logging()`, `metrics()` and `tracing()` included, in
 * one list or in several, from one copy of this package or from several. What it says, and whom it is shared with where calls are
 * repeated: `CallRecord`.
 *
 * What an observer throws, or rejects with, harms no RPC: it is counted, and the first failure of each hook is a process warning.
 * An observation whose `start` fails is none.
 *
 * @throws TypeError for a wrong name, observer or option; for a function in the observer that is not `start`, unless it has a class.
 */
export function observe(name: string, observer: Observer, options: ObserveOptions = {}): Interceptor {
  if (typeof observer?.start !== 'function') {
    throw new TypeError(`observe: the second argument must be an object with start(), got ${kindOf(observer)}`)
  }
  const stray = strayFunction(observer, ['start'])
  if (stray !== undefined) {
    throw new TypeError(
      `observe: unknown function "${stray}" in the observer; known is start, which returns the other hooks`,
    )
  }
  const { clock, contained = contain<ObserverPlace>(name), side, instead } = readOptions('observe', options, table)
  const settings = { ...(side !== undefined && { side }), ...(instead !== undefined && { instead }) }
  const watched = new Watch(observer, clock, contained)
  // Whether these are right, `named` checks.
  return named(name, (call: Call, next: Next) => watched.run(call, next), settings as NamedSettings)
}

const table = {
  clock: monotonicTime(),
  contained: objectWith<Containment<ObserverPlace>>('failed').optional(),
  side: anything().optional(),
  instead: anything().optional(),
} satisfies OptionTable<ObserveOptions>

const HOOKS = ['request', 'response', 'headers', 'attempt', 'around', 'end']

/**
 * A function that nothing will call, in an object that was written for its functions alone. One with a class may have others for itself.
 */
function strayFunction(hooks: object, known: readonly string[]): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(hooks)
  if (prototype !== Object.prototype && prototype !== null) return undefined
  for (const name in hooks) {
    if (!known.includes(name) && typeof (hooks as Record<string, unknown>)[name] === 'function') return name
  }
  return undefined
}

/** What the calls of one observer have in common. */
class Watch {
  readonly #observer: Observer
  readonly #clock: MonotonicTime
  readonly #contained: Pick<Containment<ObserverPlace>, 'failed'>

  constructor(observer: Observer, clock: MonotonicTime, contained: Pick<Containment<ObserverPlace>, 'failed'>) {
    this.#observer = observer
    this.#clock = clock
    this.#contained = contained
  }

  run(call: Call, next: Next): Promise<Status> {
    const known = recordOf(call)
    const record = known ?? openRecord(call)
    // The first observer has read this clock just now.
    const first = known === undefined && this.#clock === systemMonotonicClock
    const startedAt = first ? record.startedAt : this.#now(call)
    const observation = this.#start(call, record)
    if (observation === undefined) return next()
    if (observation.request !== undefined) this.#watchRequests(call, observation, record)
    if (observation.response !== undefined) this.#watchResponses(call, observation, record)
    if (observation.headers !== undefined) this.#watchHeaders(call, observation, record)
    if (call.side === 'client') this.#watchAttempts(call as ClientCall, observation, record)
    if (observation.end !== undefined) this.#watchEnd(observation, record, startedAt)
    return observation.around === undefined ? next() : this.#around(next, observation, record)
  }

  #start(call: Call, record: CallRecord): Observation | undefined {
    let observation: unknown
    let stray: string | undefined
    try {
      observation = this.#observer.start(call, record)
      if (typeof observation === 'object' && observation !== null) stray = strayFunction(observation, HOOKS)
    } catch (error) {
      this.#contained.failed(error, 'start', call)
      return undefined
    }
    if (observation === undefined || observation === null) return undefined
    if (stray !== undefined && !isThenable(observation)) {
      const known = HOOKS.join(', ')
      const error = new TypeError(`unknown function "${stray}" in the observation; known are ${known}`)
      this.#contained.failed(error, 'start', call)
    }
    if (typeof observation === 'object' && !isThenable(observation)) return observation
    this.#ignored(observation, 'start', call)
    const got = isThenable(observation) ? 'a promise; it must be synchronous' : kindOf(observation)
    this.#contained.failed(new TypeError(`start must return an observation or nothing, got ${got}`), 'start', call)
    return undefined
  }

  #watchRequests(call: Call, observation: Observation, record: CallRecord): void {
    let n = 0
    call.onRequest((message) => {
      try {
        this.#ignored(observation.request?.(message, ++n, record), 'request', call)
      } catch (error) {
        this.#contained.failed(error, 'request', call)
      }
    })
  }

  #watchResponses(call: Call, observation: Observation, record: CallRecord): void {
    let n = 0
    call.onResponse((message) => {
      try {
        this.#ignored(observation.response?.(message, ++n, record), 'response', call)
      } catch (error) {
        this.#contained.failed(error, 'response', call)
      }
    })
  }

  #watchHeaders(call: Call, observation: Observation, record: CallRecord): void {
    call.onResponseMetadata((metadata) => {
      try {
        this.#ignored(observation.headers?.(metadata, record), 'headers', call)
      } catch (error) {
        this.#contained.failed(error, 'headers', call)
      }
    })
  }

  /** One tap for both: of the observation, and of the record. */
  #watchAttempts(call: ClientCall, observation: Observation, record: CallRecord): void {
    const remembers = record.claimAttempts()
    if (observation.attempt !== undefined) this.#tapAttempts(call, observation, record, remembers)
    else if (remembers) rememberAttempts(call, record)
  }

  #tapAttempts(call: ClientCall, observation: Observation, record: CallRecord, remembers: boolean): void {
    call.onAttempt((attempt) => {
      if (remembers) record.rememberAttempt(attempt)
      let ended: unknown
      try {
        ended = observation.attempt?.(attempt, record)
      } catch (error) {
        this.#contained.failed(error, 'attempt', call)
      }
      return typeof ended === 'function' ? this.#endOf(ended as StatusTap, call) : this.#ignored(ended, 'attempt', call)
    })
  }

  #endOf(ended: StatusTap, call: Call): StatusTap {
    return (status) => {
      try {
        this.#ignored(ended(status), 'attempt', call)
      } catch (error) {
        this.#contained.failed(error, 'attempt', call)
      }
    }
  }

  #watchEnd(observation: Observation, record: CallRecord, startedAt: number): void {
    record.call.onStatus((status) => {
      const passed = this.#now(record.call) - startedAt
      noteEnd(record, status)
      try {
        // A clock that failed, or runs backwards, must make no negative or endless calls.
        const durationMs = passed > 0 && passed < Number.POSITIVE_INFINITY ? passed : 0
        this.#ignored(observation.end?.(status, durationMs, record), 'end', record.call)
      } catch (error) {
        this.#contained.failed(error, 'end', record.call)
      }
    })
  }

  #around(next: Next, observation: Observation, record: CallRecord): Promise<Status> {
    let outcome: Promise<Status> | undefined
    try {
      const proceed = (): void => {
        outcome ??= next()
      }
      this.#ignored(observation.around?.(proceed, record), 'around', record.call)
    } catch (error) {
      this.#contained.failed(error, 'around', record.call)
    }
    outcome ??= next()
    return outcome
  }

  /** A hook may turn out to be asynchronous: a rejection of its promise would end the process. */
  #ignored(returned: unknown, where: ObserverPlace, call: Call): undefined {
    if (returned === undefined || !isThenable(returned)) return
    returned.then(undefined, (error: unknown) => this.#contained.failed(error, where, call))
  }

  #now(call: Call): number {
    try {
      return this.#clock.now()
    } catch (error) {
      this.#contained.failed(error, 'clock', call)
      return Number.NaN
    }
  }
}

function rememberAttempts(call: ClientCall, record: CallRecord): void {
  call.onAttempt((attempt) => {
    record.rememberAttempt(attempt)
  })
}
