import type { CallAttempt, Status, StatusTap } from '@grpc-stack/grpc-core'
import { type Context, type Span, SpanKind, type Tracer, trace } from '@opentelemetry/api'
import type { SpanRecorder } from './span-recorder.ts'

/** Set on a call whose attempts have spans by a `tracing({ per: 'attempt' })` of their own. */
export const OWN_ATTEMPT_SPANS: unique symbol = Symbol.for('@grpc-stack/interceptor-tracing.attempts')

/** Writes the trace context of an attempt into its metadata. */
export type Inject = (inside: Context, attempt: CallAttempt['call']) => void

/** What the spans of attempts of one `tracing()` have in common. */
export interface AttemptTracing {
  readonly recorder: SpanRecorder
  readonly inject: Inject
}

/**
 * A span per attempt, children of the span of the call, for a call that comes to more than one (gRFC A72). Most do not, and
 * cost two readings of the clock: the span of a first attempt is made when there is a second.
 */
export class AttemptSpans {
  readonly #recorder: SpanRecorder
  readonly #tracer: Tracer
  /** With the span of the call in it. */
  readonly #parent: Context
  readonly #inject: Inject
  /** The first attempt, which has no span while it is the only one. */
  #first: CallAttempt | undefined
  #firstSpan: Span | undefined
  #firstStatus: Status | undefined
  #startedAt = 0
  #endedAt = 0
  /** Epoch milliseconds at the zero of the monotonic clock, as at the beginning of this call. */
  #epoch = 0

  constructor({ recorder, inject }: AttemptTracing, tracer: Tracer, parent: Context) {
    this.#recorder = recorder
    this.#tracer = tracer
    this.#parent = parent
    this.#inject = inject
  }

  begin(attempt: CallAttempt): StatusTap | undefined {
    if (OWN_ATTEMPT_SPANS in attempt.call) return undefined
    if (attempt.number === 1) return attempt.repeatable ? this.#beginFirst(attempt) : undefined
    if (this.#first !== undefined && this.#firstSpan === undefined) this.#recordFirst(this.#first)
    const span = this.#start(attempt)
    if (span === undefined) return undefined
    this.#inject(trace.setSpan(this.#parent, span), attempt.call)
    return (status) => this.#end(span, attempt, status)
  }

  #beginFirst(attempt: CallAttempt): StatusTap {
    this.#epoch = Date.now() - performance.now()
    this.#startedAt = this.#now()
    this.#first = attempt
    return (status) => {
      this.#endedAt = this.#now()
      this.#firstStatus = status
      if (this.#firstSpan !== undefined) this.#end(this.#firstSpan, attempt, status, this.#endedAt)
    }
  }

  #recordFirst(first: CallAttempt): void {
    this.#firstSpan = this.#start(first, this.#startedAt)
    // An attempt that is hedged against goes on.
    if (this.#firstSpan === undefined || this.#firstStatus === undefined) return
    this.#end(this.#firstSpan, first, this.#firstStatus, this.#endedAt)
  }

  #start({ call, number }: CallAttempt, startTime?: number): Span | undefined {
    const method = this.#recorder.methodOf(call)
    return this.#recorder.start(this.#tracer, call, method, SpanKind.INTERNAL, this.#parent, {
      previousAttempts: number - 1,
      startTime,
    })
  }

  #end(span: Span, { call }: CallAttempt, status: Status, endTime?: number): void {
    if (span.isRecording()) this.#recorder.end(span, call, this.#recorder.methodOf(call), status, { endTime })
  }

  #now(): number {
    return this.#epoch + performance.now()
  }
}
