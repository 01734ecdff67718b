import { Metadata, Server } from '@grpc/grpc-js'
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api'
import { type ByHand, clientByHand, openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import { startTracing } from './telemetry.ts'
import type { Variant } from './variant.ts'

startTracing()
const tracer = trace.getTracer('by hand')
const attributes = {
  'rpc.system.name': 'grpc',
  'rpc.method': 'bench.v1.Echo/Unary',
  'server.address': '127.0.0.1',
  'server.port': 50051,
}
const setter: TextMapSetter<Metadata> = { set: (metadata, key, value) => metadata.set(key, value) }
const getter: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.get(key)[0]?.toString(),
  keys: (metadata) => Object.keys(metadata.getMap()),
}

function begin(kind: SpanKind, parent: Context): ByHand {
  const span = tracer.startSpan('bench.v1.Echo/Unary', { kind, attributes }, parent)
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
      propagation.inject(context.active(), metadata, setter)
      return metadata
    }
    return clientByHand(openGrpcJs(port, {}, sent), () => begin(SpanKind.CLIENT, context.active()))
  },
}
