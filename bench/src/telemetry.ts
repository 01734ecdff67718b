import type { Metadata } from '@grpc/grpc-js'
import type { TextMapSetter } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node'
import pino, { type Logger } from 'pino'
import { Registry } from 'prom-client'

/** The real SDK, every span sampled, ended and handed to an exporter that forgets it. */
const nullExporter: SpanExporter = {
  export: (_spans: ReadableSpan[], done) => done({ code: 0 }),
  shutdown: () => Promise.resolve(),
}

let provider: NodeTracerProvider | undefined

/**
 * The first call in a process starts tracing for all of it.
 * @param exporter Default: one that forgets
 */
export function startTracing(exporter: SpanExporter = nullExporter): NodeTracerProvider {
  if (provider !== undefined) return provider
  provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] })
  provider.register({ contextManager: new AsyncLocalStorageContextManager() })
  return provider
}

/** Where a full stack writes and counts. */
export interface Sinks {
  readonly logger: Logger
  /** Of one client or server. */
  registry(): Registry
}

export function nullSinks(): Sinks {
  return { logger: nullLogger(), registry: () => new Registry() }
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
