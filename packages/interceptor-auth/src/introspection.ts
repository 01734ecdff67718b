import { outsideRpc } from '@grpc-stack/grpc-core'
import { type Shareable, shareable, type Verdict } from './authenticator.ts'
import { endpointUrl, type Fetch, fetchJson, shownUrl } from './bounded-fetch.ts'
import { type ClientIdentity, checkIdentity, formOf } from './client-identity.ts'
import { type Clock, systemClock } from './clock.ts'
import { checkBoolean, checkFunction, checkNames, checkNumber, checkText } from './option-checks.ts'
import { InvalidTokenError, VerifierUnavailableError } from './verifier-errors.ts'

/** What an introspection endpoint says of an active token, RFC 7662 §2.2. */
export type Introspected = Readonly<Record<string, unknown>>

/** Options of `introspection`. */
export interface IntrospectionOptions extends ClientIdentity {
  /** Where tokens are looked up. */
  readonly endpoint: string | URL
  /** Who must have issued the token: the member `iss`. Default: not checked, whoever answers at `endpoint`. */
  readonly issuer?: string
  /** Whom the token must be for: this, or one of these, must be in the member `aud`. Default: not checked. */
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
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: Clock
}

const WHERE = 'introspection'
const NAMES = [
  'clientId',
  'clientSecret',
  'clientAuthentication',
  'endpoint',
  'issuer',
  'audience',
  'clockToleranceMs',
  'subject',
  'timeoutMs',
  'maxBytes',
  'fetch',
  'allowInsecure',
  'clock',
] as const satisfies readonly (keyof IntrospectionOptions)[]

/**
 * A verifier of opaque tokens for `serverAuth({ verify })` that asks the server which issued them (RFC 7662). What it says is
 * kept as the option `cache` of `serverAuth` has it: a revoked token is noticed after `ttlMs`.
 *
 * An endpoint that does not answer, or not as it should, makes calls end with UNAVAILABLE.
 *
 * @throws TypeError for a wrong option.
 */
export function introspection(options: IntrospectionOptions): ((token: string) => Promise<Verdict>) & Shareable {
  checkNames(WHERE, options, NAMES)
  const identity = checkIdentity(WHERE, options)
  const { issuer, clock = systemClock, subject = defaultSubject } = options
  checkFunction(WHERE, 'subject', subject)
  if (issuer !== undefined) checkText(WHERE, 'issuer', issuer)
  const audiences = [options.audience ?? []].flat().map((text) => checkText(WHERE, 'audience', text))
  const allowInsecure = checkBoolean(WHERE, 'allowInsecure', options.allowInsecure ?? false)
  const url = endpointUrl(WHERE, 'endpoint', options.endpoint, allowInsecure)
  const shown = shownUrl(url)
  const toleranceMs = checkNumber(WHERE, 'clockToleranceMs', options.clockToleranceMs ?? 5000, 0)
  const bounds = {
    timeoutMs: checkNumber(WHERE, 'timeoutMs', options.timeoutMs ?? 5000, 1),
    maxBytes: checkNumber(WHERE, 'maxBytes', options.maxBytes ?? 64 * 1024, 1),
    fetch: options.fetch ?? ((target, init) => fetch(target, init)),
    clock,
  } satisfies Parameters<typeof fetchJson>[2]

  return shareable(async function introspection(token) {
    const form = formOf(identity, { token, token_type_hint: 'access_token' })
    const { status, body } = await outsideRpc(() => fetchJson(url, form, bounds))
    // A refusal here is of this server's own credentials, and says nothing about the token.
    if (status !== 200) throw new VerifierUnavailableError(`${WHERE}: ${shown} answered with HTTP ${status}`)
    if (typeof body?.active !== 'boolean') {
      throw new VerifierUnavailableError(`${WHERE}: ${shown} did not say whether the token is active`)
    }
    if (!body.active) return null
    const now = clock.now()
    const { iss, aud, exp, nbf } = body
    const expiresAt = exp === undefined ? undefined : millis(exp, 'exp') + toleranceMs
    if (expiresAt !== undefined && expiresAt <= now) throw new InvalidTokenError(`${WHERE}: the token has expired`)
    if (nbf !== undefined && millis(nbf, 'nbf') - toleranceMs > now) {
      throw new InvalidTokenError(`${WHERE}: the token is not valid yet`)
    }
    if (issuer !== undefined && iss !== issuer) throw new InvalidTokenError(`${WHERE}: the token is of another issuer`)
    if (
      options.audience !== undefined &&
      ![aud].flat().some((one) => typeof one === 'string' && audiences.includes(one))
    ) {
      throw new InvalidTokenError(`${WHERE}: the token is for another audience`)
    }
    const name = subject(body)
    if (typeof name !== 'string' || name === '') {
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
