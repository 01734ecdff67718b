import type { ServerCall } from '@grpc-stack/grpc-core'
import {
  func,
  OptionKind,
  type OptionTable,
  quoted,
  readOptions,
  readValue,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { oneOrMore, scheme } from '../option-kinds.ts'
import { type Malformed, tokenIn } from './authorization-header.ts'
import type { Principal } from './principal.ts'

/** A verifier's answer: null or undefined when the credential is not valid. */
export type Verdict = Principal | null | undefined

/**
 * Establishes whose token this is. Refuses by returning null or throwing; what it may not know because it is down or
 * cut off, it says by throwing `VerifierUnavailableError`, an `RpcError` such as UNAVAILABLE, or a network error as
 * Node's modules throw it.
 *
 * It is asked for every call, in the call's own context, and nothing it says is kept or shared, unless it is marked with
 * `shareable()`. What the principal may do is better asked in `authorize`.
 */
export interface Verify {
  (token: string, call: ServerCall): Verdict | Promise<Verdict>
  readonly shareable?: boolean
  /** Name of the authenticator that `serverAuth` and `bearer` make of it. Default: `bearer`, whatever the function is called. */
  readonly authenticator?: string
}

/** The mark of a verifier whose answer depends on the credential alone. */
export interface Shareable {
  readonly shareable: true
}

/**
 * Says that a verifier's answer depends on the token alone, so that calls with the same token may share it:
 *
 *     serverAuth({ verify: shareable(async (token) => (await sessions.find(token)) ?? null) })
 *
 * It gets the token and nothing of the call, and runs in no call's context: it sees no `ContextVar`, no AsyncLocalStorage of a
 * caller, and no deadline or cancellation but its own bound.
 *
 * @throws TypeError if it is given no function.
 */
export function shareable<A extends Verdict | Promise<Verdict>>(
  verify: ((token: string) => A) & { readonly authenticator?: string },
): ((token: string) => A) & Shareable {
  if (typeof verify !== 'function') {
    throw new TypeError(`shareable: the verifier must be a function of the token, got ${quoted(verify)}`)
  }
  return shareableAs(verify.authenticator, verify)
}

/** The same as the authenticator of this name. */
export function shareableAs<A extends Verdict | Promise<Verdict>>(
  authenticator: string | undefined,
  verify: (token: string) => A,
): ((token: string) => A) & Shareable {
  const alone = (token: string): A => verify(token)
  // For stack traces.
  Object.defineProperty(alone, 'name', { value: verify.name, configurable: true })
  return Object.assign(alone, { shareable: true, ...(authenticator !== undefined && { authenticator }) } as const)
}

interface AnyAuthenticator {
  /** For policy rules, principals and `onDecision`. */
  readonly name: string
  /**
   * The credential of this kind that the call brings, undefined when it brings none. Synchronous, looks at metadata and
   * connection only.
   */
  credential(call: ServerCall): string | Malformed | undefined
}

/** An authenticator whose answer depends on the credential alone: calls share it, it is kept, and it sees no call. */
export interface ShareableAuthenticator extends AnyAuthenticator, Shareable {
  /** As `Verify`. */
  verify(credential: string): Verdict | Promise<Verdict>
}

/** An authenticator that is asked for every call. */
export interface CallAuthenticator extends AnyAuthenticator {
  readonly shareable: false
  /** As `Verify`. */
  verify(credential: string, call: ServerCall): Verdict | Promise<Verdict>
}

/** One way to tell who makes a call. */
export type Authenticator = ShareableAuthenticator | CallAuthenticator

/** Options of `bearer`. */
export interface BearerOptions {
  /** The authorization scheme, matched without regard to case (RFC 9110). Default: `Bearer`. */
  readonly scheme?: string
  /** For policy rules, principals and `onDecision`. Default: what the verifier says, as `jwt` does, else `bearer`. */
  readonly name?: string
}

const bearerTable = {
  scheme: scheme.default('Bearer').refusingUndefined('leave it out for Bearer'),
  name: text().optional(),
} satisfies OptionTable<BearerOptions>

const verifier = func<Verify>()

const authenticator = new OptionKind<Authenticator>(
  ['an authenticator'],
  (value) => ['credential', 'verify'].every((name) => typeof (value as never)?.[name] === 'function'),
  (value: Authenticator, place) => {
    text().read(value.name, { ...place, path: `${place.path}.name` })
    return value
  },
)

/** Read as a list. */
export const authenticatorList: OptionKind<readonly (Verify | Authenticator)[]> = oneOrMore(
  verifier.or(authenticator).expecting('a function or an authenticator'),
  'a function or an authenticator, or a list of them',
)

/**
 * A verifier of tokens in the authorization header as an authenticator, for lists with several schemes.
 * @throws TypeError for a wrong option.
 */
export function bearer(verify: Verify, options: BearerOptions = {}): Authenticator {
  readValue('bearer', 'verify', verify, verifier)
  const { authenticator = 'bearer' } = verify
  readValue('bearer', 'verify.authenticator', authenticator, text())
  const { scheme, name = authenticator } = readOptions('bearer', options, bearerTable)
  const prefix = `${scheme.toLowerCase()} `
  const credential = (call: ServerCall) => tokenIn(call.metadata.get('authorization'), prefix)
  if (verify.shareable === true) {
    const alone = verify as (token: string) => Verdict | Promise<Verdict> // what `shareable: true` says of it
    return { name, credential, verify: (token) => alone(token), shareable: true }
  }
  return { name, credential, verify: (token, call) => verify(token, call), shareable: false }
}
