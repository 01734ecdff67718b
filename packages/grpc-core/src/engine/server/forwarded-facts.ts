import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'

/** What grpc-js's call can be asked about its connection, for what stands in the place of that call. */
export abstract class ForwardedFacts {
  readonly #base: ServerInterceptingCallInterface

  /** @param base grpc-js's call */
  constructor(base: ServerInterceptingCallInterface) {
    this.#base = base
  }

  getPeer(): string {
    return this.#base.getPeer()
  }

  getHost(): string {
    return this.#base.getHost()
  }

  getAuthContext(): ReturnType<ServerInterceptingCallInterface['getAuthContext']> {
    return this.#base.getAuthContext()
  }

  getConnectionInfo(): ReturnType<ServerInterceptingCallInterface['getConnectionInfo']> {
    return this.#base.getConnectionInfo()
  }

  getMetricsRecorder(): ReturnType<ServerInterceptingCallInterface['getMetricsRecorder']> {
    return this.#base.getMetricsRecorder()
  }
}
