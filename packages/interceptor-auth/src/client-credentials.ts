import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import { endpointUrl, type Fetch, fetchJson, type JsonAnswer } from './bounded-fetch.ts'
import { type ClientIdentity, checkIdentity, formOf } from './client-identity.ts'
import { type Clock, systemClock } from './clock.ts'
import { checkBoolean, checkNames, checkNumber, checkText, invalid } from './option-checks.ts'
import type { Token, TokenRequest } from './token.ts'

/** Options of `clientCredentials`. */
export interface ClientCredentialsOptions extends ClientIdentity {
  /** Where tokens are issued. */
  readonly tokenEndpoint: string | URL
  /** Scopes to ask for, separated by spaces or as a list. Default: none, what the server gives. */
  readonly scope?: string | readonly string[]
  /**
   * The form field that takes the audience `clientAuth` asks for: `audience`, or `resource` as RFC 8707 has it. Default:
   * `audience`. Not sent without one.
   */
  readonly audienceField?: 'audience' | 'resource'
  /** Further form fields. */
  readonly fields?: Readonly<Record<string, string>>
  /** How long a token is used when the server does not say, in milliseconds. Default: 300 000. */
  readonly defaultLifetimeMs?: number
  /** How long a request may take, in milliseconds. Default: 10 000. */
  readonly timeoutMs?: number
  /** Largest answer in bytes. Default: 65 536. */
  readonly maxBytes?: number
  /** Default: Node's `fetch`. */
  readonly fetch?: Fetch
  /** Send the client's secret over http to other machines. Default: false. */
  readonly allowInsecure?: boolean
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: Clock
}

const WHERE = 'clientCredentials'
const NAMES = [
  'clientId',
  'clientSecret',
  'clientAuthentication',
  'tokenEndpoint',
  'scope',
  'audienceField',
  'fields',
  'defaultLifetimeMs',
  'timeoutMs',
  'maxBytes',
  'fetch',
  'allowInsecure',
  'clock',
] as const satisfies readonly (keyof ClientCredentialsOptions)[]

/**
 * A provider for `clientAuth({ token })` that gets tokens with the OAuth 2.0 client credentials grant (RFC 6749 §4.4):
 *
 *     clientAuth({ token: clientCredentials({ tokenEndpoint: 'https://id.example.com/token', clientId, clientSecret }) })
 *
 * Fails with UNAUTHENTICATED when the server refuses this client, and with UNAVAILABLE when it cannot be asked or gives an
 * answer that is none.
 *
 * @throws TypeError for a wrong option.
 */
export function clientCredentials(options: ClientCredentialsOptions): (request: TokenRequest) => Promise<Token> {
  checkNames(WHERE, options, NAMES)
  const identity = checkIdentity(WHERE, options)
  const { scope, audienceField = 'audience', fields = {}, clock = systemClock, tokenEndpoint } = options
  if (audienceField !== 'audience' && audienceField !== 'resource') {
    throw invalid(WHERE, 'audienceField', '"audience" or "resource"', audienceField)
  }
  const allowInsecure = checkBoolean(WHERE, 'allowInsecure', options.allowInsecure ?? false)
  const url = endpointUrl(WHERE, 'tokenEndpoint', tokenEndpoint, allowInsecure)
  const defaultLifetimeMs = checkNumber(WHERE, 'defaultLifetimeMs', options.defaultLifetimeMs ?? 300_000, 1)
  const bounds = {
    timeoutMs: checkNumber(WHERE, 'timeoutMs', options.timeoutMs ?? 10_000, 1),
    maxBytes: checkNumber(WHERE, 'maxBytes', options.maxBytes ?? 64 * 1024, 1),
    fetch: options.fetch ?? ((target, init) => fetch(target, init)),
    clock,
  } satisfies Parameters<typeof fetchJson>[2]
  const constant = {
    grant_type: 'client_credentials',
    scope:
      scope === undefined
        ? undefined
        : [scope]
            .flat()
            .map((word) => checkText(WHERE, 'scope', word))
            .join(' '),
  }

  return async function clientCredentials({ audience, signal }) {
    // Its lifetime counts from before the request: the answer may have been long on the way.
    const askedAt = clock.now()
    const form = formOf(identity, { ...fields, ...constant, [audienceField]: audience })
    return tokenIn(await fetchJson(url, form, { ...bounds, signal }), askedAt, defaultLifetimeMs)
  }
}

function tokenIn({ status, body }: JsonAnswer, askedAt: number, defaultLifetimeMs: number): Token {
  if (status === 400 || status === 401 || status === 403) {
    throw new RpcError(Code.UNAUTHENTICATED, `${WHERE}: the token endpoint refused: ${errorCode(body) ?? status}`)
  }
  if (status !== 200) throw new RpcError(Code.UNAVAILABLE, `${WHERE}: the token endpoint answered with HTTP ${status}`)
  const { access_token: token, token_type: type, expires_in: lifetime } = body ?? {}
  if (typeof token !== 'string' || token === '') {
    throw new RpcError(Code.UNAVAILABLE, `${WHERE}: the token endpoint answered without an access token`)
  }
  // RFC 6749 §7.1: a token of another type must not be used as if it were a bearer's.
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') {
    throw new RpcError(Code.UNAUTHENTICATED, `${WHERE}: the token endpoint gave a token that is not of type Bearer`)
  }
  // Some servers write the number as a text.
  const seconds = typeof lifetime === 'string' && lifetime !== '' ? Number(lifetime) : lifetime
  const known = typeof seconds === 'number' && Number.isFinite(seconds) && seconds >= 0
  return { token, expiresAt: askedAt + (known ? seconds * 1000 : defaultLifetimeMs) }
}

// RFC 6749 §5.2, §4.1.2.1, RFC 8707 §2.
const ERROR_CODES = [
  ...['invalid_request', 'invalid_client', 'invalid_grant', 'unauthorized_client', 'unsupported_grant_type'],
  ...['invalid_scope', 'invalid_target', 'access_denied', 'server_error', 'temporarily_unavailable'],
]

/** Only a known one: the text goes into a status, and an answer may quote what was sent. */
function errorCode(body: JsonAnswer['body']): string | undefined {
  return ERROR_CODES.find((code) => code === body?.error)
}
