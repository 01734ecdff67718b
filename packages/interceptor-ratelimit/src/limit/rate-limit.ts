import type { Call, Interceptor, MethodInfo, Next, ServerCall, Status } from '@grpc-stack/grpc-core'
import { factory, Listeners, named } from '@grpc-stack/grpc-core/authoring'
import type { Decision } from '../stores/store.ts'
import { checkedCost, Decider } from './decider.ts'
import { type StoreCounters, StoreFailure } from './guarded-limiter.ts'
import type { Limit } from './limit-options.ts'
import { limitMessages, type MessageLimit } from './message-limit.ts'
import { type RateLimitOptions, type RateLimitSettings, resolveRateLimit } from './rate-limit-options.ts'
import { setRatelimitHeaders } from './ratelimit-headers.ts'
import { type Broken, brokenLimits, limitRefusal, longestWait, storeRefusal } from './refusal.ts'
import { StoreHealth, type StoreState } from './store-health.ts'

/** A call, or a message of a stream, that was refused; in shadow mode: would have been. */
export interface RefusedEvent {
  readonly method: MethodInfo
  /** `cost`: more than the burst. `store`: the store does not answer and `onStoreError` is `refuse`. */
  readonly reason: 'limit' | 'cost' | 'store'
  /** Names of the limits that refused. */
  readonly limits: readonly string[]
  /** Their keys. `byMetadata` digests what may be a secret; a key function of your own has to do so itself. */
  readonly keys: readonly string[]
  /** Milliseconds until a retry can help; `Infinity` if none will. */
  readonly waitMs: number
  /** Why the store did not decide, where `reason` is `store`. */
  readonly error?: unknown
  /** It was a message of a stream. */
  readonly message: boolean
  readonly shadow: boolean
}

export interface RateLimitEvents {
  readonly refused: RefusedEvent
  /** The store, or a part of it, is down. Emitted once until it answers again, and whenever the error becomes another. */
  readonly storeDown: {
    readonly error: unknown
    /** The part: the address of a master in a Redis Cluster. Empty for a store that is one whole. */
    readonly partition: string
  }
  /** It answers again, or no key leads to that part any more. */
  readonly storeUp: { readonly partition: string; readonly error?: undefined }
}

/** Totals since construction. */
export interface RateLimitCounters extends StoreCounters {
  /** Calls let through within their limits. */
  admitted: number
  /** Calls refused for a limit, or for their cost. */
  refused: number
  /** Calls refused because the store did not answer. */
  refusedByStore: number
  /** Calls that shadow mode let through in spite of their limits. */
  shadowed: number
  /** Streams ended for a message over the limit; in shadow mode: messages. */
  messagesRefused: number
  /** Decisions of the insurance in place of the store. */
  insured: number
  /** Calls admitted by a lease, without asking the store. */
  leased: number
}

/** What `rateLimit()` returns: the interceptor, with its events and counters. */
export interface RateLimitInterceptor extends Interceptor<ServerCall> {
  /** Listens; the returned function stops it. Listeners run within the call: start slow work without waiting for it. */
  on<Name extends keyof RateLimitEvents>(name: Name, listener: (event: RateLimitEvents[Name]) => void): () => void
  /** Totals since construction, for metrics. */
  counters(): Readonly<RateLimitCounters>
  /** How the store is, for health checks. */
  state(): StoreState
}

