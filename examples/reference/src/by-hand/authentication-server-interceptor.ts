import { status } from '@grpc/grpc-js'
import {
  abortHandler,
  type HandlerCallDetails,
  type RpcMethodHandler,
  type ServerInterceptor,
  type ServiceContinuation,
} from '@grpc-stack/grpc-core'
import { userIdVar } from './context-variables.ts'

export class InvalidTokenError extends Error {}

export interface TokenValidator {
  validateToken(token: string): string | Promise<string>
}

/** Validates authentication tokens. */
export class AuthenticationServerInterceptor implements ServerInterceptor {
  readonly #tokenValidator: TokenValidator
  /** Fits every kind of method and reads nothing: the answer comes at once. */
  readonly #refuse = abortHandler(status.UNAUTHENTICATED, 'Missing or invalid token')

  constructor(tokenValidator: TokenValidator) {
    this.#tokenValidator = tokenValidator
  }

  async interceptService(
    continuation: ServiceContinuation,
    details: HandlerCallDetails,
  ): Promise<RpcMethodHandler | null> {
    const [header, ...more] = details.invocationMetadata.get('authorization')
    const [, token] = /^bearer +(\S+)$/i.exec(String(header ?? '')) ?? []
    if (token === undefined || more.length > 0) return this.#refuse
    try {
      userIdVar.set(await this.#tokenValidator.validateToken(token))
    } catch (error) {
      if (error instanceof InvalidTokenError) return this.#refuse
      throw error
    }
    return await continuation(details)
  }
}
