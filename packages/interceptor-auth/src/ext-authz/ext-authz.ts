import { status as Code } from '@grpc/grpc-js'
import {
  type Call,
  type Channel,
  createClient,
  type Interceptor,
  type MethodInfo,
  type Next,
  type ServerCall,
  type ServiceClient,
  type Status,
} from '@grpc-stack/grpc-core'
import {
  accepts,
  factory,
  integer,
  Listeners,
  LruMap,
  listOf,
  type MonotonicTime,
  milliseconds,
  monotonicTime,
  named,
  type OptionsOf,
  type OptionTable,
  objectWith,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { serviceDefinition } from '@grpc-stack/grpc-core/protobuf-es'
import { Authorization, type CheckResponse } from './authorization_pb.ts'
import { type CallFacts, checkRequest, factsOf, identityOf } from './call-facts.ts'
import { admit, allows, refusal } from './verdict.ts'

export interface ExtAuthzOptions {
  /** To the service. Interceptors on it run for each question: `circuitBreaker()`, metrics. The application closes it. */
  readonly channel: Channel
  /** How long an answer may take, ms. Never longer than the call's own deadline. Default: 200, as Envoy's. */
  readonly timeoutMs?: number
  /**
   * Names of the metadata that the service is told, `authorization` for one. Default: all. What differs from call to call, such as
   * `traceparent`, keeps answers from being used again.
   */
  readonly headers?: readonly string[]
  /** Told with each call (`context_extensions`), texts by name. Default: none. */
  readonly contextExtensions?: Readonly<Record<string, string>>
  /** Answers kept at most, where the service says that they may be; the longest unused goes first. Default: 1000. */
  readonly maxRemembered?: number
  /** Default: monotonic time. */
  readonly clock?: MonotonicTime
}

export interface ExtAuthzEvents {
  readonly refused: { readonly method: MethodInfo; readonly status: Status; readonly remembered: boolean }
  /** The service did not answer, with an error, or with what is neither yes nor no. */
  readonly failed: { readonly method: MethodInfo; readonly error: unknown }
}

/** Totals since construction. */
export interface ExtAuthzCounters {
  admitted: number
  refused: number
  /** Of these two, those decided by an answer that was kept. */
  remembered: number
  failed: number
}

export interface ExtAuthzInterceptor extends Interceptor<ServerCall> {
  /** Listens; the returned function stops it. */
  on<E extends keyof ExtAuthzEvents>(event: E, listener: (event: ExtAuthzEvents[E]) => void): () => void
  /** Totals since construction, for metrics. */
  counters(): Readonly<ExtAuthzCounters>
}

const WHERE = 'extAuthz'

const table = {
  channel: objectWith<Channel>('createCall', 'getTarget').expecting(
    'a channel, such as createChannel(target, credentials)',
  ),
  timeoutMs: milliseconds({ above: 0 }).default(200),
  headers: listOf(text(), { expected: 'a list of names of metadata' })
    .optional()
    .refusingUndefined('leave it out to tell all'),
  contextExtensions: accepts('an object of texts', isTexts).default({}).refusingUndefined('leave it out for none'),
  maxRemembered: integer({ min: 1 }).default(1000),
  clock: monotonicTime(),
} satisfies OptionTable<ExtAuthzOptions>

/**
 * Lets a service decide about each call: Envoy's external authorization (`envoy.service.auth.v3.Authorization`), which Open Policy
 * Agent's Envoy plugin and others speak. Policies written for proxies then hold on these servers.
 *
 *     extAuthz({ channel: createChannel('opa:9191', credentials.createInsecure()) })
 *
 * For servers, all four patterns, registered methods and others, before the request is read. A refusal has the service's code, text,
 * details and headers. Headers that the service adds to a request take the place of what the caller sent by their names. Fails
 * closed, always: no answer, an error or an answer that is neither yes nor no ends the call UNAVAILABLE.
 *
 * An answer is used again only where the service says so: for as many seconds as the number `max_age_seconds` of its
 * `dynamic_metadata` says, for calls that look the same to it (time and the peer's port apart).
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export function extAuthz(options: ExtAuthzOptions): ExtAuthzInterceptor {
  const authorizer = new Authorizer(readOptions(WHERE, options, table, { show: quoted }))
  const intercept = (call: Call, next: Next) => authorizer.intercept(call as ServerCall, next)
  return Object.assign(named(WHERE, intercept, { side: 'server' }), {
    on: authorizer.listeners.on.bind(authorizer.listeners) as ExtAuthzInterceptor['on'],
    counters: () => ({ ...authorizer.counters }),
  })
}
factory('extAuthz', extAuthz)

const service = serviceDefinition(Authorization)

interface Kept {
  readonly answer: CheckResponse
  readonly until: number
}

class Authorizer {
  readonly listeners: Listeners<ExtAuthzEvents> = new Listeners(WHERE, ['refused', 'failed'])
  readonly counters: ExtAuthzCounters = { admitted: 0, refused: 0, remembered: 0, failed: 0 }
  readonly #options: OptionsOf<typeof table>
  readonly #told: ReadonlySet<string> | undefined
  readonly #service: ServiceClient<typeof service>
  readonly #kept: LruMap<string, Kept>
  /** Whether the service has ever said that an answer may be used again. */
  #keeps = false

  constructor(options: OptionsOf<typeof table>) {
    this.#options = options
    this.#told = options.headers && new Set(options.headers.map((name) => name.toLowerCase()))
    this.#service = createClient(service, options.channel)
    this.#kept = new LruMap(options.maxRemembered)
  }

  intercept(call: ServerCall, next: Next): Status | Promise<Status> {
    const facts = factsOf(call, this.#told)
    const kept = this.#keeps ? this.#kept.get(identityOf(facts)) : undefined
    if (kept === undefined || kept.until <= this.#options.clock.now()) return this.#ask(call, next, facts)
    this.counters.remembered++
    return this.#follow(call, next, kept.answer, true)
  }

  async #ask(call: ServerCall, next: Next, facts: CallFacts): Promise<Status> {
    const { timeoutMs, clock, contextExtensions } = this.#options
    const request = checkRequest(facts, contextExtensions)
    let answer: CheckResponse
    try {
      answer = await this.#service.check(request, { timeoutMs, deadline: call.deadline, signal: call.signal })
      allows(answer)
    } catch (error) {
      // A call that has ended meanwhile says nothing of the service, and tells by itself how it ended.
      if (!call.signal.aborted) {
        this.counters.failed++
        this.listeners.emit('failed', { method: call.method, error })
      }
      return { code: Code.UNAVAILABLE, details: 'Authorization service unavailable', cause: error }
    }
    const ageMs = maxAgeMs(answer)
    if (ageMs > 0) {
      this.#keeps = true
      this.#kept.set(identityOf(facts), { answer, until: clock.now() + ageMs })
    }
    return this.#follow(call, next, answer, false)
  }

  #follow(call: ServerCall, next: Next, answer: CheckResponse, remembered: boolean): Status | Promise<Status> {
    if (allows(answer)) {
      this.counters.admitted++
      admit(call, answer)
      return next()
    }
    this.counters.refused++
    const status = refusal(answer)
    this.listeners.emit('refused', { method: call.method, status, remembered })
    return status
  }
}

/** Longest that an answer is kept, whatever the service says. */
const MAX_AGE_MS = 3_600_000

function maxAgeMs({ dynamicMetadata }: CheckResponse): number {
  const seconds = dynamicMetadata?.fields.max_age_seconds?.numberValue
  return typeof seconds === 'number' && seconds > 0 ? Math.min(seconds * 1000, MAX_AGE_MS) : 0
}

function isTexts(value: unknown): value is Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  return Object.values(value).every((text) => typeof text === 'string')
}