/**
 * Admits calls at a rate per key and refuses the others with RESOURCE_EXHAUSTED, on metadata alone: the request is not
 * read, whatever the pattern. The algorithm is GCRA: exact, with a burst, and without windows whose edges let double
 * the rate through. Refused calls are not charged. With the default store a decision is synchronous.
 *
 *     rateLimit({ rate: 100 })                                              // 100 per second and peer
 *     rateLimit({ rate: 1000, perMs: 60_000, burst: 50, key: byPrincipal(principalVar) })
 *
 * For servers: a client limits what it sends by `throttle`. An RPC to an unregistered method costs 1 and is charged to its
 * peer, apart from what that peer is charged for registered methods.
 *
 * Fails closed: a key or cost function that throws or returns nonsense ends the RPC INTERNAL, a store that does not
 * answer ends it UNAVAILABLE, unless `onStoreError` is `insurance`.
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export function rateLimit(options: RateLimitOptions): RateLimitInterceptor {
  const policy = new RateLimit(resolveRateLimit(options))
  return Object.assign(
    named('rateLimit', (call: Call, next: Next) => policy.intercept(call, next), {
      side: 'server',
      instead: 'throttle()',
    }),
    {
      on: policy.listeners.on.bind(policy.listeners) as RateLimitInterceptor['on'],
      counters: () => ({ ...policy.counters }),
      state: () => policy.health.state(),
    },
  )
}
factory('rateLimit', rateLimit)

class RateLimit {
  readonly listeners: Listeners<RateLimitEvents> = new Listeners('rateLimit', ['refused', 'storeDown', 'storeUp'])
  readonly counters: RateLimitCounters = {
    admitted: 0,
    refused: 0,
    refusedByStore: 0,
    shadowed: 0,
    messagesRefused: 0,
    insured: 0,
    leased: 0,
    storeAnswers: 0,
    storeAnswersMs: 0,
    storeLate: 0,
    storeErrors: 0,
    remembered: 0,
    storeLeftAlone: 0,
  }
  readonly health: StoreHealth
  readonly #settings: RateLimitSettings
  readonly #calls: Decider
  readonly #messages: Decider | undefined

  constructor(settings: RateLimitSettings) {
    this.#settings = settings
    this.health = new StoreHealth({
      clock: settings.clock,
      retryMs: settings.storeRetryMs,
      onDown: (partition, error) => this.listeners.emit('storeDown', { error, partition }),
      onUp: (partition) => this.listeners.emit('storeUp', { partition }),
    })
    this.#calls = new Decider(settings.limits, settings, this, settings.lease)
    this.#messages = settings.perMessage && new Decider([settings.perMessage.limit], settings, this)
  }

  intercept(call: Call, next: Next): Status | Promise<Status> {
    const keys = this.#calls.keysOf(call)
    const costs = this.#calls.costsOf(call)
    const outcome = this.#decide(this.#calls, this.#settings.limits, keys, costs)
    if (outcome instanceof Promise) return outcome.then((late) => this.#proceed(call, next, keys, late))
    return this.#proceed(call, next, keys, outcome)
  }

  #proceed(
    call: Call,
    next: Next,
    keys: readonly (string | undefined)[],
    outcome: Decision | StoreFailure,
  ): Status | Promise<Status> {
    const { limits, shadow, headers, perMessage } = this.#settings
    if (outcome instanceof StoreFailure || !outcome.admitted) {
      const status = this.#refuse(call, limits, keys, outcome, false)
      if (!shadow) return status
      this.counters.shadowed++
    } else {
      this.counters.admitted++
      if (headers && call.side === 'server') setRatelimitHeaders((call as ServerCall).responseMetadata, limits, outcome)
    }
    if (perMessage === undefined || !call.method.requestStream || !call.method.registered) return next()
    return this.#limitMessages(call, next, perMessage, keys[0])
  }

  /** A cost over the burst never fits: no store is asked about it. */
  #decide(
    decider: Decider,
    limits: readonly Limit[],
    keys: readonly (string | undefined)[],
    costs: readonly number[],
  ): Decision | StoreFailure | Promise<Decision | StoreFailure> {
    let concerned = false
    let possible = true
    for (let i = 0; i < limits.length; i++) {
      if (keys[i] === undefined) continue
      concerned = true
      if ((costs[i] as number) > (limits[i] as Limit).burst) possible = false
    }
    if (concerned && possible) return decider.decide(keys, costs)
    if (!concerned) return { admitted: true, limits: [] }
    const never = { waitMs: Number.POSITIVE_INFINITY, remaining: 0, resetMs: 0 }
    const states = limits.map(({ burst }, i) =>
      keys[i] !== undefined && (costs[i] as number) > burst ? never : undefined,
    )
    return { admitted: false, limits: states }
  }

  #limitMessages(call: Call, next: Next, { limit, cost }: MessageLimit, key: string | undefined): Promise<Status> {
    const decider = this.#messages
    if (key === undefined || decider === undefined) return next()
    const { shadow } = this.#settings
    const judge = (outcome: Decision | StoreFailure): Status | undefined => {
      if (!(outcome instanceof StoreFailure) && outcome.admitted) return undefined
      const status = this.#refuse(call, [limit], [key], outcome, true)
      return shadow ? undefined : status
    }
    return limitMessages(call, next, (message) => {
      const charge = typeof cost === 'number' ? cost : checkedCost(limit.name, cost(message, call))
      const outcome = this.#decide(decider, [limit], [key], [charge])
      return outcome instanceof Promise ? outcome.then(judge) : judge(outcome)
    })
  }

  #refuse(
    call: Call,
    limits: readonly Limit[],
    keys: readonly (string | undefined)[],
    outcome: Decision | StoreFailure,
    message: boolean,
  ): Status {
    const { shadow, code, domain, headers } = this.#settings
    let status: Status
    let broken: readonly Broken[] = []
    let waitMs: number
    let reason: RefusedEvent['reason']
    if (outcome instanceof StoreFailure) {
      status = storeRefusal(domain, outcome.retryMs, outcome.cause)
      waitMs = outcome.retryMs
      reason = 'store'
    } else {
      broken = brokenLimits(limits, keys, outcome)
      status = limitRefusal({ code, domain }, broken, !message)
      waitMs = longestWait(broken)
      reason = Number.isFinite(waitMs) ? 'limit' : 'cost'
      if (headers && !message && status.metadata) setRatelimitHeaders(status.metadata, limits, outcome)
    }
    if (message) this.counters.messagesRefused++
    else if (!shadow) this.counters[reason === 'store' ? 'refusedByStore' : 'refused']++
    if (this.listeners.has('refused')) {
      this.listeners.emit('refused', {
        method: call.method,
        reason,
        limits: broken.map(({ limit }) => limit.name),
        keys: broken.map(({ key }) => key),
        waitMs,
        ...(outcome instanceof StoreFailure && { error: outcome.cause }),
        message,
        shadow,
      })
    }
    return status
  }
}
