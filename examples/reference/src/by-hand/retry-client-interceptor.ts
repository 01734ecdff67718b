import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import {
  type ClientCallDetails,
  RpcError,
  type UnaryUnaryClientInterceptor,
  type UnaryUnaryContinuation,
} from '@grpc-stack/grpc-core'

/** Retry interceptor. */
export class RetryClientInterceptor implements UnaryUnaryClientInterceptor {
  readonly #maxRetries: number
  readonly #backoffFactorMs: number

  constructor(maxRetries = 3, backoffFactorMs = 1000) {
    this.#maxRetries = maxRetries
    this.#backoffFactorMs = backoffFactorMs
  }

  async interceptUnaryUnary<Q, R>(
    continuation: UnaryUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): Promise<R> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await continuation(details, request)
      } catch (error) {
        if (attempt === this.#maxRetries || !(error instanceof RpcError) || error.code !== status.UNAVAILABLE)
          throw error
        // Cancel and deadline end the call over the head of a sleeping interceptor.
        await sleep(this.#backoffFactorMs * 2 ** attempt * Math.random())
      }
    }
  }
}
