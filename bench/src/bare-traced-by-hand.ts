import { Metadata, Server } from '@grpc/grpc-js'
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  type TextMapGetter,
  trace,
} from '@opentelemetry/api'
import { type ByHand, clientByHand, openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import { intoMetadata, SPAN_ATTRIBUTES, startTracing } from './telemetry.ts'
import type { Variant } from './variant.ts'

startTracing()
const tracer = trace.getTracer('by hand')
const getter: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key)[0]?.toString(),
  keys: (metadata) => Object.keys(metadata.getMap()),
}

function begin(kind: SpanKind, parent: Context): ByHand {
  const span = tracer.startSpan('bench.v1.Echo/Unary', { kind, attributes: SPAN_ATTRIBUTES }, parent)
  const inside = trace.setSpan(parent, span)
  return {
    run: (work) => context.with(inside, work),
    end() {
      span.setAttribute('rpc.status_code', 'OK')
      span.end()
    },
  }
}

/**
 * grpc-js alone, with the same spans written around each call and each handler by hand, on the same SDK: the least that
 * anything that traces can cost.
 */
export const bareTracedByHand: Variant = {
  startServer: () =>
    serveGrpcJs(new Server(), (metadata) =>
      begin(SpanKind.SERVER, propagation.extract(ROOT_CONTEXT, metadata, getter)),
    ),
  openClient: (port) => {
    const sent = (): Metadata => {
      const metadata = new Metadata()
      propagation.inject(context.active(), metadata, intoMetadata)
      return metadata
    }
    return clientByHand(openGrpcJs(port, {}, sent), () => begin(SpanKind.CLIENT, context.active()))
  },
}
