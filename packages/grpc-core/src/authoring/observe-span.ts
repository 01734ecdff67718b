import type { Call } from '../contract/call.ts'
import { PROTOCOL } from '../runtime/version.ts'

/** The span of an RPC, as OpenTelemetry's `Span` has it. */
export interface CallSpan {
  spanContext(): { readonly traceId: string; readonly spanId: string; readonly traceFlags: number }
}

const SPAN: unique symbol = Symbol.for(`@grpc-stack/grpc-core.span.${PROTOCOL}`)

interface Traced {
  [SPAN]?: CallSpan | undefined
}

/**
 * Tells the observers of a call of its span, so that a logger or an exemplar need not parse `traceparent`. The span is that of the
 * whole RPC: what is inside of `retry()` finds the same. Undefined says that the call is traced, and has no span of this process.
 */
export function tellSpan(call: Call, span: CallSpan | undefined): void {
  // A property costs a call less than an entry in a WeakMap, which the garbage collector must look at again and again.
  ;(call as Traced)[SPAN] = span
}

/** The span that was told of. */
export function spanOf(call: Call): CallSpan | undefined {
  return (call as Traced)[SPAN]
}

/** Whether `tellSpan` was called, with a span or without. */
export function isTraced(call: Call): boolean {
  return SPAN in call
}
