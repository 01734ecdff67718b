import { outsideRpc } from '@grpc-stack/grpc-core'
import {
  bytes,
  flag,
  func,
  milliseconds,
  type OptionTable,
  readOptions,
  text,
  type WallClock,
} from '@grpc-stack/grpc-core/authoring'
import { textOfCredentialAtOnce } from '../at-once.ts'
import { type Shareable, shareableAs, type Verdict } from '../contract/authenticator.ts'
import { InvalidTokenError, VerifierUnavailableError } from '../contract/verifier-errors.ts'
import { endpointUrl, type Fetch, fetchJson, fetchOption, shownUrl, url } from '../identity-service/bounded-fetch.ts'
import { type ClientIdentity, formOf, identityTable } from '../identity-service/client-identity.ts'
import { clock, texts } from '../option-kinds.ts'

/** What an introspection endpoint says of an active token, RFC 7662 §2.2. */
export type Introspected = Readonly<Record<string, unknown>>

/** Options of `introspection`. */
export interface IntrospectionOptions extends ClientIdentity {
  /** Where tokens are looked up. */
  readonly endpoint: string | URL
  /** The issuer of the token: the member `iss`. Default: not checked, any issuer that `endpoint` vouches for. */
  readonly issuer?: string
  /** The audience of the token: this, or one of these, must be in the member `aud`. Default: not checked. */
  readonly audience?: string | readonly string[]
  /** How far clocks may differ, in milliseconds. Default: 5000. */
  readonly clockToleranceMs?: number
  /**
   * The principal's subject; undefined refuses the token. Default: the member `sub`, which tokens of users have. Many
   * servers write no `sub` into tokens of clients, which are refused then: a client may have the name of a user. To take
   * them, name them apart:
   *
   *     subject: ({ sub, client_id }) => (sub === undefined ? `client:${client_id}` : `user:${sub}`)
   */
  readonly subject?: (token: Introspected) => string | undefined
  /** How long a request may take, in milliseconds. Default: 5000. */
  readonly timeoutMs?: number
  /** Largest answer in bytes. Default: 65 536. */
  readonly maxBytes?: number
  /** Default: Node's `fetch`. */
  readonly fetch?: Fetch
  /** Send tokens and the client's secret over http to other machines. Default: false. */
  readonly allowInsecure?: boolean
  /** Name of the authenticator, for policy rules, principals and `onDecision`. Default: `introspection`. */
  readonly name?: string
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: WallClock
}

const WHERE = 'introspection'

const table = {
  ...identityTable,
  endpoint: url,
  issuer: text().optional().refusingUndefined('leave it out to believe whatever issuer the endpoint vouches for'),
  audience: texts.optional().refusingUndefined('leave it out to take tokens for any audience'),
  clockToleranceMs: milliseconds({ min: 0 }).default(5000),
  subject: func<NonNullable<IntrospectionOptions['subject']>>()
    .default(defaultSubject)
    .refusingUndefined('leave it out for the member "sub"'),
  timeoutMs: milliseconds({ min: 1 }).default(5000),
  maxBytes: bytes({ min: 1 }).default(64 * 1024),
  fetch: fetchOption,
  allowInsecure: flag().default(false),
  name: text().default('introspection'),
  clock,
} satisfies OptionTable<IntrospectionOptions>

/**
 * A verifier of opaque tokens for `serverAuth({ verify })` that asks the server which issued them (RFC 7662). What it says is
 * kept as the option `cache` of `serverAuth` has it: a revoked token is noticed after `ttlMs`.
 *
 * An endpoint that does not answer, or gives an answer that is not one of RFC 7662, makes calls end with UNAVAILABLE.
 *
 * @throws TypeError for a wrong option.
 */
export function introspection(options: IntrospectionOptions): ((token: string) => Promise<Verdict>) & Shareable {
  const read = readOptions(WHERE, options, table)
  const { issuer, audience, clock, subject, clockToleranceMs } = read
  const address = endpointUrl(WHERE, 'endpoint', read.endpoint, read.allowInsecure)
  const shown = shownUrl(address)

  return shareableAs(read.name, async (token) => {
    const form = formOf(read, { token, token_type_hint: 'access_token' })
    const { status, body } = await outsideRpc(() => fetchJson(address, form, read))
    // A refusal here is of this server's own credentials, and says nothing about the token.
    if (status !== 200) throw new VerifierUnavailableError(`${WHERE}: ${shown} answered with HTTP ${status}`)
    if (typeof body?.active !== 'boolean') {
      throw new VerifierUnavailableError(`${WHERE}: ${shown} did not say whether the token is active`)
    }
    if (!body.active) return null
    const now = clock.now()
    const { iss, aud, exp, nbf } = body
    const expiresAt = exp === undefined ? undefined : millis(exp, 'exp') + clockToleranceMs
    if (expiresAt !== undefined && expiresAt <= now) throw new InvalidTokenError(`${WHERE}: the token has expired`)
    if (nbf !== undefined && millis(nbf, 'nbf') - clockToleranceMs > now) {
      throw new InvalidTokenError(`${WHERE}: the token is not valid yet`)
    }
    if (issuer !== undefined && iss !== issuer) throw new InvalidTokenError(`${WHERE}: the token is of another issuer`)
    if (audience !== undefined && ![aud].flat().some((one) => typeof one === 'string' && audience.includes(one))) {
      throw new InvalidTokenError(`${WHERE}: the token is for another audience`)
    }
    const name = textOfCredentialAtOnce(subject(body), `${WHERE}: option "subject"`)
    if (name === undefined || name === '') {
      throw new InvalidTokenError(
        `${WHERE}: the token names no subject; see the option "subject" for tokens of clients`,
      )
    }
    return { subject: name, claims: body, ...(expiresAt !== undefined && { expiresAt }) }
  })
}

function defaultSubject({ sub }: Introspected): string | undefined {
  return typeof sub === 'string' ? sub : undefined
}

function millis(seconds: unknown, name: string): number {
  if (typeof seconds === 'number' && Number.isFinite(seconds)) return seconds * 1000
  throw new InvalidTokenError(`${WHERE}: the member "${name}" is not a number`)
}
