import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'

/** `instanceof` holds for errors that any copy of this package made: an application may have several. */
function recognise(
  of: typeof InvalidTokenError | typeof VerifierUnavailableError | typeof WrongAnswerError,
  name: string,
): void {
  const mark = Symbol.for(`@grpc-stack/interceptor-auth.${name}`)
  Object.defineProperty(of.prototype, mark, { value: true })
  const { [Symbol.hasInstance]: ordinary } = Function.prototype
  Object.defineProperty(of, Symbol.hasInstance, {
    // Inherited by classes that applications derive, which have instances of their own only.
    value(this: unknown, value: unknown): boolean {
      if (this !== of) return ordinary.call(this as typeof of, value)
      return typeof value === 'object' && value !== null && mark in value
    },
  })
}

/** Thrown by a verifier: the credential is not valid. The message stays in this process. */
export class InvalidTokenError extends Error {
  override readonly name = 'InvalidTokenError'

  static {
    recognise(InvalidTokenError, 'InvalidTokenError')
  }
}

/** Thrown by a verifier: it cannot tell whether the credential is valid. The call ends with UNAVAILABLE. */
export class VerifierUnavailableError extends Error {
  override readonly name = 'VerifierUnavailableError'

  static {
    recognise(VerifierUnavailableError, 'VerifierUnavailableError')
  }
}

/**
 * A function of the set-up gave an answer that is none, such as a promise for a yes or no. Says nothing about the credential: the call
 * ends with INTERNAL.
 */
export class WrongAnswerError extends TypeError {
  override readonly name = 'WrongAnswerError'

  static {
    recognise(WrongAnswerError, 'WrongAnswerError')
  }
}

/** What a verifier's throw means for the call. */
export type Failure = 'invalid' | 'denied' | 'unavailable' | 'internal'

// What an RPC to an identity service says about the credential it was asked about. Every other code says that it could
// not be asked.
const BY_CODE: Partial<Record<Code, Failure>> = {
  [Code.UNAUTHENTICATED]: 'invalid',
  [Code.INVALID_ARGUMENT]: 'invalid',
  [Code.NOT_FOUND]: 'invalid',
  [Code.PERMISSION_DENIED]: 'denied',
}

// Codes of what went wrong between this server and the identity service, and so say nothing about a credential.
const OUTAGES: readonly RegExp[] = [
  // System errors of a connection, of name resolution, and of a process short of resources.
  /^E(CONN\w+|TIMEDOUT|PIPE|PROTO|NOTFOUND|AI_\w+|DNS\w*|HOSTUNREACH|HOSTDOWN|NETUNREACH|NETDOWN|NETRESET|ADDRNOTAVAIL|ADDRINUSE|MFILE|NFILE|NOBUFS|AGAIN|NOMEM)$/,
  // undici, which is Node's fetch; the HTTP parser; HTTP/2; sockets; streams that end too early.
  /^(UND_ERR\w*|HPE_\w+|ERR_HTTP\w*|ERR_SOCKET\w*|ERR_STREAM_\w+|ERR_PROXY\w*)$/,
  // TLS: what is at the other end is not what was expected there, or not trusted (Node: tls.md, X509 certificate error codes).
  /^(ERR_SSL_\w+|ERR_TLS_\w+|CERT_\w+|CRL_\w+|UNABLE_TO_\w+|DEPTH_ZERO_\w+|SELF_SIGNED_\w+|ERROR_IN_C\w+|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH)$/,
]

// Node's fetch reports what happened in `cause`; browsers' and other implementations only in words.
const FAILED_FETCH = /^(fetch failed|terminated|Failed to fetch|NetworkError|network error|Load failed)/i

/** What a verifier's throw means, and whether it says so definitely enough to be remembered. */
export interface Meaning {
  readonly refusal: Failure
  readonly definite: boolean
}

const OUTAGE: Meaning = { refusal: 'unavailable', definite: false }
const MISTAKE: Meaning = { refusal: 'internal', definite: false }
const UNKNOWN: Meaning = { refusal: 'invalid', definite: false }

/**
 * Sorts what a verifier threw:
 *
 *     InvalidTokenError                           the credential is not valid; may be remembered
 *     VerifierUnavailableError                    an outage
 *     WrongAnswerError                            a mistake in the set-up
 *     RpcError, as gRPC clients throw             by its code
 *     an error of the network, TLS, HTTP, fetch   an outage; also as a cause, and also without a code
 *     a system error of Node (errno, syscall)     an outage
 *     anything else                               refuses this call, as a parser or a signature check that throws means it to,
 *                                                 and is not remembered, as it may be a failure of the verifier's own
 */
export function meaningOf(error: unknown): Meaning {
  // Reading it may throw: it is a foreign object.
  try {
    if (error instanceof InvalidTokenError) return { refusal: 'invalid', definite: true }
    if (error instanceof VerifierUnavailableError) return OUTAGE
    if (error instanceof WrongAnswerError) return MISTAKE
    const rpcError = RpcError.from(error)
    if (rpcError === error || rpcError.cause !== error) {
      const refusal = BY_CODE[rpcError.code]
      return refusal === undefined ? OUTAGE : { refusal, definite: true }
    }
    return isOutage(error, 0) ? OUTAGE : UNKNOWN
  } catch {
    return UNKNOWN
  }
}

function isOutage(error: unknown, depth: number): boolean {
  if (typeof error !== 'object' || error === null || depth > 5) return false
  if (error instanceof VerifierUnavailableError) return true
  const { code, name, message, cause, errors, errno, syscall } = error as Record<string, unknown>
  if (typeof code === 'string' && OUTAGES.some((codes) => codes.test(code))) return true
  if (typeof syscall === 'string' && errno !== undefined) return true
  if (name === 'TimeoutError' || name === 'AbortError') return true
  if (error instanceof TypeError && typeof message === 'string' && FAILED_FETCH.test(message)) return true
  if (Array.isArray(errors) && errors.slice(0, 10).some((inner) => isOutage(inner, depth + 1))) return true
  return isOutage(cause, depth + 1)
}
