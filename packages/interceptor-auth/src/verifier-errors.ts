import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'

/** Thrown by a verifier: the credential is not valid. The message stays in this process. */
export class InvalidTokenError extends Error {
  override readonly name = 'InvalidTokenError'
}

/** Thrown by a verifier: it cannot tell whether the credential is valid. The call ends with UNAVAILABLE. */
export class VerifierUnavailableError extends Error {
  override readonly name = 'VerifierUnavailableError'
}

/** What a verifier's throw means for the call. */
export type Failure = 'invalid' | 'denied' | 'unavailable'

// What an RPC to an identity service says about the credential it was asked about. Every other code says that it could
// not be asked.
const BY_CODE: Partial<Record<Code, Failure>> = {
  [Code.UNAUTHENTICATED]: 'invalid',
  [Code.INVALID_ARGUMENT]: 'invalid',
  [Code.NOT_FOUND]: 'invalid',
  [Code.PERMISSION_DENIED]: 'denied',
}

// System errors of a connection, of name resolution, and of undici, which is Node's fetch.
const NETWORK =
  /^(E(CONN\w+|TIMEDOUT|PIPE|NOTFOUND|AI_\w+|HOSTUNREACH|HOSTDOWN|NETUNREACH|NETDOWN|ADDRNOTAVAIL|MFILE|NFILE)|UND_ERR_\w+)$/

/**
 * Sorts what a verifier threw. A plain error means an invalid credential, because that is what a parser or a signature
 * check throws; a failure of the verifier is known by its class, its gRPC code, or the network error in its causes.
 */
export function failureOf(error: unknown): Failure {
  if (error instanceof VerifierUnavailableError) return 'unavailable'
  const rpcError = RpcError.from(error)
  if (rpcError === error || rpcError.cause !== error) return BY_CODE[rpcError.code] ?? 'unavailable'
  return isNetworkError(error, 0) ? 'unavailable' : 'invalid'
}

function isNetworkError(error: unknown, depth: number): boolean {
  if (typeof error !== 'object' || error === null || depth > 5) return false
  const { code, name, cause, errors } = error as Record<string, unknown>
  if (typeof code === 'string' && NETWORK.test(code)) return true
  if (name === 'TimeoutError' || name === 'AbortError') return true
  if (Array.isArray(errors) && errors.some((inner) => isNetworkError(inner, depth + 1))) return true
  return isNetworkError(cause, depth + 1)
}
