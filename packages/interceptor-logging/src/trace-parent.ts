/** The identity of a span, as OpenTelemetry's `SpanContext` has it. */
export interface TraceContext {
  readonly traceId: string
  readonly spanId?: string
}

// W3C Trace Context, version 00 and what later versions must still begin with.
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|-)/

/**
 * The trace an RPC belongs to, by its `traceparent`. The span named there is the caller's on a server, so only the trace is
 * common to both sides.
 */
export function traceIdOf(traceparent: string | Buffer | undefined): string | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > 512) return undefined
  return TRACEPARENT.test(traceparent) ? traceparent.slice(3, 35) : undefined
}
