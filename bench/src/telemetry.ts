import type { Metadata } from '@grpc/grpc-js'
import type { TextMapSetter } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import pino, { type Logger } from 'pino'

/** The real SDK, every span sampled, ended and handed to an exporter that forgets it. */
const nullExporter: SpanExporter = {
  export: (_spans: ReadableSpan[], done) => done({ code: 0 }),
  shutdown: () => Promise.resolve(),
}

export function startTracing(): NodeTracerProvider {
  const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(nullExporter)] })
  provider.register({ contextManager: new AsyncLocalStorageContextManager() })
  return provider
}

/** What spans written by hand say of a call. */
export const SPAN_ATTRIBUTES = {
  'rpc.system.name': 'grpc',
  'rpc.method': 'bench.v1.Echo/Unary',
  'server.address': '127.0.0.1',
  'server.port': 50051,
}

export const intoMetadata: TextMapSetter<Metadata> = { set: (metadata, key, value) => metadata.set(key, value) }

/** pino as it is, up to the finished line, which a sink forgets as the exporter forgets spans. */
export function nullLogger(): Logger {
  return pino({}, { write: () => undefined })
}
