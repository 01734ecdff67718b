import type { Call, ClientCall, ServerCall } from '@grpc-stack/grpc-core'
import {
  type CallRecord,
  type Containment,
  isTraced,
  type Observation,
  spanOf,
  tellSpan,
} from '@grpc-stack/grpc-core/authoring'
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
import { type AttemptTracing, OWN_ATTEMPT_SPANS } from './attempt-spans.ts'
import { CallTrace, PassedTrace, RepeatableTrace } from './call-trace.ts'
import { GrpcTraceBinPropagator } from './grpc-trace-bin.ts'
import { isTracedByInstrumentation, serversAreInstrumented, warnOfInstrumentation } from './instrumentation-grpc.ts'
import { withLocalRoot } from './local-root.ts'
import { type MessageHooks, messageHooks } from './message-hooks.ts'
import { metadataGetter, metadataSetter } from './metadata-carrier.ts'
import type { Settings } from './options.ts'
import { type MethodTrace, SpanRecorder } from './span-recorder.ts'
import { TracerSource } from './tracer-source.ts'

const traceBin = new GrpcTraceBinPropagator()

interface Attempted {
  [OWN_ATTEMPT_SPANS]?: true
}

/** Decides for each call whether there is a span, whose child it is, and what travels along. */
export class RpcTracer {
  readonly #settings: Settings
  readonly #contained: Containment
  readonly #recorder: SpanRecorder
  /** Of attempts that have spans because there are several. The options about calls are not about them. */
  readonly #attempts: AttemptTracing
  readonly #source: TracerSource

