import { fileURLToPath } from 'node:url'
import { status as Code, loadPackageDefinition, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

/** A span as it came over the wire. */
export interface ReceivedSpan {
  readonly service: string
  readonly scope: string
  readonly name: string
  /** `SPAN_KIND_…` of the protocol: 1 internal, 2 server, 3 client. */
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  /** Unix time, milliseconds. */
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, unknown>>
  readonly status: { readonly code: number; readonly message: string }
}

interface KeyValue {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] }
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string }
      readonly spans: readonly {
        readonly traceId: Buffer
        readonly spanId: Buffer
        readonly parentSpanId: Buffer
        readonly name: string
        readonly kind: number
        readonly startTimeUnixNano: number
        readonly endTimeUnixNano: number
        readonly attributes: readonly KeyValue[]
        readonly status: { readonly code: number; readonly message: string } | null
      }[]
    }[]
  }[]
}

const attributesOf = (list: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(list.map(({ key, value }) => [key, Object.values(value)[0]]))

/** A collector: a gRPC server that keeps the spans it is sent over OTLP. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = []
  /** `http://127.0.0.1:port` */
  readonly endpoint: string
  /** Set to refuse what comes. */
  refuse = false
  readonly #server: Server
  #waiting: { readonly n: number; readonly resolve: () => void }[] = []

  private constructor(server: Server, port: number) {
    this.#server = server
    this.endpoint = `http://127.0.0.1:${port}`
  }

  static async start(): Promise<OtlpReceiver> {
    const definition = loadSync(fileURLToPath(new URL('./otlp-trace.proto', import.meta.url)), {
      longs: Number,
      defaults: true,
      oneofs: false,
    })
    loadPackageDefinition(definition)
    const server = new Server()
    let receiver: OtlpReceiver | undefined
    server.addService(definition['opentelemetry.proto.collector.trace.v1.TraceService'] as ServiceDefinition, {
      export: (call: { request: ExportRequest }, callback: (error: object | null, response?: object) => void) => {
        if (receiver?.refuse) callback({ code: Code.PERMISSION_DENIED, details: 'not here' })
        else {
          receiver?.receive(call.request)
          callback(null, {})
        }
      },
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    receiver = new OtlpReceiver(server, port)
    return receiver
  }

  /** Resolves when this many spans have come. */
  async count(n: number): Promise<readonly ReceivedSpan[]> {
    if (this.spans.length < n) await new Promise<void>((resolve) => this.#waiting.push({ n, resolve }))
    return this.spans
  }

  stop(): void {
    this.#server.forceShutdown()
  }

  receive(request: ExportRequest): void {
    for (const { resource, scopeSpans } of request.resourceSpans) {
      const service = String(attributesOf(resource.attributes)['service.name'])
      for (const { scope, spans } of scopeSpans) {
        for (const span of spans) {
          this.spans.push({
            service,
            scope: scope.name,
            name: span.name,
            kind: span.kind,
            traceId: span.traceId.toString('hex'),
            spanId: span.spanId.toString('hex'),
            parentSpanId: span.parentSpanId.toString('hex'),
            startMs: span.startTimeUnixNano / 1e6,
            endMs: span.endTimeUnixNano / 1e6,
            attributes: attributesOf(span.attributes),
            status: { code: span.status?.code ?? 0, message: span.status?.message ?? '' },
          })
        }
      }
    }
    for (const { n, resolve } of this.#waiting) if (this.spans.length >= n) resolve()
    this.#waiting = this.#waiting.filter(({ n }) => this.spans.length < n)
  }
}
