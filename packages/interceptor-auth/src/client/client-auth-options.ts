import type { ClientCall, Matcher, MethodPredicate } from '@grpc-stack/grpc-core'
import {
  accepts,
  bytes,
  flag,
  func,
  group,
  invalidOption,
  matcher,
  milliseconds,
  number,
  OptionKind,
  type OptionTable,
  oneOf,
  readOptions,
  text,
  type WallClock,
} from '@grpc-stack/grpc-core/authoring'
import { type Backoff, backoffTable, defaultBackoff } from '../identity-service/backoff.ts'
import { clock, textLike } from '../option-kinds.ts'
import { isSendable, type TokenProvider } from './token.ts'
import type { TokenCacheSettings } from './token-cache.ts'

/** Options of `clientAuth`. */
export interface ClientAuthOptions {
  /**
   * The token, or what gets it: a function, sync or async, that returns a string or `{ token, expiresAt }` with
   * `expiresAt` in epoch milliseconds. With `expiresAt` the token is kept and renewed ahead of expiry; a bare string says
   * nothing about its lifetime, so the function is asked for every call. Calls that wait for an asynchronous provider
   * share one request.
   *
   * Where the function runs, and whom its token is for, says `shared`.
   */
  readonly token: string | TokenProvider
  /**
   * Whether the token is that of this process, the same for all calls. `true`: one request serves all calls that wait, and
   * runs in the context of none: it sees no AsyncLocalStorage, no `ContextVar`, and inherits no call's deadline or
   * cancellation. `false`, for a function that answers by the user a call is made for: it is asked for every call, and
   * again if the server refuses the token, in that call's own context; nothing is kept.
   *
   * Default: `true` for a function declared `async`. Any other function is called in the call's own context, and a string it
   * returns at once is that call's alone; once it has returned a promise, it counts as `true`. A function that returns
   * promises and answers by user therefore needs `false`, or an `audience` that tells users apart.
   * `{ token, expiresAt }` is kept for all calls unless this is `false`, whichever function returns it.
   */
  readonly shared?: boolean
  /**
   * Send the token over connections that are not encrypted. Default: false, calls on such a connection fail with
   * UNAUTHENTICATED and nothing is sent, because a machine on the path that reads a bearer token can use it. Loopback is no exception.
   */
  readonly allowInsecure?: boolean
  /**
   * Who the token is for: handed to the provider, with a token of its own kept for each. A function sees the call, so
   * that a service can get tokens no other service accepts: `(call) => call.method.service`. Default: none, one token.
   */
  readonly audience?: string | ((call: ClientCall) => string | undefined)
  /**
   * Methods whose calls are repeated once, with a new token, when the server answers UNAUTHENTICATED and nothing of a
   * response has been delivered. Default: true, all; a token that was revoked or outlived by a key rotation then costs
   * a round trip and no error. Has no effect on a token given as a string.
   *
   * Request messages are kept for the repetition within `replay`, and on methods with a single request and a response
   * stream the response headers come with the first message.
   */
  readonly refreshOnUnauthenticated?: boolean | Matcher
  /**
   * How much of a request stream is kept for the repetition. Default: 64 KiB and 100 messages: an UNAUTHENTICATED
   * comes before a server has read anything, so only what a client sends within one round trip matters.
   */
  readonly replay?: { readonly maxBytes?: number; readonly maxMessages?: number }
  /** The metadata key. Default: `authorization`. */
  readonly header?: string
  /** What stands before the token, `''` for nothing. Default: `Bearer`. */
  readonly scheme?: string
  /**
   * What happens to a call that already carries the header. Default: `keep`, its own value is sent and no token is
   * asked for, since what is set on one call is meant for that call. `replace` overrides it. Either way there is one.
   */
  readonly callerHeader?: 'keep' | 'replace'
  /** How long before expiry, in milliseconds, a call starts a renewal in the background. Default: 60 000 (gRFC A97). */
  readonly refreshBeforeMs?: number
  /**
   * How long before expiry, in milliseconds, a token counts as expired, for clocks that differ and calls under way.
   * Default: 30 000 (gRFC A97). Both this and `refreshBeforeMs` shrink for tokens that live only minutes.
   */
  readonly expirySkewMs?: number
  /** How long one request to the provider may take, in milliseconds. Default: 10 000. A call waits until its deadline. */
  readonly timeoutMs?: number
  /**
   * Waits between failed requests to an asynchronous provider. Meanwhile calls fail at once with the last failure.
   * Default: 1 s growing by 1.6 to 120 s, each ±20 % at random.
   */
  readonly backoff?: Partial<Backoff>
  /** How many audiences are remembered. Default: 100. */
  readonly maxAudiences?: number
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: WallClock
  /** Numbers in [0, 1) for the jitter. Default: `Math.random`. */
  readonly random?: () => number
}

