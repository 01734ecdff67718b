import {
  accepts,
  flag,
  func,
  group,
  listOf,
  milliseconds,
  type OptionsOf,
  type OptionTable,
  readOptions,
  text,
  type WallClock,
} from '@grpc-stack/grpc-core/authoring'
import {
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import { textOfCredentialAtOnce } from '../at-once.ts'
import { type Shareable, shareableAs, type Verdict } from '../contract/authenticator.ts'
import type { Principal } from '../contract/principal.ts'
import { InvalidTokenError, VerifierUnavailableError } from '../contract/verifier-errors.ts'
import { endpointUrl } from '../identity-service/bounded-fetch.ts'
import { summaryOf } from '../identity-service/failure-summary.ts'
import { clock, textLike, texts } from '../option-kinds.ts'
import { isCanonical } from './jwt-spelling.ts'
import { keySetOf } from './key-set.ts'
import { RemoteKeySet, type RemoteKeySetOptions, remoteTable } from './remote-key-set.ts'

/** Options of `jwt`. */
export interface JwtOptions {
  /** The issuer's public keys: where its JSON Web Key Set is, the set itself, or a function of jose's that finds a key. */
  readonly jwks: string | URL | JSONWebKeySet | JWTVerifyGetKey
  /** The issuer of the token, the claim `iss`; or several that are believed. */
  readonly issuer: string | readonly string[]
  /** The audience of the token: one of these must be in the claim `aud`. `false` for issuers that write none. */
  readonly audience: string | readonly string[] | false
  /**
   * Signature algorithms that are taken. Default: RS, PS and ES with SHA-256, -384 and -512, EdDSA and Ed25519. Only
   * asymmetric ones: with a shared secret a server that verifies tokens could also make them.
   */
  readonly algorithms?: readonly string[]
  /** How far clocks may differ, in milliseconds. Default: 5000. */
  readonly clockToleranceMs?: number
  /** Oldest token that is taken, by the claim `iat`, in milliseconds. Default: as long as it has not expired. */
  readonly maxTokenAgeMs?: number
  /** The header `typ` a token must have, such as `at+jwt` (RFC 9068). Default: any. */
  readonly typ?: string
  /** Claims a token must have besides `exp`. Default: none. */
  readonly requiredClaims?: readonly string[]
  /** The principal's subject; undefined refuses the token. Default: the claim `sub`. */
  readonly subject?: (claims: JWTPayload) => string | undefined
  /** How a key set is fetched. */
  readonly remote?: RemoteKeySetOptions
  /** Take keys over http from other machines. Default: false, since a machine on the path could put in its own. */
  readonly allowInsecure?: boolean
  /** Name of the authenticator, for policy rules, principals and `onDecision`. Default: `jwt`. */
  readonly name?: string
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: WallClock
  /** Numbers in [0, 1) for the jitter of retries. Default: `Math.random`. */
  readonly random?: () => number
}

const WHERE = 'jwt'

const algorithm = textLike(
  /^(RS|PS|ES)(256|384|512)$|^(EdDSA|Ed25519|ML-DSA-\d+)$/,
  'the name of an asymmetric signature algorithm',
)

const table = {
  jwks: accepts('a URL, a key set or a function', isKeySource),
  issuer: texts,
  audience: accepts('false', (value): value is false => value === false)
    .or(texts)
    .expecting('a text or a list of texts, or false for an issuer that writes no audience'),
  algorithms: listOf(algorithm, { min: 1, expected: 'a list of asymmetric signature algorithms' })
    .default([...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']])
    .refusingUndefined('leave it out for RS, PS, ES and EdDSA'),
  clockToleranceMs: milliseconds({ min: 0 }).default(5000),
  maxTokenAgeMs: milliseconds({ min: 1 }).optional().refusingUndefined('leave it out for tokens of any age'),
  typ: text().optional().refusingUndefined('leave it out for tokens of any type'),
  requiredClaims: texts.default([]).refusingUndefined('leave it out for none but "exp"'),
  subject: func<NonNullable<JwtOptions['subject']>>()
    .default((claims) => claims.sub)
    .refusingUndefined('leave it out for the claim "sub"'),
  remote: group(remoteTable).default(readOptions(WHERE, {}, remoteTable)),
  allowInsecure: flag().default(false),
  name: text().default('jwt'),
  clock,
  random: func<() => number>().default(Math.random),
} satisfies OptionTable<JwtOptions>

/**
 * A verifier of JSON Web Tokens for `serverAuth({ verify })`. The principal's subject is the claim `sub`, its claims are the
 * token's.
 *
 * A token must be signed by one of the issuer's keys with an allowed algorithm, be from the issuer, for the audience, and
 * neither expired nor from the future; it must say when it expires, and be spelt in the one canonical way. Keys that a token brings along (`jwk`, `jku`, `x5c`) are
 * ignored.
 *
 * @throws TypeError for a wrong option.
 */
export function jwt(options: JwtOptions): ((token: string) => Promise<Verdict>) & Shareable {
  const read = readOptions(WHERE, options, table)
  const { issuer, audience, algorithms, typ, maxTokenAgeMs, clockToleranceMs, clock, subject } = read
  const findKey = keysOf(read)
  const checks: JWTVerifyOptions = {
    issuer: [...issuer],
    ...(audience !== false && { audience: [...audience] }),
    algorithms: [...algorithms],
    clockTolerance: clockToleranceMs / 1000,
    requiredClaims: ['exp', ...read.requiredClaims],
    ...(typ !== undefined && { typ }),
    ...(maxTokenAgeMs !== undefined && { maxTokenAge: maxTokenAgeMs / 1000 }),
  }

  return shareableAs(read.name, async (token) => {
    const claims = await verified(token, findKey, { ...checks, currentDate: new Date(clock.now()) })
    const name = textOfCredentialAtOnce(subject(claims), `${WHERE}: option "subject"`)
    if (name === undefined || name === '') throw new InvalidTokenError('jwt: the token names no subject')
    // Checked by jose to be a number.
    const expiresAt = (claims.exp as number) * 1000 + clockToleranceMs
    return { subject: name, claims, expiresAt } satisfies Principal
  })
}

async function verified(token: string, findKey: JWTVerifyGetKey, checks: JWTVerifyOptions): Promise<JWTPayload> {
  if (!isCanonical(token)) throw new InvalidTokenError('jwt: not three parts of canonical base64url')
  try {
    return (await jwtVerify(token, findKey, checks)).payload
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return verifiedByOneOf(error, token, checks)
    throw refusal(error)
  }
}

// How many signature checks a forged token may cost.
const MOST_KEYS = 16

/** The token names no key, or several keys have the name: one of them must have signed it. */
async function verifiedByOneOf(
  keys: errors.JWKSMultipleMatchingKeys,
  token: string,
  checks: JWTVerifyOptions,
): Promise<JWTPayload> {
  let tried = 0
  for await (const key of keys) {
    try {
      return (await jwtVerify(token, key, checks)).payload
    } catch (error) {
      // An error of jose about anything else comes after the signature was found right.
      const otherKey = !(error instanceof errors.JOSEError) || error instanceof errors.JWSSignatureVerificationFailed
      if (!otherKey) throw refusal(error)
    }
    if (++tried === MOST_KEYS) break
  }
  throw new InvalidTokenError(`jwt: signed by none of the ${tried} keys it may be signed by`)
}

/**
 * What is wrong with a token, by class and code: texts and causes of jose quote the token where it could not be read. An
 * error that is none of jose's classes concerns the key, such as a modulus that is too short, and refuses the token as well.
 * Where keys cannot be looked up, the error is a VerifierUnavailableError already.
 */
function refusal(error: unknown): Error {
  if (error instanceof VerifierUnavailableError) return error
  const aboutClaim = error instanceof errors.JWTClaimValidationFailed || error instanceof errors.JWTExpired
  return new InvalidTokenError(`jwt: ${aboutClaim ? error.message : summaryOf(error)}`)
}

function isKeySource(value: unknown): value is JwtOptions['jwks'] {
  return typeof value === 'string' || typeof value === 'function' || (typeof value === 'object' && value !== null)
}

function keysOf({ jwks, remote, allowInsecure, clock, random }: OptionsOf<typeof table>): JWTVerifyGetKey {
  if (typeof jwks === 'function') return tellingOutages(jwks)
  if (typeof jwks === 'object' && !(jwks instanceof URL)) return keySetOf(jwks, remote.maxKeys)
  return new RemoteKeySet(endpointUrl(WHERE, 'jwks', jwks, allowInsecure), { ...remote, clock, random }).find
}

/** A finder of keys that fails for any other reason than the token's has nothing to say about the token. */
function tellingOutages(find: JWTVerifyGetKey): JWTVerifyGetKey {
  return async (header, token) => {
    try {
      return await find(header, token)
    } catch (error) {
      const aboutToken = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported]
      if (aboutToken.some((kind) => error instanceof kind)) throw error
      throw new VerifierUnavailableError(`jwt: the key could not be looked up: ${summaryOf(error)}`)
    }
  }
}
