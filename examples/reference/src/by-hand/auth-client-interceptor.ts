import type { ClientCallDetails, UnaryUnaryClientInterceptor, UnaryUnaryContinuation } from '@grpc-stack/grpc-core'

export interface TokenProvider {
  getToken(): string | Promise<string>
}

/** Authentication interceptor. */
export class AuthClientInterceptor implements UnaryUnaryClientInterceptor {
  readonly #tokenProvider: TokenProvider

  constructor(tokenProvider: TokenProvider) {
    this.#tokenProvider = tokenProvider
  }

  async interceptUnaryUnary<Q, R>(
    continuation: UnaryUnaryContinuation<Q, R>,
    details: ClientCallDetails,
    request: Q,
  ): Promise<R> {
    const metadata = details.metadata.clone()
    metadata.set('authorization', `Bearer ${await this.#tokenProvider.getToken()}`)
    return await continuation(details.with({ metadata }), request)
  }
}
