import { Server, ServerCredentials } from '@grpc/grpc-js'

const paths = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  metrics: '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export',
}

/** An OpenTelemetry collector that keeps what it is sent, as it came. */
export class Collector {
  readonly received: Record<keyof typeof paths, Buffer[]> = { traces: [], metrics: [] }
  readonly #server = new Server()
  #port = 0

  async start(): Promise<void> {
    for (const kind of ['traces', 'metrics'] as const) {
      this.#server.register(
        paths[kind],
        (call: { request: Buffer }, answer: (error: null, response: Buffer) => void) => {
          this.received[kind].push(call.request)
          answer(null, Buffer.alloc(0))
        },
        (bytes: Buffer) => bytes,
        (bytes: Buffer) => bytes,
        'unary',
      )
    }
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      )
    })
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** Whether a text is in what was received: names are plain UTF-8 in protobuf. */
  has(kind: keyof typeof paths, text: string): boolean {
    return this.received[kind].some((message) => message.includes(text))
  }

  [Symbol.dispose](): void {
    this.#server.forceShutdown()
  }
}
