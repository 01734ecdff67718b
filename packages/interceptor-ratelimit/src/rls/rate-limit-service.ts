import type { Metadata } from '@grpc/grpc-js'
import {
  type Call,
  type Channel,
  createClient,
  type Interceptor,
  type MethodInfo,
  type Next,
  RpcError,
  type ServerCall,
  type ServiceClient,
  type Status,
} from '@grpc-stack/grpc-core'
import {
  factory,
  flag,
  func,
  integer,
  isThenable,
  Listeners,
  LruMap,
  type MonotonicTime,
  milliseconds,
  monotonicTime,
  named,
  type OptionsOf,
  type OptionTable,
  objectWith,
  oneOf,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { serviceDefinition } from '@grpc-stack/grpc-core/protobuf-es'
import { OVER_LIMIT, overLimit, serviceFailed } from './refusals.ts'
import { type HeaderValue, type RateLimitResponse, RateLimitService } from './rls_pb.ts'

/**
 * What a call counts against: entries in their order, as the configuration of the service names them. A descriptor with a value
 * that is undefined is left out, as in Envoy where an action finds nothing.
 */
export type Descriptor = Readonly<Record<string, string | undefined>>

export interface RateLimitServiceOptions {
  /** To the service. Interceptors on it run for each question: `circuitBreaker()`, metrics. The application closes it. */
  readonly channel: Channel
  /** The domain of the service's configuration. */
  readonly domain: string
  /** What a call counts against. No descriptor: the call is let through, and nothing is asked. */
  readonly descriptors: (call: ServerCall) => readonly Descriptor[]
  /** What a call counts for, an integer ≥ 0, or how to tell. Default: 1. */
  readonly hits?: number | ((call: ServerCall) => number)
  /** How long an answer may take, ms. Never longer than the call's own deadline. Default: 200, enough for the first
   * question, which connects. Envoy's is 20. */
  readonly timeoutMs?: number
  /**
   * What becomes of calls while the service does not answer. `refuse`, the default: they end UNAVAILABLE, since a limit that
   * cannot be checked is not kept. `admit`: they go on, Envoy's default (`failure_mode_deny: false`).
   */
  readonly onServiceError?: 'refuse' | 'admit'
  /**
   * Refuse what the service has refused, without asking, until the time it named (`duration_until_reset`). Default: true: a
   * caller far over its limit then costs no question per call.
   */
  readonly rememberRefusals?: boolean
  /** Refusals remembered at most, the longest unused goes first. Default: 10 000. */
  readonly maxRemembered?: number
  /** Pass on the headers that the service adds to the response. Default: true. */
  readonly headers?: boolean
  /** `ErrorInfo.domain`: who refused. Default: `grpc-stack`. */
  readonly errorDomain?: string
  /** Default: monotonic time. */
  readonly clock?: MonotonicTime
}

export interface RateLimitServiceEvents {
  readonly refused: {
    readonly method: MethodInfo
    /** Those that are over their limits. */
    readonly descriptors: readonly Descriptor[]
    /** Milliseconds until the last of them is within again; 0 where the service did not say. */
    readonly waitMs: number
    /** Without asking the service. */
    readonly remembered: boolean
  }
  /** The service did not answer, or with an error. */
  readonly failed: { readonly method: MethodInfo; readonly error: unknown }
}

/** Totals since construction. */
export interface RateLimitServiceCounters {
  admitted: number
  refused: number
  /** Of these, those refused without asking. */
  remembered: number
  /** Questions without an answer. */
  failed: number
}

export interface RateLimitServiceInterceptor extends Interceptor<ServerCall> {
  /** Listens; the returned function stops it. */
  on<E extends keyof RateLimitServiceEvents>(event: E, listener: (event: RateLimitServiceEvents[E]) => void): () => void
  /** Totals since construction, for metrics. */
  counters(): Readonly<RateLimitServiceCounters>
}

const WHERE = 'rateLimitService'

const table = {
  channel: objectWith<Channel>('createCall', 'getTarget').expecting(
    'a channel, such as createChannel(target, credentials)',
  ),
  domain: text(),
  descriptors: func<(call: ServerCall) => readonly Descriptor[]>(),
  hits: integer({ min: 0 }).or(func<(call: ServerCall) => number>()).default(1).refusingUndefined('leave it out for 1'),
  timeoutMs: milliseconds({ above: 0 }).default(200),
  onServiceError: oneOf('refuse', 'admit').default('refuse'),
  rememberRefusals: flag().default(true),
  maxRemembered: integer({ min: 1 }).default(10_000),
  headers: flag().default(true),
  errorDomain: text().default('grpc-stack'),
  clock: monotonicTime(),
} satisfies OptionTable<RateLimitServiceOptions>

/**
 * Limits calls by Envoy's rate limit service (`envoy.service.ratelimit.v3.RateLimitService`), the reference implementation or
 * any other: the limits are configured there, for proxies and for these servers alike. Refuses with RESOURCE_EXHAUSTED and
 * tells callers when to come again.
 *
 *     rateLimitService({
 *       channel: createChannel('ratelimit:8081', credentials.createInsecure()),
 *       domain: 'shop',
 *       descriptors: (call) => [{ path: call.method.path, user: principalVar.get()?.subject }],
 *     })
 *
 * For servers. One question per call, for all four patterns, before the request is read. Fails closed: where the service does not
 * answer the call ends UNAVAILABLE, unless `onServiceError` is `admit`; where `descriptors` or `hits` throws or returns what it
 * must not, INTERNAL.
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export function rateLimitService(options: RateLimitServiceOptions): RateLimitServiceInterceptor {
  const policy = new ServicePolicy(readOptions(WHERE, options, table, { show: quoted }))
  const intercept = (call: Call, next: Next) => policy.intercept(call as ServerCall, next)
  return Object.assign(named(WHERE, intercept, { side: 'server', instead: 'throttle()' }), {
    on: policy.listeners.on.bind(policy.listeners) as RateLimitServiceInterceptor['on'],
    counters: () => ({ ...policy.counters }),
  })
}
factory('rateLimitService', rateLimitService)

/** A descriptor as it is asked about. */
interface Question {
  readonly descriptor: Descriptor
  readonly entries: { readonly key: string; readonly value: string }[]
  /** The same for descriptors that are the same. */
  readonly identity: string
}

const service = serviceDefinition(RateLimitService)

class ServicePolicy {
  readonly listeners: Listeners<RateLimitServiceEvents> = new Listeners(WHERE, ['refused', 'failed'])
  readonly counters: RateLimitServiceCounters = { admitted: 0, refused: 0, remembered: 0, failed: 0 }
  readonly #options: OptionsOf<typeof table>
  readonly #service: ServiceClient<typeof service>
  /** Until when what is refused, by the clock. */
  readonly #refusedUntil: LruMap<string, number>

  constructor(options: OptionsOf<typeof table>) {
    this.#options = options
    this.#service = createClient(service, options.channel)
    this.#refusedUntil = new LruMap(options.maxRemembered)
  }

  intercept(call: ServerCall, next: Next): Status | Promise<Status> {
    const { descriptors, hits } = this.#options
    const questions = questionsOf(descriptors(call))
    if (questions.length === 0) return next()
    const hitsAddend = typeof hits === 'number' ? hits : checkHits(hits(call))
    const known = hitsAddend === 0 ? undefined : this.#remembered(questions)
    if (known !== undefined) {
      this.counters.remembered++
      return this.#refuse(call, known.questions, [], known.waitMs, true)
    }
    return this.#ask(call, next, questions, hitsAddend)
  }

  async #ask(call: ServerCall, next: Next, questions: readonly Question[], hitsAddend: number): Promise<Status> {
    const { domain, timeoutMs } = this.#options
    let answer: RateLimitResponse
    try {
      const request = { domain, hitsAddend, descriptors: questions.map(({ entries }) => ({ entries })) }
      answer = await this.#service.shouldRateLimit(request, { timeoutMs, deadline: call.deadline, signal: call.signal })
      if (answer.overallCode !== OVER_LIMIT && answer.overallCode !== 1) {
        throw new RpcError(2, `the rate limit service answered with code ${answer.overallCode}`)
      }
    } catch (error) {
      // A call that has ended tells by itself how.
      if (call.signal.aborted) return next()
      return this.#failed(call, next, error)
    }
    if (answer.overallCode === OVER_LIMIT) return this.#refuseBy(call, questions, answer)
    this.counters.admitted++
    addHeaders(call.metadata, answer.requestHeadersToAdd)
    if (this.#options.headers) addHeaders(call.responseMetadata, answer.responseHeadersToAdd)
    return next()
  }

  #failed(call: ServerCall, next: Next, error: unknown): Status | Promise<Status> {
    const { onServiceError, errorDomain } = this.#options
    this.counters.failed++
    this.listeners.emit('failed', { method: call.method, error })
    return onServiceError === 'admit' ? next() : serviceFailed(errorDomain, error)
  }

  #refuseBy(call: ServerCall, questions: readonly Question[], answer: RateLimitResponse): Status {
    const { clock, rememberRefusals } = this.#options
    const broken: Question[] = []
    let waitMs = 0
    for (const [i, status] of answer.statuses.entries()) {
      const question = questions[i]
      if (status.code !== OVER_LIMIT || question === undefined) continue
      broken.push(question)
      const { seconds = 0n, nanos = 0 } = status.durationUntilReset ?? {}
      const untilMs = Math.max(0, Number(seconds) * 1000 + Math.ceil(nanos / 1e6))
      waitMs = Math.max(waitMs, untilMs)
      if (rememberRefusals && untilMs > 0) this.#refusedUntil.set(question.identity, clock.now() + untilMs)
    }
    const status = this.#refuse(call, broken, answer.statuses, waitMs, false)
    if (this.#options.headers && status.metadata) addHeaders(status.metadata, answer.responseHeadersToAdd)
    return status
  }

  #refuse(
    call: ServerCall,
    broken: readonly Question[],
    statuses: RateLimitResponse['statuses'],
    waitMs: number,
    remembered: boolean,
  ): Status {
    this.counters.refused++
    const descriptors = broken.map(({ descriptor }) => descriptor)
    this.listeners.emit('refused', { method: call.method, descriptors, waitMs, remembered })
    return overLimit(this.#options.errorDomain, statuses, waitMs)
  }

  /** The descriptors that are known to be refused still. */
  #remembered(questions: readonly Question[]): { readonly questions: Question[]; readonly waitMs: number } | undefined {
    const now = this.#options.clock.now()
    let waitMs = 0
    const refused = questions.filter(({ identity }) => {
      const until = this.#refusedUntil.get(identity)
      if (until === undefined) return false
      if (until <= now) this.#refusedUntil.delete(identity)
      else waitMs = Math.max(waitMs, Math.ceil(until - now))
      return until > now
    })
    return refused.length === 0 ? undefined : { questions: refused, waitMs }
  }
}

