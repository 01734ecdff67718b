import { Server, ServerCredentials } from '@grpc/grpc-js'
import { fieldsAt } from './protobuf.ts'

const TRACES = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const METRICS = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'

const asIs = (message: Buffer): Buffer => message

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
    // resource_spans, scope_spans, spans
    this.#take(TRACES, (request) => {
      this.spans += fieldsAt(request, [1, 2, 2]).length
    })
    // resource_metrics, scope_metrics, metrics, histogram, data_points, count
    this.#take(METRICS, (request) => {
      this.calls = fieldsAt(request, [1, 2, 2, 9, 1, 4]).reduce(
        (sum, count) => sum + Number(count.readBigUInt64LE()),
        0,
      )
    })
    this.#port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${this.#port}`, ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      )
    })
  }

  #take(path: string, take: (request: Buffer) => void): void {
    const handle = ({ request }: { request: Buffer }, answer: (error: null, response: Buffer) => void): void => {
      const go = (): void => {
        take(request)
        answer(null, Buffer.alloc(0))
      }
      if (this.#held === undefined) go()
      else this.#held.push(go)
    }
    this.#server.register(path, handle, asIs, asIs, 'unary')
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
