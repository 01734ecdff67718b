import type { ServerCall } from '@grpc-stack/grpc-core'
import { type Malformed, tokenIn } from './authorization-header.ts'
import type { Principal } from './principal.ts'

/** A verifier's answer: null or undefined when the credential is not valid. */
export type Verdict = Principal | null | undefined

/**
 * Establishes whose token this is. Refuses by returning null or throwing; what it may not know because it is down or
 * cut off, it says by throwing `VerifierUnavailableError`, an `RpcError` such as UNAVAILABLE, or a network error as
 * Node's modules throw it.
 *
 * A verifier that declares `call` may answer differently for each, so nothing it says is kept or shared; see the option
 * `cache`. What the principal may do is better asked in `authorize`.
 */
export type Verify = (token: string, call: ServerCall) => Verdict | Promise<Verdict>

/** One way to tell who makes a call. */
export interface Authenticator {
  /** For `onDecision`. */
  readonly name: string
  /**
   * The credential of this kind that the call brings, undefined when it brings none. Synchronous, looks at metadata and
   * connection only.
   */
  credential(call: ServerCall): string | Malformed | undefined
  /** As `Verify`. */
  verify(credential: string, call: ServerCall): Verdict | Promise<Verdict>
  /** Whether the answer depends on the credential alone, so that it may be kept and shared. */
  readonly cacheable: boolean
}

/** Options of `bearer`. */
export interface BearerOptions {
  /** The authorization scheme, matched without regard to case (RFC 9110). Default: `Bearer`. */
  readonly scheme?: string
  /** For `onDecision`. Default: the name of the verifier. */
  readonly name?: string
}

/** A verifier of tokens in the authorization header as an authenticator, for lists with several schemes. */
export function bearer(verify: Verify, options: BearerOptions = {}): Authenticator {
  const { scheme = 'Bearer', name = verify.name || scheme } = options
  const prefix = `${scheme.toLowerCase()} `
  return {
    name,
    credential: (call) => tokenIn(call.metadata.get('authorization'), prefix),
    verify: (token, call) => verify(token, call),
    cacheable: verify.length < 2,
  }
}
