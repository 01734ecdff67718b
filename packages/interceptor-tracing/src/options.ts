import type { Call, Matcher, MethodPredicate, ServerCall, Status } from '@grpc-stack/grpc-core'
import {
  accepts,
  flag,
  func,
  group,
  listOf,
  matcher,
  OptionKind,
  type OptionTable,
  objectWith,
  oneOf,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
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
   * `call`: one span per RPC, attempts included. `attempt`: one per attempt, for an instance placed inside what
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
   * tracestate. A function that throws, or returns neither true nor false, counts as true. Default: false.
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
   * about the first of each.
   */
  readonly onFailure?: FailureListener
}

/** The options with their defaults. */
export interface Settings {
  readonly methods: MethodPredicate
  readonly per: 'call' | 'attempt'
  readonly spanName: TracingOptions['spanName']
  readonly attributes: TracingOptions['attributes']
  readonly semanticConventions: SemanticConventions
  readonly metadata: TracedMetadata
  readonly messageEvents: boolean
  readonly links: TracingOptions['links']
  readonly messageLinks: TracingOptions['messageLinks']
  readonly publicEndpoint: boolean | ((call: ServerCall) => boolean)
  readonly isError: TracingOptions['isError']
  readonly recordExceptions: boolean
  readonly requestHook: TracingOptions['requestHook']
  readonly responseHook: TracingOptions['responseHook']
  readonly tracerProvider: TracerProvider | undefined
  readonly propagator: TextMapPropagator | undefined
  readonly grpcTraceBin: boolean
  readonly target: string | undefined
  readonly instrumentationGrpc: 'yield' | 'record'
  readonly onFailure: FailureListener | undefined
}

const metadataKey = new OptionKind(
  ['a metadata key'],
  (value) => typeof value === 'string',
  (key: string, _place, refuse) => {
    if (!/^[0-9a-z_.-]+$/i.test(key)) throw refuse(key)
    return key
  },
)
const metadataKeys = listOf(metadataKey, { expected: 'a list of metadata keys' }).default([])

const table = {
  methods: matcher().default(() => true),
  per: oneOf('call', 'attempt').default('call'),
  spanName: func<NonNullable<TracingOptions['spanName']>>().optional(),
  attributes: accepts('an object', (value): value is Attributes => typeof value === 'object' && value !== null)
    .or(func<(call: Call) => Attributes | undefined>())
    .optional(),
  semanticConventions: oneOf('stable', 'legacy', 'both').default('stable'),
  metadata: group({
    requestHeaders: metadataKeys,
    responseHeaders: metadataKeys,
    responseTrailers: metadataKeys,
  } satisfies OptionTable<TracedMetadata>).default({ requestHeaders: [], responseHeaders: [], responseTrailers: [] }),
  messageEvents: flag().default(false),
  links: func<NonNullable<TracingOptions['links']>>().optional(),
  messageLinks: func<NonNullable<TracingOptions['messageLinks']>>().optional(),
  publicEndpoint: flag()
    .or(func<(call: ServerCall) => boolean>())
    .default(false)
    .refusingUndefined('leave it out where callers are trusted'),
  isError: func<NonNullable<TracingOptions['isError']>>().optional(),
  recordExceptions: flag().default(true).refusingUndefined('leave it out to record exceptions'),
  requestHook: func<NonNullable<TracingOptions['requestHook']>>().optional(),
  responseHook: func<NonNullable<TracingOptions['responseHook']>>().optional(),
  tracerProvider: objectWith<TracerProvider>('getTracer').expecting('a TracerProvider').optional(),
  propagator: objectWith<TextMapPropagator>('inject', 'extract').expecting('a TextMapPropagator').optional(),
  grpcTraceBin: flag().default(false),
  target: text().optional(),
  instrumentationGrpc: oneOf('yield', 'record').default('yield'),
  onFailure: func<FailureListener>().optional(),
} satisfies OptionTable<TracingOptions>

/** @throws TypeError naming the option that is wrong. */
export function readTracingOptions(options: TracingOptions): Settings {
  return readOptions('tracing', options, table, { show: quoted })
}
