import type { Metadata } from '@grpc/grpc-js'
import type { Call, CallAttempt, ClientCall, Interceptor, Next, ServerCall, Status } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import {
  type Context,
  context,
  type Link,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type TextMapPropagator,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { AttemptSpans, type Inject, OWN_ATTEMPT_SPANS } from './attempt-spans.ts'
import { Containment } from './containment.ts'
import { GrpcTraceBinPropagator } from './grpc-trace-bin.ts'
import { isTracedByInstrumentation, serversAreInstrumented, warnOfInstrumentation } from './instrumentation-grpc.ts'
import { metadataGetter, metadataSetter } from './metadata-carrier.ts'
import { resolveOptions, type Settings, type TracingOptions } from './options.ts'
import { type MethodTrace, SpanRecorder } from './span-recorder.ts'
import { TracerSource } from './tracer-source.ts'

/** The interceptor, and what it had to swallow. */
export interface Tracing extends Interceptor {
  /**
   * How often something that belongs to tracing threw: a hook, a propagator, a sampler, a processor. The RPC never
   * notices. Each failure also goes to `onFailure` and to OpenTelemetry's `diag` logger.
   */
  readonly failures: number
}

const traceBin = new GrpcTraceBinPropagator()

/**
 * Where a call keeps its span, so that a second `tracing()` on the same call makes no second one. A property costs a
 * call less than an entry in a WeakMap, which the garbage collector must look at again and again.
 */
const SPAN: unique symbol = Symbol.for('@grpc-stack/interceptor-tracing.span')

/** Where a call keeps what its attempts were sent with: one that may be repeated forgets what interceptors inside set. */
const SENT: unique symbol = Symbol('sent')

/** More than any retry policy makes; hedges have a limit of their own. */
const MOST_ATTEMPTS = 16

interface Traced {
  [SENT]?: Metadata[]
  [SPAN]?: Span | undefined
  [OWN_ATTEMPT_SPANS]?: true
}

/**
 * One OpenTelemetry span per RPC, on the client and on the server, however the RPC ends, named and described after the
 * stable semantic conventions for RPC; the trace context travels in the metadata.
 *
 *     const channel = interceptChannel(createChannel('localhost:50051', credentials.createInsecure()), tracing())
 *     const server = createServer({ interceptors: [tracing()] })
 *
 * It belongs outermost, so that the span covers refusals of other interceptors and every attempt of a retry. A call that is
 * tried more than once has a child span per attempt. The first one's is made when a second begins, so what the server does in
 * the first is a child of the call; for a span per attempt from the start, put a second instance inside:
 * `tracing(), retry(), tracing({ per: 'attempt' })`.
 *
 * Nothing that fails in here reaches the RPC. Without an OpenTelemetry SDK it does nothing.
 *
 * @throws TypeError for an option that is wrong or unknown.
 */
export function tracing(options: TracingOptions = {}): Tracing {
  const settings = resolveOptions(options)
  const containment = new Containment(settings.onFailure)
  const tracer = new RpcTracer(settings, containment)
  const interceptor = named('tracing', (call: Call, next: Next) => tracer.run(call, next))
  Object.defineProperty(interceptor, 'failures', { get: () => containment.failures, enumerable: true })
  return interceptor as Tracing
}

class RpcTracer {
  readonly #settings: Settings
  readonly #containment: Containment
  readonly #recorder: SpanRecorder
  /** Of attempts that have spans because there are several. The options about calls are not about them. */
  readonly #attempts: SpanRecorder
  readonly #injectAttempt: Inject = (inside, call) => this.#inject(inside, call)
  readonly #source: TracerSource

  constructor(settings: Settings, containment: Containment) {
    this.#settings = settings
    this.#containment = containment
    this.#recorder = new SpanRecorder(settings, containment)
    this.#attempts = new SpanRecorder(attemptSettings(settings), containment)
    this.#source = new TracerSource(settings.tracerProvider, settings.propagator !== undefined || settings.grpcTraceBin)
  }

  run(call: Call, next: Next): Promise<Status> {
    let tracer: Tracer | undefined
    try {
      tracer = this.#source.get()
    } catch (error) {
      this.#containment.failed(error, 'getting a tracer')
    }
    if (tracer === undefined) return next()
    const method = this.#recorder.methodOf(call)
    if (!method.traced) return next()
    if (this.#settings.per === 'attempt') {
      return call.side === 'client' ? this.#attempt(tracer, call as ClientCall, method, next) : next()
    }
    if (SPAN in call) return next()
    return call.side === 'client'
      ? this.#client(tracer, call as ClientCall, method, next)
      : this.#server(tracer, call as ServerCall, method, next)
  }

  #client(tracer: Tracer, call: ClientCall, method: MethodTrace, next: Next): Promise<Status> {
    const parent = this.#active()
    if (isTracedByInstrumentation(trace.getSpan(parent), call.method)) {
      const records = this.#settings.instrumentationGrpc === 'record'
      warnOfInstrumentation('client', records)
      if (!records) return next()
    }
    const span = this.#recorder.start(tracer, call, method, SpanKind.CLIENT, parent)
    ;(call as Traced)[SPAN] = span
    const inside = span === undefined ? parent : trace.setSpan(parent, span)
    if (span?.isRecording()) this.#followAttempts(tracer, call, inside)
    return this.#outgoing(span, inside, call, method, next)
  }

  #attempt(tracer: Tracer, call: ClientCall, method: MethodTrace, next: Next): Promise<Status> {
    const active = this.#active()
    // Without a context manager the span of the call is not the active one.
    const ofCall = trace.getSpan(active) === undefined ? (call as Traced)[SPAN] : undefined
    const parent = ofCall === undefined ? active : trace.setSpan(active, ofCall)
    ;(call as Traced)[OWN_ATTEMPT_SPANS] = true
    const span = this.#recorder.start(tracer, call, method, SpanKind.INTERNAL, parent)
    return this.#outgoing(span, span === undefined ? parent : trace.setSpan(parent, span), call, method, next)
  }

  #followAttempts(tracer: Tracer, call: ClientCall, inside: Context): void {
    let spans: AttemptSpans | undefined
    call.onAttempt((attempt) => {
      noteSent(call as Traced, attempt)
      if (spans === undefined) {
        if (!attempt.repeatable) return undefined
        spans = new AttemptSpans(this.#attempts, tracer, inside, this.#injectAttempt)
      }
      return spans.begin(attempt)
    })
  }

  #outgoing(
    span: Span | undefined,
    inside: Context,
    call: ClientCall,
    method: MethodTrace,
    next: Next,
  ): Promise<Status> {
    this.#inject(inside, call)
    this.#endWith(call, span, method)
    return this.#enter(inside, next)
  }

  #server(tracer: Tracer, call: ServerCall, method: MethodTrace, next: Next): Promise<Status> {
    const yields = call.method.registered && serversAreInstrumented() && this.#leaveToInstrumentation()
    const remote = this.#extract(call)
    const isStranger = this.#isStranger(call)
    // All that a propagator read is the stranger's: the span, its state, the baggage, a wish to be sampled.
    const parent = isStranger ? ROOT_CONTEXT : remote
    const caller = isStranger ? trace.getSpanContext(remote) : undefined
    const links = caller && [{ context: caller }]
    if (yields) return this.#onlyRefusals(tracer, call, method, parent, links, next)
    const span = this.#recorder.start(tracer, call, method, SpanKind.SERVER, parent, links && { links })
    ;(call as Traced)[SPAN] = span
    this.#endWith(call, span, method)
    return this.#enter(span === undefined ? parent : trace.setSpan(parent, span), next)
  }

  /** Taps hear before the application does, which may flush the exporter and exit. */
  #endWith(call: Call, span: Span | undefined, method: MethodTrace): void {
    if (!span?.isRecording()) return
    const { metadata } = call
    call.onStatus((status) => {
      const sent = (call as Traced)[SENT] ?? []
      this.#recorder.end(span, call, method, status, { metadata: [metadata, ...sent] })
    })
  }

  #leaveToInstrumentation(): boolean {
    const records = this.#settings.instrumentationGrpc === 'record'
    warnOfInstrumentation('server', records)
    return !records
  }

  /** The instrumentation's span starts with the handler: what an interceptor refuses before has none. */
  #onlyRefusals(
    tracer: Tracer,
    call: ServerCall,
    method: MethodTrace,
    parent: Context,
    links: readonly Link[] | undefined,
    next: Next,
  ): Promise<Status> {
    const startTime = Date.now()
    ;(call as Traced)[SPAN] = undefined
    call.onStatus((status) => {
      if (status.refusedBy === undefined) return
      const span = this.#recorder.start(tracer, call, method, SpanKind.SERVER, parent, { links, startTime })
      if (span?.isRecording()) this.#recorder.end(span, call, method, status)
    })
    return next()
  }

  #isStranger(call: ServerCall): boolean {
    const { publicEndpoint = false } = this.#settings
    if (typeof publicEndpoint === 'boolean') return publicEndpoint
    try {
      return publicEndpoint(call)
    } catch (error) {
      // The application wants strangers kept out, so a call is one when in doubt.
      this.#containment.failed(error, 'option "publicEndpoint"', call)
      return true
    }
  }

  #active(): Context {
    try {
      return context.active()
    } catch (error) {
      this.#containment.failed(error, 'asking for the active context')
      return ROOT_CONTEXT
    }
  }

  #propagator(): Pick<TextMapPropagator, 'inject' | 'extract'> {
    return this.#settings.propagator ?? propagation
  }

  #inject(inside: Context, call: ClientCall): void {
    try {
      this.#propagator().inject(inside, call, metadataSetter)
    } catch (error) {
      this.#containment.failed(error, 'writing the trace context', call)
    }
    if (!this.#settings.grpcTraceBin) return
    try {
      traceBin.inject(inside, call, metadataSetter)
    } catch (error) {
      this.#containment.failed(error, 'writing grpc-trace-bin', call)
    }
  }

  /** From the root: grpc-js reports calls in the context in which the server was started, which is nobody's. */
  #extract(call: ServerCall): Context {
    let remote = ROOT_CONTEXT
    try {
      remote = this.#propagator().extract(ROOT_CONTEXT, call.metadata, metadataGetter)
    } catch (error) {
      this.#containment.failed(error, 'reading the trace context', call)
    }
    if (!this.#settings.grpcTraceBin || trace.getSpanContext(remote) !== undefined) return remote
    return traceBin.extract(remote, call.metadata, metadataGetter)
  }

  #enter(inside: Context, next: Next): Promise<Status> {
    let outcome: Promise<Status> | undefined
    try {
      context.with(inside, () => {
        outcome = next()
      })
    } catch (error) {
      this.#containment.failed(error, 'entering the context of a span')
    }
    return outcome ?? next()
  }
}

function noteSent(call: Traced, attempt: CallAttempt): void {
  if ((!attempt.repeatable && attempt.call === call) || attempt.number > MOST_ATTEMPTS) return
  call[SENT] ??= []
  call[SENT].push(attempt.call.metadata)
}

function attemptSettings(settings: Settings): Settings {
  const { spanName: _1, links: _2, messageLinks: _3, requestHook: _4, responseHook: _5, ...rest } = settings
  return { ...rest, per: 'attempt', metadata: {}, messageEvents: false }
}
