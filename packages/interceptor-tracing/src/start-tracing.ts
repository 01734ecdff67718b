import {
  accepts,
  flag,
  group,
  milliseconds,
  number,
  type OptionKind,
  type OptionsOf,
  type OptionTable,
  objectWith,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { type Attributes, context, propagation, type TextMapPropagator, trace } from '@opentelemetry/api'
import {
  defaultResource,
  detectResources,
  envDetector,
  type Resource,
  resourceFromAttributes,
} from '@opentelemetry/resources'
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node'
// biome-ignore lint/correctness/useImportExtensions: the file is JavaScript, and only its types are in a .cts.
import { createRequire, here } from '../here.cjs'
import { watchProcessEnd } from './process-end.ts'
import { WatchedExporter } from './watched-exporter.ts'

/** How spans are gathered before they are sent. */
export interface BatchOptions {
  /** Spans that may wait; further ones are dropped. Default: 2048. */
  readonly maxQueueSize?: number
  /** Spans per export. Default: 512. */
  readonly maxExportBatchSize?: number
  /** Milliseconds between exports. Default: 5000. */
  readonly scheduledDelayMs?: number
  /** Milliseconds one export may take. Default: 30000. */
  readonly exportTimeoutMs?: number
}

/** Options of `startTracing`. What is not given comes from OpenTelemetry's environment variables, then from its defaults. */
export interface StartTracingOptions {
  /** Default: `OTEL_SERVICE_NAME`, else `unknown_service`. */
  readonly serviceName?: string
  /** Default: none. */
  readonly serviceVersion?: string
  /** Further attributes of the resource, such as `deployment.environment.name`. Default: `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly resource?: Attributes
  /**
   * Where the collector listens for OTLP/gRPC; `http:` is plaintext. Default: `OTEL_EXPORTER_OTLP_ENDPOINT`, else
   * `http://localhost:4317`. Needs `@opentelemetry/exporter-trace-otlp-grpc`.
   */
  readonly endpoint?: string
  /** Instead of OTLP/gRPC. Not beside `endpoint`. */
  readonly exporter?: SpanExporter
  /** Which part of new traces is recorded, 0 to 1; traces begun elsewhere keep their decision. Default: `OTEL_TRACES_SAMPLER`, else 1. */
  readonly sampleRatio?: number
  /** Instead of `sampleRatio`. */
  readonly sampler?: Sampler
  /** What carries the trace across the wire. Default: W3C trace context and baggage. */
  readonly propagator?: TextMapPropagator
  readonly batch?: BatchOptions
  /**
   * Whether spans are sent when the process ends by itself or by SIGTERM or SIGINT. An application that listens for
   * those itself, or calls `process.exit`, awaits `shutdown()` when it is done. Default: true.
   */
  readonly shutdownWithProcess?: boolean
  /** Milliseconds `shutdown` and `flush` wait for the collector. Default: 5000, half of what orchestrators commonly grant. */
  readonly shutdownTimeoutMs?: number
}

/** What runs after `startTracing`. */
export interface StartedTracing {
  readonly provider: NodeTracerProvider
  /** Spans that could not be exported, or had no room in the queue meanwhile. The first time, a warning says why. */
  readonly lostSpans: number
  /** Sends what there is. Never rejects. */
  flush(): Promise<void>
  /** Sends what there is and ends tracing. Never rejects; a second call returns the same promise. */
  shutdown(): Promise<void>
}

/**
 * Sets OpenTelemetry up for this process: provider, context, propagation, batched export over OTLP/gRPC, and the last
 * export when the process ends. For applications without an OpenTelemetry SDK; one that has set one up needs only
 * `tracing()`.
 *
 *     startTracing({ serviceName: 'shop' })
 *
 * @throws TypeError for an option that is wrong or unknown.
 * @throws Error if an SDK is set up already, or the exporter's package is not installed.
 */
export function startTracing(given: StartTracingOptions = {}): StartedTracing {
  const options = readStartOptions(given)
  if (isRegistered()) {
    throw new Error(
      'startTracing: this process has an OpenTelemetry SDK already; tracing() uses it without further set-up',
    )
  }
  const { batch, shutdownTimeoutMs } = options
  const maxQueueSize = batch?.maxQueueSize ?? queueSizeOfEnvironment() ?? 2048
  const exporter = new WatchedExporter(options.exporter ?? otlpExporter(options.endpoint), maxQueueSize, warnOnce())
  const processor = new BatchSpanProcessor(exporter, {
    maxQueueSize,
    ...(batch?.maxExportBatchSize !== undefined && { maxExportBatchSize: batch.maxExportBatchSize }),
    ...(batch?.scheduledDelayMs !== undefined && { scheduledDelayMillis: batch.scheduledDelayMs }),
    ...(batch?.exportTimeoutMs !== undefined && { exportTimeoutMillis: batch.exportTimeoutMs }),
  })
  const sampler = options.sampler ?? ratioSampler(options.sampleRatio)
  const provider = new NodeTracerProvider({
    resource: resourceOf(options),
    spanProcessors: [exporter.inFront, processor],
    ...(sampler && { sampler }),
  })
  provider.register(options.propagator ? { propagator: options.propagator } : {})

  let ending: Promise<void> | undefined
  let forgetProcess: (() => void) | undefined
  const started: StartedTracing = {
    provider,
    get lostSpans() {
      return exporter.lost
    },
    flush: () => within(shutdownTimeoutMs, provider.forceFlush()),
    shutdown() {
      ending ??= within(shutdownTimeoutMs, provider.shutdown()).then(() => {
        forgetProcess?.()
        unregister(provider)
      })
      return ending
    },
  }
  if (options.shutdownWithProcess) forgetProcess = watchProcessEnd(started)
  return started
}

function resourceOf({ serviceName, serviceVersion, resource }: OptionsOf<typeof table>): Resource {
  const given: Attributes = { ...resource }
  if (serviceName !== undefined) given['service.name'] = serviceName
  if (serviceVersion !== undefined) given['service.version'] = serviceVersion
  return defaultResource()
    .merge(detectResources({ detectors: [envDetector] }))
    .merge(resourceFromAttributes(given))
}

/** As the SDK reads it, which does not tell what it has read. */
function queueSizeOfEnvironment(): number | undefined {
  const size = Number(process.env.OTEL_BSP_MAX_QUEUE_SIZE)
  return size > 0 ? size : undefined
}

function ratioSampler(ratio: number | undefined): Sampler | undefined {
  return ratio === undefined ? undefined : new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) })
}

