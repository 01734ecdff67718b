import { status as Code } from '@grpc/grpc-js'
import type { Status } from '@grpc-stack/grpc-core'
import { type Context, createContextKey, type Span } from '@opentelemetry/api'
import { OUTGOING } from './conventions.ts'

/** What can befall a call without its failing the call that is handled. Each hides those after it. */
const OUTCOMES = ['refused', 'deadline_exceeded', 'hedged', 'retried'] as const

/** Of every copy of this package: OpenTelemetry makes it by `Symbol.for`. */
const LOCAL_ROOT = createContextKey('@grpc-stack/interceptor-tracing.local-root.1')

/**
 * The server span of the RPC that is handled: the first span of this service in the trace. It is told what became of the calls made
 * meanwhile, for samplers that look at no other span of a service.
 */
export class LocalRoot {
  readonly #span: Span
  #worst: number = OUTCOMES.length

  constructor(span: Span) {
    this.#span = span
  }

  tell(outcome: number): void {
    // A call may end after the one that was handled.
    if (outcome >= this.#worst || !this.#span.isRecording()) return
    this.#worst = outcome
    this.#span.setAttribute(OUTGOING, OUTCOMES[outcome] as string)
  }
}

export function withLocalRoot(inside: Context, span: Span): Context {
  return inside.setValue(LOCAL_ROOT, new LocalRoot(span))
}

/** A client call has ended. */
export function tellLocalRoot(inside: Context, status: Status): void {
  const outcome = outcomeOf(status)
  if (outcome === undefined) return
  // Only withLocalRoot sets it, of this copy or of another one of the same version.
  const root = inside.getValue(LOCAL_ROOT) as LocalRoot | undefined
  root?.tell(outcome)
}

function outcomeOf({ code, refusedBy, attempts, hedges }: Status): number | undefined {
  if (refusedBy !== undefined) return 0
  if (code === Code.DEADLINE_EXCEEDED) return 1
  if (hedges !== undefined) return 2
  return attempts === undefined ? undefined : 3
}
