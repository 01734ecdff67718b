import {
  type Call,
  compileMatcher,
  type Matcher,
  type MethodPredicate,
  type ServerCall,
  type Status,
} from '@grpc-stack/grpc-core'
import type { Attributes, Link, Span, TextMapPropagator, TracerProvider } from '@opentelemetry/api'
import type { FailureListener } from './containment.ts'
import type { SemanticConventions } from './conventions.ts'

/**
 * Metadata keys whose values become span attributes. Nothing is copied that is not listed: metadata holds secrets. Values of a
 * key whose name announces a credential (`authorization`, `x-api-key`, `cookie`, …) read `[masked]` even if it is listed.
 */
export interface TracedMetadata {
  /** Request metadata, as `rpc.request.header.<key>`. */
  readonly requestHeaders?: readonly string[]
  /** Response headers, as `rpc.response.header.<key>`. */
  readonly responseHeaders?: readonly string[]
  /** Response trailers, as `rpc.response.trailer.<key>`. */
  readonly responseTrailers?: readonly string[]
}

/** Options of `tracing`. All of them apply to both sides unless they say otherwise. */
export interface TracingOptions {
  /**
   * The methods that get spans. Default: all. `not(healthAndReflection)` spares the spans of probes. For the others the
   * trace context of the caller is neither read nor written.
   */
  readonly methods?: Matcher
  /**
   * `call`: one span per RPC, attempts included. `attempt`: one per attempt, for an instance placed inside whatever
   * retries (client only; on a server it does nothing). Default: `call`.
   */
  readonly per?: 'call' | 'attempt'
  /** Name of the span. Default: `pkg.Service/Method`; `grpc` for unregistered paths; `Attempt.pkg.Service.Method`. */
  readonly spanName?: (call: Call) => string
  /** Attributes every span has from its creation, where samplers see them. Default: none. */
  readonly attributes?: Attributes | ((call: Call) => Attributes | undefined)
  /**
   * Names of the attributes. `stable`: the RPC conventions as of their stabilization. `legacy`: those of before, which
   * `@opentelemetry/instrumentation-grpc` emits. `both`: all of them, while dashboards move; `rpc.method` has today's
   * meaning then. Default: `stable`. The environment is not consulted: that is for instrumentations that must migrate.
   */
  readonly semanticConventions?: SemanticConventions
  /** Metadata to copy to attributes. Default: none. */
  readonly metadata?: TracedMetadata
  /**
   * An event per message, `Outbound message` and `Inbound message` with `sequence-number` from 0 (gRFC A72). Sizes are
   * not known here. Default: false; an SDK keeps 128 events per span, and each costs time.
   */
  readonly messageEvents?: boolean
  /** Links the span has from its creation. Default: none. */
  readonly links?: (call: Call) => readonly Link[] | undefined
  /**
   * Links for a message received, such as to the span that produced it: responses on the client, requests on the server.
   * Default: none.
   */
  readonly messageLinks?: (message: unknown, call: Call) => Link | readonly Link[] | undefined
  /**
   * Server only. Whether callers are strangers: the span then starts a trace of its own, linked to theirs, so that no
   * stranger decides what is sampled, and nothing else a propagator reads from their calls is forwarded: no baggage, no
   * tracestate. A function that throws counts as true. Default: false.
   */
  readonly publicEndpoint?: boolean | ((call: ServerCall) => boolean)
  /**
   * Which statuses make the span an error. Default: the conventions. Client: all but OK. Server: UNKNOWN,
   * DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS, since the others are the caller's doing.
   */
  readonly isError?: (status: Status, call: Call) => boolean
  /**
   * Whether the `cause` of an error becomes an `exception` event. A cause is local to this process and not told to
   * the peer, so the span is where it can be found. Default: true.
   */
  readonly recordExceptions?: boolean
  /** Called with each recording span once it has started, before the RPC goes on. Must be synchronous. Default: none. */
  readonly requestHook?: (span: Span, call: Call) => void
  /** Called with each recording span before it ends. Must be synchronous. Default: none. */
  readonly responseHook?: (span: Span, status: Status, call: Call) => void
  /** Where spans come from. Default: the global provider, looked up for each call, so that set-up may come later. */
  readonly tracerProvider?: TracerProvider
  /** What carries the trace context across the wire. Default: the global propagator, looked up for each call. */
  readonly propagator?: TextMapPropagator
  /**
   * Also writes `grpc-trace-bin`, and reads it where the propagator finds no trace: for peers with OpenCensus or gRPC's own
   * tracing. Default: false.
   */
  readonly grpcTraceBin?: boolean
  /**
   * Client only. The target of the channel, for `server.address` and `server.port`. Default: the channel's own. A stub
   * with a channel of its own (`clientInterceptors`) tells it only when the call is on its way, too late for samplers.
   */
  readonly target?: string
  /**
   * What to do where `@opentelemetry/instrumentation-grpc` traces the same call. `yield`: leave the call to it, and record
   * only what it cannot see. `record`: record as if it were not there, which makes two spans. A warning tells once. Default:
   * `yield`.
   */
  readonly instrumentationGrpc?: 'yield' | 'record'
  /**
   * Hears of each failure that was contained: of a hook, a propagator, a sampler, a processor. Default: a process warning
   * about the first.
   */
  readonly onFailure?: FailureListener
}

