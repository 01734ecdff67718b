import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import {
  bytes,
  flag,
  milliseconds,
  type OptionTable,
  oneOf,
  readOptions,
  type WallClock,
} from '@grpc-stack/grpc-core/authoring'
import type { Token, TokenRequest } from '../client/token.ts'
import {
  endpointUrl,
  type Fetch,
  fetchJson,
  fetchOption,
  type JsonAnswer,
  url,
} from '../identity-service/bounded-fetch.ts'
import { type ClientIdentity, formOf, identityTable } from '../identity-service/client-identity.ts'
import { clock, texts, textsByName } from '../option-kinds.ts'

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
  readonly clock?: WallClock
}

const WHERE = 'clientCredentials'

const table = {
  ...identityTable,
  tokenEndpoint: url,
  scope: texts.optional().refusingUndefined('leave it out for the scopes that the server gives by itself'),
  audienceField: oneOf('audience', 'resource').default('audience'),
  fields: textsByName.default({}).refusingUndefined('leave it out for none'),
  defaultLifetimeMs: milliseconds({ min: 1 }).default(300_000),
  timeoutMs: milliseconds({ min: 1 }).default(10_000),
  maxBytes: bytes({ min: 1 }).default(64 * 1024),
  fetch: fetchOption,
  allowInsecure: flag().default(false),
  clock,
} satisfies OptionTable<ClientCredentialsOptions>

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
  const read = readOptions(WHERE, options, table)
  const { clock, audienceField, defaultLifetimeMs } = read
  const address = endpointUrl(WHERE, 'tokenEndpoint', read.tokenEndpoint, read.allowInsecure)
  const constant = {
    ...read.fields,
    grant_type: 'client_credentials',
    ...(read.scope !== undefined && { scope: read.scope.join(' ') }),
  }

  return async function clientCredentials({ audience, signal }) {
    // Its lifetime counts from before the request: the answer may have been long on the way.
    const askedAt = clock.now()
    const form = formOf(read, { ...constant, [audienceField]: audience })
    return tokenIn(await fetchJson(address, form, { ...read, signal }), askedAt, defaultLifetimeMs)
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