/** @throws TypeError naming the option, where the application's function returns what it must not. */
function questionsOf(descriptors: unknown): Question[] {
  // What it rejects with is beside the point, and would be an unhandled rejection.
  if (isThenable(descriptors)) descriptors.then(undefined, () => undefined)
  if (!Array.isArray(descriptors)) {
    throw new TypeError(
      `${WHERE}: "descriptors" must return a list such as [{ path: call.method.path }], got ${quoted(descriptors)}`,
    )
  }
  const questions: Question[] = []
  for (const descriptor of descriptors as readonly unknown[]) {
    if (typeof descriptor !== 'object' || descriptor === null || Array.isArray(descriptor)) {
      throw new TypeError(
        `${WHERE}: a descriptor must be an object such as { path: '/shop.v1.Catalog/Get' }, got ${quoted(descriptor)}`,
      )
    }
    const entries = Object.entries(descriptor).map(([key, value]: [string, unknown]) => ({ key, value }))
    if (entries.some(({ value }) => value === undefined)) continue
    const wrong = entries.find(({ key, value }) => key === '' || typeof value !== 'string')
    if (wrong !== undefined || entries.length === 0) {
      const problem = wrong === undefined ? 'has no entry' : `"${wrong.key}" must be a text, got ${quoted(wrong.value)}`
      throw new TypeError(`${WHERE}: a descriptor's ${problem}`)
    }
    const texts = entries as Question['entries']
    questions.push({
      descriptor: descriptor as Descriptor,
      entries: texts,
      identity: JSON.stringify(texts.map(({ key, value }) => [key, value])),
    })
  }
  return questions
}

function checkHits(hits: unknown): number {
  if (isThenable(hits)) hits.then(undefined, () => undefined)
  if (Number.isInteger(hits) && (hits as number) >= 0 && (hits as number) <= 0xffff_ffff) return hits as number
  throw new TypeError(`${WHERE}: "hits" must return an integer ≥ 0, got ${quoted(hits)}`)
}

/** Headers of the service that gRPC cannot carry are left out: they are no reason to end a call. */
function addHeaders(metadata: Metadata, headers: readonly HeaderValue[]): void {
  for (const { key, value, rawValue } of headers) {
    const name = key.toLowerCase()
    if (name.startsWith('grpc-') || name.startsWith(':')) continue
    try {
      if (name.endsWith('-bin')) metadata.set(name, Buffer.from(rawValue))
      else metadata.set(name, rawValue.length > 0 ? Buffer.from(rawValue).toString('latin1') : value)
    } catch {
      // not a name or value of metadata
    }
  }
}
