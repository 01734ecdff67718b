import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import { kindOf } from '@grpc-stack/grpc-core/authoring'
import { isParserError, summaryOf, withoutCredentials } from '../identity-service/failure-summary.ts'

/** A token and when it stops being valid. */
export interface Token {
  readonly token: string
  /**
   * Epoch milliseconds. `Infinity`: valid until the server refuses it. A token that has expired when it is returned is not
   * sent: the call fails with UNAUTHENTICATED.
   */
  readonly expiresAt: number
}

/** What a provider is asked for. */
export interface TokenRequest {
  /** Who the token is for, by the option `audience`; undefined without one. */
  readonly audience: string | undefined
  /** Aborts when the answer is no longer waited for. */
  readonly signal: AbortSignal
}

/**
 * Gets a token. A bare string says nothing about its lifetime, so the provider is asked again for the next call; a token
 * with `expiresAt` is kept and renewed ahead of time.
 */
export type TokenProvider = (request: TokenRequest) => string | Token | Promise<string | Token>

const SENDABLE = /^[\x21-\x7e]+$/

/** Whether a text can be sent as a credential: visible ASCII, no spaces. Anything else could end or forge a header. */
export function isSendable(text: unknown): text is string {
  return typeof text === 'string' && SENDABLE.test(text)
}

/**
 * What a provider gave.
 * @throws RpcError UNAUTHENTICATED if it is no token: a text that cannot be sent is like no credentials at all (gRFC A97).
 * The text of the error never quotes the token.
 */
export function tokenOf(given: unknown): string | Token {
  if (typeof given === 'string') {
    if (isSendable(given)) return given
    throw unusable(unsendable(given))
  }
  if (typeof given !== 'object' || given === null) {
    throw unusable(`returned ${kindOf(given)} instead of a string or { token, expiresAt }`)
  }
  const { token, expiresAt } = given as Partial<Token>
  if (!isSendable(token)) throw unusable(unsendable(token))
  if (expiresAt === undefined) return token
  if (typeof expiresAt !== 'number' || Number.isNaN(expiresAt)) {
    throw unusable(
      `returned an expiresAt that is ${Number.isNaN(expiresAt) ? 'NaN' : kindOf(expiresAt)} instead of epoch milliseconds`,
    )
  }
  return { token, expiresAt }
}

/** The status of calls whose token has expired already, by a lifetime that is not positive. */
export function expired(lifetimeMs: number): RpcError {
  return unusable(
    `returned a token that has expired: ${-lifetimeMs} ms ago by the clock of this machine, with expiresAt taken as epoch milliseconds`,
  )
}

function unusable(what: string): RpcError {
  return new RpcError(Code.UNAUTHENTICATED, `clientAuth: the token provider ${what}`)
}

function unsendable(token: unknown): string {
  if (typeof token !== 'string') return `returned a token that is ${kindOf(token)} instead of a string`
  if (token === '') return 'returned an empty token'
  return 'returned a token with spaces, control or non-ASCII characters, which cannot be sent'
}

/**
 * The status of calls that could get no token. A provider chooses its own by throwing an `RpcError`. Texts that may quote a
 * credential stay out of it, and an error that has one is not kept as the cause.
 */
export function noToken(error: unknown): RpcError {
  const known = RpcError.from(error)
  if (known === error || known.cause !== error) return known
  const text = !(error instanceof Error) ? `the provider threw ${kindOf(error)}` : error.message
  const why = isParserError(error) ? summaryOf(error) : withoutCredentials(text)
  const cause = why === text && error instanceof Error ? error : new Error(why)
  return new RpcError(Code.UNAVAILABLE, `clientAuth: no token: ${why}`, { cause })
}
