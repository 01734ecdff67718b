import {
  type Context,
  createContextKey,
  isSpanContextValid,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api'

const KEY = 'grpc-trace-bin'
const LENGTH = 29
// How @opentelemetry/core marks a context in which nothing is traced; all its propagators heed it.
export const SUPPRESSED: symbol = createContextKey('OpenTelemetry SDK Context Key SUPPRESS_TRACING')
// Offsets of the field ids; what they announce follows each.
const TRACE_ID = 1
const SPAN_ID = 18
const FLAGS = 27

/**
 * The binary trace context of OpenCensus and of gRPC's own tracing (gRFC A72), in the metadata key `grpc-trace-bin`:
 *
 * | byte | 0 | 1 | 2–17 | 18 | 19–26 | 27 | 28 |
 * |---|---|---|---|---|---|---|---|
 * | | version 0 | field 0 | trace id | field 1 | span id | field 2 | flags |
 *
 * Carriers of text, such as HTTP headers, hold it as base64; the metadata of `tracing()` holds the bytes. It has no
 * `tracestate` and no baggage, so it belongs beside other propagators: `tracing({ grpcTraceBin: true })`, or in a
 * composite propagator.
 */
export class GrpcTraceBinPropagator implements TextMapPropagator {
  inject(context: Context, carrier: unknown, setter: TextMapSetter): void {
    if (context.getValue(SUPPRESSED) === true) return
    const span = trace.getSpanContext(context)
    if (span === undefined || !isSpanContextValid(span)) return
    setter.set(carrier, KEY, encode(span).toString('base64'))
  }

  /** The context unchanged where there is nothing readable. */
  extract(context: Context, carrier: unknown, getter: TextMapGetter): Context {
    const given = getter.get(carrier, KEY)
    const text = Array.isArray(given) ? given[0] : given
    const span = text === undefined ? undefined : decode(Buffer.from(text, 'base64'))
    return span === undefined ? context : trace.setSpanContext(context, span)
  }

  fields(): string[] {
    return [KEY]
  }
}

function encode(span: SpanContext): Buffer {
  const bytes = Buffer.alloc(LENGTH)
  bytes.write(span.traceId, TRACE_ID + 1, 'hex')
  bytes[SPAN_ID] = 1
  bytes.write(span.spanId, SPAN_ID + 1, 'hex')
  bytes[FLAGS] = 2
  bytes[FLAGS + 1] = span.traceFlags & 0xff
  return bytes
}

function decode(bytes: Buffer): SpanContext | undefined {
  const readable =
    bytes.length === LENGTH && bytes[0] === 0 && bytes[TRACE_ID] === 0 && bytes[SPAN_ID] === 1 && bytes[FLAGS] === 2
  if (!readable) return undefined
  const span: SpanContext = {
    traceId: bytes.toString('hex', TRACE_ID + 1, SPAN_ID),
    spanId: bytes.toString('hex', SPAN_ID + 1, FLAGS),
    traceFlags: bytes[FLAGS + 1] ?? 0,
    isRemote: true,
  }
  return isSpanContextValid(span) ? span : undefined
}
