import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, CallAttempt, Status, StatusTap } from '@grpc-stack/grpc-core'
import type { CallRecord, Observation } from '@grpc-stack/grpc-core/authoring'
import { type Context, context, type Span, type Tracer } from '@opentelemetry/api'
import { AttemptSpans, type AttemptTracing } from './attempt-spans.ts'
import { tellLocalRoot } from './local-root.ts'
import type { MessageHooks } from './message-hooks.ts'
import type { Captured } from './metadata-capture.ts'
import type { MethodTrace, SpanRecorder } from './span-recorder.ts'

/** Runs what is inside in the context of a span that records nothing, or of the caller's. */
export class PassedTrace implements Observation {
  protected readonly inside: Context

  constructor(inside: Context) {
    this.inside = inside
  }

  around(proceed: () => void): void {
    context.with(this.inside, proceed)
  }
}

/** The recording span of one call. */
export class CallTrace extends PassedTrace {
  readonly #recorder: SpanRecorder
  readonly #span: Span
  readonly #method: MethodTrace
  /** What was copied from metadata before it is known how the call ends. */
  #captured: Captured[] | undefined
  // Made where there is a use for them.
  declare request?: NonNullable<Observation['request']>
  declare response?: NonNullable<Observation['response']>
  declare headers?: (metadata: Metadata) => void

  constructor(
    recorder: SpanRecorder,
    span: Span,
    inside: Context,
    method: MethodTrace,
    messages: MessageHooks | undefined,
  ) {
    super(inside)
    this.#recorder = recorder
    this.#span = span
    this.#method = method
    if (messages?.request !== undefined) this.request = messages.request
    if (messages?.response !== undefined) this.response = messages.response
    if (recorder.copiesHeaders) this.#watchHeaders()
  }

  /** Before the call goes on. */
  started(call: Call): void {
    this.#remember(this.#recorder.started(this.#span, call))
  }

  /** Taps hear before the application does, which may flush the exporter and exit. */
  end(status: Status, _durationMs: number, record: CallRecord): void {
    this.#recorder.end(this.#span, record.call, this.#method, status, {
      scrub: status.code === Code.OK ? undefined : record.scrubber(status),
      captured: this.#captured,
    })
  }

  #remember(captured: Captured | undefined): void {
    if (captured === undefined || captured.size === 0) return
    this.#captured ??= []
    this.#captured.push(captured)
  }

  #watchHeaders(): void {
    this.headers = (metadata) => this.#remember(this.#recorder.headers(this.#span, metadata))
  }
}

/** The recording span of a client call, which something inside may attempt more than once. */
export class RepeatableTrace extends CallTrace {
  readonly #attempts: AttemptTracing
  readonly #tracer: Tracer
  #spans: AttemptSpans | undefined

  constructor(
    recorder: SpanRecorder,
    span: Span,
    inside: Context,
    method: MethodTrace,
    messages: MessageHooks | undefined,
    attempts: AttemptTracing,
    tracer: Tracer,
  ) {
    super(recorder, span, inside, method, messages)
    this.#attempts = attempts
    this.#tracer = tracer
  }

  override end(status: Status, durationMs: number, record: CallRecord): void {
    super.end(status, durationMs, record)
    tellLocalRoot(this.inside, status)
  }

  attempt(attempt: CallAttempt): StatusTap | undefined {
    if (this.#spans === undefined) {
      if (!attempt.repeatable) return undefined
      this.#spans = new AttemptSpans(this.#attempts, this.#tracer, this.inside)
    }
    return this.#spans.begin(attempt)
  }
}