/** The same, checked and complete. */
export interface ClientAuthSettings extends TokenCacheSettings {
  readonly token: string | TokenProvider
  readonly allowInsecure: boolean
  readonly shared: boolean | undefined
  readonly audience: string | ((call: ClientCall) => string | undefined) | undefined
  readonly refreshes: MethodPredicate
  readonly replay: { readonly maxBytes: number; readonly maxMessages: number }
  readonly header: string
  /** Scheme and space. */
  readonly prefix: string
  readonly replaceHeader: boolean
  readonly maxAudiences: number
}

const WHERE = 'clientAuth'

const bareToken = new OptionKind<string>(
  ['a string'],
  (value) => typeof value === 'string',
  (value: string, place) => {
    if (isSendable(value)) return value
    const given = value === '' ? 'an empty string' : 'another text'
    throw invalidOption(place.where, place.path, 'visible ASCII without spaces, the bare token', given, String)
  },
)

const replayTable = {
  maxBytes: bytes({ min: 0, infinite: true }).default(64 * 1024),
  maxMessages: number({ min: 0, infinite: true }).default(100),
} satisfies OptionTable<NonNullable<ClientAuthOptions['replay']>>

// Where an option that is left out sends more, or to more callers, `undefined` is refused: it is a setting that was not found.
const table = {
  token: bareToken.or(func<TokenProvider>()).secret(),
  shared: flag()
    .optional()
    .refusingUndefined("write false if the token is that of the user a call is made for, true if it is this process's"),
  allowInsecure: flag().default(false),
  audience: text()
    .or(func<(call: ClientCall) => string | undefined>())
    .optional()
    .refusingUndefined('leave it out for one token for all services'),
  refreshOnUnauthenticated: flag().or(matcher()).default(true),
  replay: group(replayTable).default(readOptions(WHERE, {}, replayTable)),
  header: accepts('the name of a text metadata key', isTextKey).default('authorization'),
  scheme: textLike(/^[\x21-\x7e]*$/, 'one word, or empty').default('Bearer'),
  callerHeader: oneOf('keep', 'replace').default('keep').refusingUndefined('leave it out for "keep"'),
  refreshBeforeMs: milliseconds({ min: 0 }).default(60_000),
  expirySkewMs: milliseconds({ min: 0 }).default(30_000),
  timeoutMs: milliseconds({ min: 1 }).default(10_000),
  backoff: group(backoffTable).default(defaultBackoff),
  maxAudiences: number({ min: 1 }).default(100),
  clock,
  random: func<() => number>().default(Math.random),
} satisfies OptionTable<ClientAuthOptions>

function isTextKey(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-z_.-]+$/i.test(value) && !/-bin$|^grpc-/i.test(value)
}

/** @throws TypeError naming the option that is wrong. */
export function checkClientAuth(options: ClientAuthOptions): ClientAuthSettings {
  const { header, scheme, callerHeader, refreshOnUnauthenticated, ...others } = readOptions(WHERE, options, table)
  const { initialMs, maxMs } = others.backoff
  if (maxMs < initialMs) {
    throw invalidOption(WHERE, 'backoff.maxMs', `a number of milliseconds ≥ ${initialMs}, the initial one`, maxMs)
  }
  return {
    ...others,
    refreshes:
      typeof refreshOnUnauthenticated === 'boolean' ? () => refreshOnUnauthenticated : refreshOnUnauthenticated,
    header: header.toLowerCase(),
    prefix: scheme === '' ? '' : `${scheme} `,
    replaceHeader: callerHeader === 'replace',
  }
}