function otlpExporter(endpoint: string | undefined): SpanExporter {
  let otlp: typeof import('@opentelemetry/exporter-trace-otlp-grpc')
  try {
    // Not imported, so that it need not be installed beside another exporter.
    const require = createRequire(here)
    otlp = require('@opentelemetry/exporter-trace-otlp-grpc')
  } catch (cause) {
    throw new Error(
      'startTracing: install @opentelemetry/exporter-trace-otlp-grpc, or give an exporter of your own as option "exporter"',
      { cause },
    )
  }
  return new otlp.OTLPTraceExporter(endpoint === undefined ? {} : { url: endpoint })
}

function warnOnce(): (error: Error | undefined) => void {
  let warned = false
  return (error) => {
    if (warned) return
    warned = true
    process.emitWarning(`startTracing: spans could not be exported: ${error?.message || 'the exporter failed'}`, {
      code: 'GRPC_STACK_SPANS_LOST',
    })
  }
}

function isRegistered(): boolean {
  const provider = trace.getTracerProvider()
  return !('getDelegateTracer' in provider) || delegateOf(provider) !== undefined
}

/** The provider behind the global proxy, if one is registered. */
function delegateOf(proxy: unknown): unknown {
  const { getDelegate, getDelegateTracer } = proxy as import('@opentelemetry/api').ProxyTracerProvider
  return getDelegateTracer.call(proxy, 'startTracing') === undefined ? undefined : getDelegate.call(proxy)
}

function unregister(provider: NodeTracerProvider): void {
  if (delegateOf(trace.getTracerProvider()) !== provider) return
  trace.disable()
  context.disable()
  propagation.disable()
}

/** Waits for the work, but not for ever; how it went is told by the exporter. */
async function within(timeoutMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs)
  })
  await Promise.race([work.catch(() => undefined), timeout])
  clearTimeout(timer)
}

const object = <T extends object>(): OptionKind<T> =>
  accepts('an object', (value): value is T => typeof value === 'object' && value !== null)
const positive = number({ above: 0 }).optional()

const table = {
  serviceName: text().optional(),
  serviceVersion: text().optional(),
  resource: object<Attributes>().optional(),
  endpoint: text().secret().optional(),
  exporter: objectWith<SpanExporter>('export', 'shutdown').optional(),
  sampleRatio: number({ min: 0, max: 1 }).optional(),
  sampler: objectWith<Sampler>('shouldSample').optional(),
  propagator: objectWith<TextMapPropagator>('inject', 'extract').optional(),
  batch: group({
    maxQueueSize: positive,
    maxExportBatchSize: positive,
    scheduledDelayMs: positive,
    exportTimeoutMs: positive,
  } satisfies OptionTable<BatchOptions>).optional(),
  shutdownWithProcess: flag().default(true),
  shutdownTimeoutMs: milliseconds({ min: 0, below: 2 ** 31 }).default(5000),
} satisfies OptionTable<StartTracingOptions>

function readStartOptions(given: StartTracingOptions): OptionsOf<typeof table> {
  const options = readOptions('startTracing', given, table, { show: quoted })
  const { endpoint, exporter, sampler, sampleRatio } = options
  if (endpoint !== undefined && /^(?:[^/?#]*\/\/)?[^/?#]*@/.test(endpoint)) {
    // The endpoint is in what exporters report. It is not printed here either.
    throw new TypeError(
      'startTracing: option "endpoint" must be a URL without user and password; write "http://host:4317" and give credentials as OTEL_EXPORTER_OTLP_HEADERS',
    )
  }
  if (exporter && endpoint !== undefined) {
    throw new TypeError('startTracing: give "exporter" or "endpoint", not both')
  }
  if (sampler && sampleRatio !== undefined) {
    throw new TypeError('startTracing: give "sampler" or "sampleRatio", not both')
  }
  return options
}
