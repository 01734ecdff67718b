import {
  type ClientCallDetails,
  type ClientInterceptor,
  RpcError,
  type StreamStreamContinuation,
  type StreamUnaryContinuation,
  type UnaryStreamContinuation,
  type UnaryUnaryContinuation,
} from '@grpc-stack/grpc-core'

type Print = (line: string) => void

/** Multi-pattern logging interceptor. */
export class LoggingClientInterceptor implements ClientInterceptor {
  readonly #print: Print

  constructor(print: Print = console.log) {
    this.#print = print
  }

  async interceptUnaryUnary<Q, R>(
    continuation: UnaryUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): Promise<R> {
    return await this.#timed(details.method, async () => await continuation(details, request))
  }

  async *interceptUnaryStream<Q, R>(
    continuation: UnaryStreamContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): AsyncGenerator<R> {
    yield* this.#counted(details.method, continuation(details, request))
  }

  async interceptStreamUnary<Q, R>(
    continuation: StreamUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    requests: AsyncIterable<Q>,
  ): Promise<R> {
    return await this.#timed(details.method, async () => await continuation(details, requests))
  }

  async *interceptStreamStream<Q, R>(
    continuation: StreamStreamContinuation<Q, R>,
    details: ClientCallDetails,
    requests: AsyncIterable<Q>,
  ): AsyncGenerator<R> {
    yield* this.#counted(details.method, continuation(details, requests))
  }

  async #timed<R>(method: string, work: () => Promise<R>): Promise<R> {
    this.#print(`[CLIENT] Calling ${method}`)
    const start = performance.now()
    const duration = (): string => `${((performance.now() - start) / 1000).toFixed(3)}s`
    try {
      const response = await work()
      this.#print(`[CLIENT] ${method} completed in ${duration()}`)
      return response
    } catch (error) {
      this.#print(`[CLIENT] ${method} failed in ${duration()}: ${RpcError.from(error).message}`)
      throw error
    }
  }

  async *#counted<R>(method: string, responses: AsyncIterable<R>): AsyncGenerator<R> {
    this.#print(`[CLIENT] Starting stream ${method}`)
    let count = 0
    try {
      for await (const response of responses) {
        count++
        yield response
      }
      this.#print(`[CLIENT] Stream ${method} completed with ${count} responses`)
    } catch (error) {
      this.#print(`[CLIENT] Stream ${method} failed after ${count} responses: ${RpcError.from(error).message}`)
      throw error
    }
  }
}