  constructor(settings: Settings, contained: Containment) {
    this.#settings = settings
    this.#contained = contained
    this.#recorder = new SpanRecorder(settings, contained)
    this.#attempts = {
      recorder: new SpanRecorder(attemptSettings(settings), contained),
      inject: (inside, call) => this.#inject(inside, call),
    }
    this.#source = new TracerSource(settings.tracerProvider, settings.propagator !== undefined || settings.grpcTraceBin)
  }

  /** A call has come. Undefined where it is none of our business. */
  start(call: Call, record: CallRecord): Observation | undefined {
    let tracer: Tracer | undefined
    try {
      tracer = this.#source.get()
    } catch (error) {
      this.#contained.failed(error, 'getting a tracer', call)
    }
    if (tracer === undefined) return undefined
    const method = this.#recorder.methodOf(call)
    if (!method.traced) return undefined
    if (this.#settings.per === 'attempt') {
      return call.side === 'client' ? this.#attempt(tracer, call as ClientCall, record, method) : undefined
    }
    if (isTraced(call)) return undefined
    return call.side === 'client'
      ? this.#client(tracer, call as ClientCall, record, method)
      : this.#server(tracer, call as ServerCall, record, method)
  }

  #client(tracer: Tracer, call: ClientCall, record: CallRecord, method: MethodTrace): Observation | undefined {
    const parent = this.#active(call)
    if (isTracedByInstrumentation(trace.getSpan(parent), call.method)) {
      const records = this.#settings.instrumentationGrpc === 'record'
      warnOfInstrumentation('client', records)
      if (!records) return undefined
    }
    const span = this.#recorder.start(tracer, call, method, SpanKind.CLIENT, parent)
    tellSpan(call, span)
    const inside = within(parent, span)
    const observation = this.#observe(call, record, span, inside, method, tracer)
    this.#inject(inside, call)
    return observation
  }

  #attempt(tracer: Tracer, call: ClientCall, record: CallRecord, method: MethodTrace): Observation {
    const active = this.#active(call)
    // Without a context manager the span of the call is not the active one.
    const ofCall = trace.getSpan(active) === undefined ? spanOf(call) : undefined
    // tellSpan was given one of OpenTelemetry's.
    const parent = ofCall === undefined ? active : trace.setSpan(active, ofCall as Span)
    ;(call as Attempted)[OWN_ATTEMPT_SPANS] = true
    const span = this.#recorder.start(tracer, call, method, SpanKind.INTERNAL, parent)
    const inside = within(parent, span)
    const observation = this.#observe(call, record, span, inside, method)
    this.#inject(inside, call)
    return observation
  }

  #server(tracer: Tracer, call: ServerCall, record: CallRecord, method: MethodTrace): Observation {
    const yields = call.method.registered && serversAreInstrumented() && this.#leaveToInstrumentation()
    const remote = this.#extract(call)
    const isStranger = this.#isStranger(call)
    // All that a propagator read is the stranger's: the span, its state, the baggage, a wish to be sampled.
    const parent = isStranger ? ROOT_CONTEXT : remote
    const caller = isStranger ? trace.getSpanContext(remote) : undefined
    const links = caller && [{ context: caller }]
    if (yields) return this.#onlyRefusals(tracer, call, method, parent, links)
    const span = this.#recorder.start(tracer, call, method, SpanKind.SERVER, parent, links && { links })
    tellSpan(call, span)
    const inside = within(parent, span)
    return this.#observe(call, record, span, span?.isRecording() ? withLocalRoot(inside, span) : inside, method)
  }

  /** @param tracer of the spans of attempts, where there may be some */
  #observe(
    call: Call,
    record: CallRecord,
    span: Span | undefined,
    inside: Context,
    method: MethodTrace,
    tracer?: Tracer,
  ): Observation {
    if (!span?.isRecording()) return new PassedTrace(inside)
    record.followCredentials()
    const messages = this.#messages(span, call)
    const observed =
      tracer === undefined
        ? new CallTrace(this.#recorder, span, inside, method, messages)
        : new RepeatableTrace(this.#recorder, span, inside, method, messages, this.#attempts, tracer)
    observed.started(call)
    return observed
  }

  #messages(span: Span, call: Call): MessageHooks | undefined {
    const { messageEvents, messageLinks } = this.#settings
    if (!messageEvents && messageLinks === undefined) return undefined
    return messageHooks(span, call, this.#settings, this.#contained)
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
  ): Observation {
    const startTime = Date.now()
    tellSpan(call, undefined)
    return {
      end: (status) => {
        if (status.refusedBy === undefined) return
        const span = this.#recorder.start(tracer, call, method, SpanKind.SERVER, parent, { links, startTime })
        if (!span?.isRecording()) return
        const captured = this.#recorder.started(span, call)
        this.#recorder.end(span, call, method, status, { captured: captured && [captured] })
      },
    }
  }

  #isStranger(call: ServerCall): boolean {
    const { publicEndpoint } = this.#settings
    return typeof publicEndpoint === 'boolean' ? publicEndpoint : this.#isCalledStranger(call, publicEndpoint)
  }

  #isCalledStranger(call: ServerCall, publicEndpoint: (call: ServerCall) => boolean): boolean {
    const said: unknown = this.#contained.run('publicEndpoint', () => publicEndpoint(call), call)
    if (typeof said === 'boolean') return said
    if (said !== undefined) {
      this.#contained.failed(new TypeError('it must return true or false'), 'publicEndpoint', call)
    }
    // The application wants strangers kept out, so a call is one when in doubt.
    return true
  }

  #active(call: Call): Context {
    try {
      return context.active()
    } catch (error) {
      this.#contained.failed(error, 'asking for the active context', call)
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
      this.#contained.failed(error, 'writing the trace context', call)
    }
    if (!this.#settings.grpcTraceBin) return
    try {
      traceBin.inject(inside, call, metadataSetter)
    } catch (error) {
      this.#contained.failed(error, 'writing grpc-trace-bin', call)
    }
  }

  /** From the root: grpc-js reports calls in the context in which the server was started, which is no call's. */
  #extract(call: ServerCall): Context {
    let remote = ROOT_CONTEXT
    try {
      remote = this.#propagator().extract(ROOT_CONTEXT, call.metadata, metadataGetter)
    } catch (error) {
      this.#contained.failed(error, 'reading the trace context', call)
    }
    if (!this.#settings.grpcTraceBin || trace.getSpanContext(remote) !== undefined) return remote
    return traceBin.extract(remote, call.metadata, metadataGetter)
  }
}

function within(parent: Context, span: Span | undefined): Context {
  return span === undefined ? parent : trace.setSpan(parent, span)
}

function attemptSettings(settings: Settings): Settings {
  return {
    ...settings,
    per: 'attempt',
    spanName: undefined,
    links: undefined,
    messageLinks: undefined,
    requestHook: undefined,
    responseHook: undefined,
    metadata: {},
    messageEvents: false,
  }
}
