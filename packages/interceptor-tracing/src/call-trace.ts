import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, CallAttempt, Status, StatusTap } from '@grpc-stack/grpc-core'
import type { CallRecord, Observation } from '@grpc-stack/grpc-core/authoring'
import { type Context, context, type Span } from '@opentelemetry/api'
import type { AttemptSpans } from './attempt-spans.ts'
import type { MessageHooks } from './message-hooks.ts'
import type { Captured } from './metadata-capture.ts'
import type { MethodTrace, SpanRecorder } from './span-recorder.ts'

/** Runs what is inside in the context of a span that records nothing, or of the caller's. */
export class PassedTrace implements Observation {
  readonly #inside: Context

  constructor(inside: Context) {
    this.#inside = inside
  }

  around(proceed: () => void): void {
    context.with(this.#inside, proceed)
  }
}

/** What a call has beside its span, where there is a use for it. */
export interface TraceParts {
  readonly messages?: MessageHooks | undefined
  /** Makes the spans of attempts, once it is clear that there may be several. */
  readonly attempts?: (() => AttemptSpans) | undefined
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
  declare attempt?: (attempt: CallAttempt) => StatusTap | undefined

  constructor(recorder: SpanRecorder, span: Span, inside: Context, method: MethodTrace, parts: TraceParts) {
    super(inside)
    this.#recorder = recorder
    this.#span = span
    this.#method = method
    const { messages, attempts } = parts
    if (messages?.request !== undefined) this.request = messages.request
    if (messages?.response !== undefined) this.response = messages.response
    if (recorder.copiesHeaders) this.headers = (metadata) => this.#remember(recorder.headers(span, metadata))
    if (attempts !== undefined) this.#followAttempts(attempts)
  }

  /** Before the call goes on. */
  started(call: Call): void {
    this.#remember(this.#recorder.started(this.#span, call))
  }

  /** Taps hear before the application does, which may flush the exporter and exit. */
  end(status: Status, _durationMs: number, record: CallRecord): void {
    this.#recorder.end(this.#span, record.call, this.#method, status, {
      scrub: status.code === Code.OK ? undefined : record.scrubber(status),
      ...(this.#captured && { captured: this.#captured }),
    })
  }

  #remember(captured: Captured | undefined): void {
    if (captured === undefined || captured.size === 0) return
    this.#captured ??= []
    this.#captured.push(captured)
  }

  #followAttempts(make: () => AttemptSpans): void {
    let spans: AttemptSpans | undefined
    this.attempt = (attempt) => {
      if (spans === undefined) {
        if (!attempt.repeatable) return undefined
        spans = make()
      }
      return spans.begin(attempt)
    }
  }
}
