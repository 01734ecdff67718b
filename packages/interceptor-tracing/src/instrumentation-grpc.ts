import { Server } from '@grpc/grpc-js'
import type { MethodInfo } from '@grpc-stack/grpc-core'
import { type Span, SpanKind } from '@opentelemetry/api'
import { fullName } from './conventions.ts'

const SCOPE = '@opentelemetry/instrumentation-grpc'

/** What an SDK's span tells beyond the API. */
interface SdkSpan extends Span {
  readonly name?: string
  readonly kind?: SpanKind
  readonly instrumentationScope?: { readonly name?: string }
}

/**
 * Whether the active span is the one `@opentelemetry/instrumentation-grpc` made for this very client call: it patches the
 * stub's methods and calls the original inside its span (0.223.0, instrumentation.ts).
 */
export function isTracedByInstrumentation(active: Span | undefined, method: MethodInfo): boolean {
  if (active === undefined) return false
  const span: SdkSpan = active
  return (
    span.instrumentationScope?.name === SCOPE &&
    span.kind === SpanKind.CLIENT &&
    span.name === `grpc.${fullName(method)}`
  )
}

/**
 * Whether `@opentelemetry/instrumentation-grpc` traces what servers handle. It replaces `Server.prototype.register`, and
 * marks what it replaces (0.223.0, shimmer.ts); the span it makes comes after interceptors, so it cannot be asked for.
 */
export function serversAreInstrumented(): boolean {
  return (Server.prototype.register as { readonly __wrapped?: unknown }).__wrapped === true
}

const warned = new Set<string>()

/** Tells once per process and side. */
export function warnOfInstrumentation(side: 'client' | 'server', records: boolean): void {
  if (warned.has(side)) return
  warned.add(side)
  const effect = records
    ? `so that every ${side} call has two spans`
    : `so tracing() leaves ${side} calls to it and records only what it cannot see`
  process.emitWarning(
    `tracing(): ${SCOPE} traces the same ${side} calls, ${effect}. Use one of them: disable the instrumentation ` +
      `(OTEL_NODE_DISABLED_INSTRUMENTATIONS=grpc, or leave it out of the list), or remove tracing().`,
    { code: 'GRPC_STACK_TRACED_TWICE' },
  )
}
