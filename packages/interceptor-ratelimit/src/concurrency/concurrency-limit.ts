import { status as Code } from '@grpc/grpc-js'
import type { Call, Interceptor, MethodInfo, Next, Status } from '@grpc-stack/grpc-core'
import {
  accepts,
  factory,
  flag,
  func,
  inThisContext,
  integer,
  Listeners,
  type MonotonicClock,
  milliseconds,
  monotonicClock,
  named,
  type OptionTable,
  oneOf,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import { endedWaiting } from '../admission/ended-waiting.ts'
import { refusalCode } from '../admission/refusal-code.ts'
import { WaitingLine } from '../admission/waiting-line.ts'
import type { KeyFunction } from '../keys/keys.ts'
import { resolveKey } from '../keys/resolve-key.ts'
import { type AdaptiveLimit, gradientLimit } from './concurrency-policy.ts'
import { observeLoad } from './observe-load.ts'

export interface ConcurrencyLimitOptions {
  /**
   * Calls at the same time: a number, or a limit that finds its own: `aimdLimit()`, `gradientLimit()`, or
   * `'adaptive'`, which is `gradientLimit()` with its defaults.
   */
  readonly limit: number | 'adaptive' | AdaptiveLimit
  /**
   * Counts per key instead of all calls together: `key: byPeer()` bounds the streams one caller holds open. With a
   * fixed limit only. Default: all calls together.
   */
  readonly key?: KeyFunction
  /** How many calls may wait for a place, first come, first served (per key, if there is one). Default: 0: refuse at once. */
  readonly queue?: number
  /** How long one waits at most, in milliseconds; never past its deadline. Default: 1000. */
  readonly queueTimeoutMs?: number
  /**
   * Code of refusals. Default: RESOURCE_EXHAUSTED, which clients do not retry against a server that is overloaded.
   * UNAVAILABLE invites them to try again, elsewhere if there is an elsewhere.
   */
  readonly code?: Code
  /** Count and emit `refused`, but refuse no call. Default: false. */
  readonly shadow?: boolean
  /** Default: monotonic time. */
  readonly clock?: MonotonicClock
}

export interface ConcurrencyState {
  /** The limit in force (per key, if there is one). */
  readonly limit: number
  readonly inFlight: number
  readonly waiting: number
  /** Since construction. */
  readonly admitted: number
  readonly refused: number
}

export interface ConcurrencyEvents {
  readonly refused: {
    readonly method: MethodInfo
    readonly key: string
    readonly limit: number
    /** `full`: no place, and none in the line. `timeout`: waited in vain. */
    readonly reason: 'full' | 'timeout'
    readonly shadow: boolean
  }
}

/** What `concurrencyLimit()` returns: the interceptor, with its state and events. */
export interface ConcurrencyLimitInterceptor extends Interceptor {
  state(): ConcurrencyState
  /** Listens; the returned function stops it. */
  on<Name extends keyof ConcurrencyEvents>(name: Name, listener: (event: ConcurrencyEvents[Name]) => void): () => void
}

/**
 * Bounds how many calls run at the same time and refuses the others before anything of them is read, or lets them wait
 * in line. A call gives its place back exactly once, when it is over, however it ends. A stream holds its place for
 * as long as it is open. For servers and clients.
 *
 *     concurrencyLimit({ limit: 100 })
 *     concurrencyLimit({ limit: 'adaptive', queue: 50, queueTimeoutMs: 200 })
 *     concurrencyLimit({ limit: 10, key: byPeer() })
 *
 * An adaptive limit learns from how long the server takes for unary calls, and on a client from calls that the server ends
 * UNAVAILABLE. How callers end their calls moves nothing: see `aimdLimit` and `gradientLimit`.
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export function concurrencyLimit(options: ConcurrencyLimitOptions): ConcurrencyLimitInterceptor {
  const policy = new ConcurrencyLimit(options)
  return Object.assign(
    named('concurrencyLimit', (call: Call, next: Next) => policy.intercept(call, next)),
    {
      state: () => policy.state(),
      on: policy.listeners.on.bind(policy.listeners) as ConcurrencyLimitInterceptor['on'],
    },
  )
}
factory('concurrencyLimit', concurrencyLimit)

interface Waiter {
  admit(): void
}

/** Calls that count together. */
interface Pool {
  readonly key: string
  readonly line: WaitingLine<Waiter>
  inFlight: number
}

const table = {
  limit: integer({ min: 1 }).or(oneOf('adaptive')).or(accepts('an adaptive limit', isAdaptive)),
  key: func<KeyFunction>().optional().refusingUndefined('leave it out to count all calls together'),
  queue: integer({ min: 0 }).default(0),
  queueTimeoutMs: milliseconds({ above: 0 }).default(1000),
  code: refusalCode.default(Code.RESOURCE_EXHAUSTED),
  shadow: flag().default(false),
  clock: monotonicClock(),
} satisfies OptionTable<ConcurrencyLimitOptions>

class ConcurrencyLimit {
  readonly listeners: Listeners<ConcurrencyEvents> = new Listeners('concurrencyLimit', ['refused'])
  readonly #limit: AdaptiveLimit | { readonly limit: number }
  readonly #adaptive: AdaptiveLimit | undefined
  readonly #key: KeyFunction | undefined
  readonly #queue: number
  readonly #queueTimeoutMs: number
  readonly #code: Code
  readonly #shadow: boolean
  readonly #clock: MonotonicClock
  readonly #allCalls: Pool = newPool('')
  /** Only keys with calls under way, so as many as there are calls at most. */
  readonly #pools = new Map<string, Pool>()
  #admitted = 0
  #refused = 0

  constructor(options: ConcurrencyLimitOptions) {
    const where = 'concurrencyLimit'
    const { limit, key, queue, queueTimeoutMs, code, shadow, clock } = readOptions(where, options, table, {
      show: quoted,
    })
    this.#adaptive = limit === 'adaptive' ? gradientLimit() : typeof limit === 'number' ? undefined : limit
    this.#limit = this.#adaptive ?? { limit: limit as number }
    if (key !== undefined && this.#adaptive !== undefined) {
      throw new TypeError(
        `${where}: option "key" needs a fixed limit; an adaptive one has nothing to learn from per key`,
      )
    }
    this.#key = key
    this.#queue = queue
    this.#queueTimeoutMs = queueTimeoutMs
    this.#code = code
    this.#shadow = shadow
    this.#clock = clock
  }

  state(): ConcurrencyState {
    let { inFlight } = this.#allCalls
    let waiting = this.#allCalls.line.length
    for (const pool of this.#pools.values()) {
      inFlight += pool.inFlight
      waiting += pool.line.length
    }
    return { limit: this.#limit.limit, inFlight, waiting, admitted: this.#admitted, refused: this.#refused }
  }

  intercept(call: Call, next: Next): Status | Promise<Status> {
    const key = this.#key === undefined ? '' : resolveKey('concurrencyLimit', this.#key, call)
    if (key === undefined) return next()
    const pool = this.#poolOf(key)
    if (pool.inFlight < this.#limit.limit && pool.line.length === 0) return this.#run(call, next, pool)
    if (pool.line.length < this.#queue) return this.#wait(call, next, pool)
    const status = this.#refuse(call, pool, 'full')
    return this.#shadow ? this.#run(call, next, pool) : status
  }

  #poolOf(key: string): Pool {
    if (this.#key === undefined) return this.#allCalls
    let pool = this.#pools.get(key)
    if (pool === undefined) {
      pool = newPool(key)
      this.#pools.set(key, pool)
    }
    return pool
  }

  #run(call: Call, next: Next, pool: Pool): Promise<Status> {
    this.#admitted++
    const inFlight = ++pool.inFlight
    const learn = this.#adaptive && observeLoad(this.#adaptive, this.#clock, call, inFlight)
    return next().then(
      (status) => {
        try {
          learn?.(status)
        } finally {
          this.#release(pool)
        }
        return status
      },
      // By contract next() does not reject; a place lost to one that does would never come back.
      (error: unknown) => {
        this.#release(pool)
        throw error
      },
    )
  }

  #release(pool: Pool): void {
    pool.inFlight--
    for (let first = pool.line.first; first !== undefined; first = pool.line.first) {
      if (pool.inFlight >= this.#limit.limit) return
      first.value.admit()
    }
    if (pool.inFlight === 0) this.#pools.delete(pool.key)
  }

  #wait(call: Call, next: Next, pool: Pool): Promise<Status> {
    const { signal } = call
    return new Promise((resolve) => {
      const leave = (): void => {
        pool.line.leave(place)
        this.#clock.clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      // Admitted in the event of the call that made room, or of whatever drives the clock.
      const proceed = inThisContext((admitted: boolean): void => {
        leave()
        const status = admitted ? undefined : this.#refuse(call, pool, 'timeout')
        resolve(status === undefined || this.#shadow ? this.#run(call, next, pool) : status)
      })
      const place = pool.line.join({ admit: () => proceed(true) })
      const timer = this.#clock.setTimeout(() => proceed(false), this.#queueTimeoutMs)
      const onAbort = (): void => {
        leave()
        // The call has its status already, from the cancellation or the deadline.
        resolve(endedWaiting(signal, 'a place'))
      }
      if (signal.aborted) onAbort()
      else signal.addEventListener('abort', onAbort, { once: true })
    })
  }

  #refuse(call: Call, pool: Pool, reason: 'full' | 'timeout'): Status {
    this.#refused++
    const { limit } = this.#limit
    if (this.listeners.has('refused')) {
      this.listeners.emit('refused', { method: call.method, key: pool.key, limit, reason, shadow: this.#shadow })
    }
    return { code: this.#code, details: `Concurrency limit reached: ${limit} calls at the same time` }
  }
}

function isAdaptive(value: unknown): value is AdaptiveLimit {
  if (typeof value !== 'object' || value === null) return false
  const { limit, onSample } = value as Partial<AdaptiveLimit>
  return typeof limit === 'number' && typeof onSample === 'function'
}

function newPool(key: string): Pool {
  return { key, line: new WaitingLine(), inFlight: 0 }
}
