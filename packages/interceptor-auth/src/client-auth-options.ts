import { type ClientCall, compileMatcher, type Matcher, type MethodPredicate } from '@grpc-stack/grpc-core'
import { type Backoff, defaultBackoff } from './backoff.ts'
import { type Clock, systemClock } from './clock.ts'
import { checkBoolean, checkFunction, checkNames, checkNumber, invalid, invalidAs, kindOf } from './option-checks.ts'
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
   * UNAUTHENTICATED and nothing is sent, because whoever can read a bearer token can use it. Loopback is no exception.
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
  readonly clock?: Clock
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
const NAMES = [
  'token',
  'shared',
  'allowInsecure',
  'audience',
  'refreshOnUnauthenticated',
  'replay',
  'header',
  'scheme',
  'callerHeader',
  'refreshBeforeMs',
  'expirySkewMs',
  'timeoutMs',
  'backoff',
  'maxAudiences',
  'clock',
  'random',
] as const satisfies readonly (keyof ClientAuthOptions)[]

/** @throws TypeError naming the option that is wrong. */
export function checkClientAuth(options: ClientAuthOptions): ClientAuthSettings {
  checkNames(WHERE, options, NAMES)
  const { token, audience, callerHeader = 'keep', header = 'authorization', scheme = 'Bearer' } = options
  if (typeof token === 'string') {
    // The value itself stays out of the message.
    if (!isSendable(token))
      throw invalidAs(WHERE, 'token', 'visible ASCII without spaces, the bare token', 'another text')
  } else if (typeof token !== 'function') throw invalidAs(WHERE, 'token', 'a string or a function', kindOf(token))
  if (audience !== undefined && typeof audience !== 'string') checkFunction(WHERE, 'audience', audience)
  if (callerHeader !== 'keep' && callerHeader !== 'replace') {
    throw invalid(WHERE, 'callerHeader', '"keep" or "replace"', callerHeader)
  }
  if (typeof header !== 'string' || !/^[0-9a-z_.-]+$/i.test(header) || /-bin$|^grpc-/i.test(header)) {
    throw invalid(WHERE, 'header', 'the name of a text metadata key', header)
  }
  if (scheme !== '' && !isSendable(scheme)) throw invalid(WHERE, 'scheme', 'one word, or empty', scheme)
  const { refreshOnUnauthenticated = true, replay = {} } = options
  checkNames(`${WHERE}: option "replay"`, replay, ['maxBytes', 'maxMessages'])
  return {
    token,
    shared: options.shared === undefined ? undefined : checkBoolean(WHERE, 'shared', options.shared),
    allowInsecure: checkBoolean(WHERE, 'allowInsecure', options.allowInsecure ?? false),
    audience,
    refreshes:
      typeof refreshOnUnauthenticated === 'boolean'
        ? () => refreshOnUnauthenticated
        : compileMatcher(refreshOnUnauthenticated, `${WHERE}: option "refreshOnUnauthenticated"`),
    replay: {
      maxBytes: checkNumber(WHERE, 'replay.maxBytes', replay.maxBytes ?? 64 * 1024, 0, true),
      maxMessages: checkNumber(WHERE, 'replay.maxMessages', replay.maxMessages ?? 100, 0, true),
    },
    header: header.toLowerCase(),
    prefix: scheme === '' ? '' : `${scheme} `,
    replaceHeader: callerHeader === 'replace',
    refreshBeforeMs: checkNumber(WHERE, 'refreshBeforeMs', options.refreshBeforeMs ?? 60_000, 0),
    expirySkewMs: checkNumber(WHERE, 'expirySkewMs', options.expirySkewMs ?? 30_000, 0),
    timeoutMs: checkNumber(WHERE, 'timeoutMs', options.timeoutMs ?? 10_000, 1),
    backoff: checkBackoff(options.backoff ?? {}),
    maxAudiences: checkNumber(WHERE, 'maxAudiences', options.maxAudiences ?? 100, 1),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  }
}

function checkBackoff(given: Partial<Backoff>): Backoff {
  checkNames(`${WHERE}: option "backoff"`, given, Object.keys(defaultBackoff))
  const backoff = { ...defaultBackoff, ...given }
  checkNumber(WHERE, 'backoff.initialMs', backoff.initialMs, 0)
  checkNumber(WHERE, 'backoff.maxMs', backoff.maxMs, backoff.initialMs)
  checkNumber(WHERE, 'backoff.multiplier', backoff.multiplier, 1)
  if (checkNumber(WHERE, 'backoff.jitter', backoff.jitter, 0) > 1) {
    throw invalid(WHERE, 'backoff.jitter', 'a number from 0 to 1', backoff.jitter)
  }
  return backoff
}