/** The options with their defaults. */
export interface Settings
  extends Readonly<
    Pick<
      TracingOptions,
      | 'spanName'
      | 'attributes'
      | 'links'
      | 'messageLinks'
      | 'publicEndpoint'
      | 'isError'
      | 'requestHook'
      | 'responseHook'
      | 'tracerProvider'
      | 'propagator'
      | 'target'
      | 'onFailure'
    >
  > {
  readonly traces: MethodPredicate
  readonly per: 'call' | 'attempt'
  readonly semanticConventions: SemanticConventions
  readonly metadata: TracedMetadata
  readonly messageEvents: boolean
  readonly recordExceptions: boolean
  readonly grpcTraceBin: boolean
  readonly instrumentationGrpc: 'yield' | 'record'
}

type Check = (value: unknown) => string | undefined

const isFunction: Check = (value) => (typeof value === 'function' ? undefined : 'a function')
const isBoolean: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false')
const isString: Check = (value) => (typeof value === 'string' && value !== '' ? undefined : 'a non-empty string')
const isObject: Check = (value) => (typeof value === 'object' && value !== null ? undefined : 'an object')
const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value as string) ? undefined : `one of ${values.join(', ')}`
const either =
  (first: Check, second: Check): Check =>
  (value) => {
    const wanted = first(value)
    return wanted && second(value) ? `${wanted} or ${second(value)}` : undefined
  }
const hasMethod =
  (name: string, what: string): Check =>
  (value) =>
    typeof (value as Record<string, unknown> | null)?.[name] === 'function' ? undefined : what

const CHECKS: Readonly<Record<keyof TracingOptions, Check>> = {
  methods: () => undefined, // compileMatcher tells more
  per: oneOf('call', 'attempt'),
  spanName: isFunction,
  attributes: either(isObject, isFunction),
  semanticConventions: oneOf('stable', 'legacy', 'both'),
  metadata: isObject,
  messageEvents: isBoolean,
  links: isFunction,
  messageLinks: isFunction,
  publicEndpoint: either(isBoolean, isFunction),
  isError: isFunction,
  recordExceptions: isBoolean,
  requestHook: isFunction,
  responseHook: isFunction,
  tracerProvider: hasMethod('getTracer', 'a TracerProvider'),
  propagator: hasMethod('inject', 'a TextMapPropagator'),
  grpcTraceBin: isBoolean,
  target: isString,
  instrumentationGrpc: oneOf('yield', 'record'),
  onFailure: isFunction,
}

const PARTS: readonly (keyof TracedMetadata)[] = ['requestHeaders', 'responseHeaders', 'responseTrailers']

/** @throws TypeError naming the option that is wrong. */
export function resolveOptions(options: TracingOptions): Settings {
  if (isObject(options) !== undefined) throw new TypeError(`tracing: options must be an object, got ${show(options)}`)
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(CHECKS, name)) throw new TypeError(`tracing: unknown option "${name}"`)
    const wanted = value === undefined ? undefined : CHECKS[name as keyof TracingOptions](value)
    if (wanted !== undefined) throw new TypeError(`tracing: option "${name}" must be ${wanted}, got ${show(value)}`)
  }
  checkMetadata(options.metadata ?? {})
  return {
    ...options,
    traces: compileMatcher(options.methods ?? '*', 'tracing: option "methods"'),
    per: options.per ?? 'call',
    semanticConventions: options.semanticConventions ?? 'stable',
    metadata: options.metadata ?? {},
    messageEvents: options.messageEvents ?? false,
    recordExceptions: options.recordExceptions ?? true,
    grpcTraceBin: options.grpcTraceBin ?? false,
    instrumentationGrpc: options.instrumentationGrpc ?? 'yield',
  }
}

function checkMetadata(metadata: TracedMetadata): void {
  for (const [part, keys] of Object.entries(metadata) as [keyof TracedMetadata, unknown][]) {
    if (!PARTS.includes(part)) throw new TypeError(`tracing: unknown option "metadata.${part}"`)
    if (keys === undefined) continue
    const legal = Array.isArray(keys) && keys.every((key) => typeof key === 'string' && /^[0-9a-z_.-]+$/i.test(key))
    if (!legal) {
      throw new TypeError(`tracing: option "metadata.${part}" must be a list of metadata keys, got ${show(keys)}`)
    }
  }
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (Array.isArray(value)) return JSON.stringify(value)
  return typeof value === 'object' && value !== null ? 'an object' : String(value)
}
