import { fileURLToPath } from 'node:url'
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const loaded = (proto: string) =>
  loadSync(fileURLToPath(new URL(proto, import.meta.url)), { longs: Number, defaults: true })

const TRACES = loaded('../../packages/interceptor-tracing/test/otlp-trace.proto')[
  'opentelemetry.proto.collector.trace.v1.TraceService'
] as ServiceDefinition
const METRICS = loaded('./otlp-metrics.proto')[
  'opentelemetry.proto.collector.metrics.v1.MetricsService'
] as ServiceDefinition

interface TraceExport {
  readonly resourceSpans: readonly { readonly scopeSpans: readonly { readonly spans: readonly unknown[] }[] }[]
}

interface Metric {
  readonly name: string
  readonly histogram: { readonly dataPoints: readonly { readonly count: number }[] } | null
}

interface MetricExport {
  readonly resourceMetrics: readonly { readonly scopeMetrics: readonly { readonly metrics: readonly Metric[] }[] }[]
}

/** An OpenTelemetry collector that can end, start again where it was, and leave exports without an answer. */
export class Collector implements Disposable {
  /** Spans of all exports it took. */
  spans = 0
  /** Calls that the last export of metrics it took has counted. */
  calls = 0
  #server = new Server()
  #port = 0
  #held: (() => void)[] | undefined

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#server = new Server()
    this.#take<TraceExport>(TRACES, ({ resourceSpans }) => {
      this.spans += resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)).length
    })
    this.#take<MetricExport>(METRICS, ({ resourceMetrics }) => {
      const exported = resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      const counts = exported.flatMap(({ histogram }) => histogram?.dataPoints ?? []).map(({ count }) => count)
      this.calls = counts.reduce((sum, count) => sum + count, 0)
    })
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.#port}`, ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      )
    })
  }

  #take<T>(service: ServiceDefinition, take: (request: T) => void): void {
    this.#server.addService(service, {
      export: ({ request }: { request: T }, answer: (error: null, response: object) => void): void => {
        const go = (): void => {
          take(request)
          answer(null, {})
        }
        if (this.#held === undefined) go()
        else this.#held.push(go)
      },
    })
  }

  /** Exports get no answer from now on. */
  hold(): void {
    this.#held = []
  }

  /** How many exports wait for an answer. */
  get waiting(): number {
    return this.#held?.length ?? 0
  }

  /** Answers what waits, and what comes. */
  release(): void {
    const held = this.#held ?? []
    this.#held = undefined
    for (const go of held) go()
  }

  /** Ends as a crash would. */
  stop(): void {
    this.#held = undefined
    this.#server.forceShutdown()
  }

  [Symbol.dispose](): void {
    this.stop()
  }
}
