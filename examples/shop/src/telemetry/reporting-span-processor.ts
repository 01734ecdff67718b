import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import type { ReadableSpan, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { Report, SpanFact } from './facts.ts'

const sides: Partial<Record<SpanKind, SpanFact['side']>> = {
  [SpanKind.CLIENT]: 'client',
  [SpanKind.SERVER]: 'server',
}

/** An OpenTelemetry span processor that reports each span when it ends. */
export function reportingSpanProcessor(report: Report): SpanProcessor {
  return {
    onStart() {},
    onEnd(span) {
      report({ type: 'span', span: fact(span) })
    },
    async forceFlush() {},
    async shutdown() {},
  }
}

function fact(span: ReadableSpan): SpanFact {
  const text = (key: string): string | undefined => {
    const value = span.attributes[key]
    return value === undefined ? undefined : String(value)
  }
  const { traceId, spanId } = span.spanContext()
  return {
    traceId,
    spanId,
    parentId: span.parentSpanContext?.spanId,
    name: span.name,
    side: sides[span.kind] ?? 'internal',
    startMs: milliseconds(span.startTime),
    durationMs: milliseconds(span.duration),
    code: text('rpc.status_code'),
    failed: span.status.code === SpanStatusCode.ERROR,
    requestId: text('request.id'),
  }
}

const milliseconds = ([seconds, nanoseconds]: readonly [number, number]): number => seconds * 1000 + nanoseconds / 1e6
