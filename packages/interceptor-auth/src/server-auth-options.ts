import { compileMatcher, type Matcher, type MethodPredicate, type ServerCall } from '@grpc-stack/grpc-core'
import { type Authenticator, bearer, type Verify } from './authenticator.ts'
import { type Clock, systemClock } from './clock.ts'
import { FailureLimit, type FailureLimitOptions } from './failure-limit.ts'
import { checkBoolean, checkFunction, checkNames, checkNumber, invalid } from './option-checks.ts'
import type { Refusal } from './outcome.ts'
import type { Principal } from './principal.ts'
import type { CacheOptions } from './verdict-cache.ts'
import type { VerificationSettings } from './verification.ts'

/** Whether this principal may make this call. Only `true` lets it through. */
export type Authorize = (principal: Principal, call: ServerCall) => boolean | Promise<boolean>

/** What was decided about one call. */
export interface Decision {
  readonly call: ServerCall
  readonly allowed: boolean
  /** `public`, `authorized`, `unauthorized`, or why the credential was refused. Never sent to the peer. */
  readonly reason: 'public' | 'authorized' | 'unauthorized' | 'expired' | Refusal
  readonly principal?: Principal
  /** Name of the authenticator that decided. */
  readonly authenticator?: string
  /** What the verifier threw. It may quote the credential. */
  readonly cause?: unknown
}

/** Options of `serverAuth`. */
export interface ServerAuthOptions {
  /**
   * Establishes who is calling: a function of the bare token, an authenticator such as `apiKeys()` or `mtls()`, or a list
   * of both, tried in order until one accepts. An authenticator for which the call brings nothing is passed over.
   */
  readonly verify: Verify | Authenticator | readonly (Verify | Authenticator)[]
  /** The authorization scheme of verifiers that are functions, matched without regard to case. Default: `Bearer`. */
  readonly scheme?: string
  /**
   * Methods that need no credentials and get no principal. Default: none, not even health checks and reflection; for
   * those, `healthAndReflection` of grpc-core.
   */
  readonly public?: Matcher
  /** Decides what a principal may do, see `policy`. Default: everything. */
  readonly authorize?: Authorize
  /**
   * Keeping and sharing of what verifiers say. Only those that say it may be shared: `jwt()`, `introspection()`, `apiKeys()`
   * with a function, what is marked with `shareable()`, authenticators with `shareable: true`. All others are asked for every
   * call, whatever is set here. `false` and `{ ttlMs: 0 }` switch it off: no call is told another one's verdict. Default: on.
   */
  readonly cache?: boolean | CacheOptions
  /**
   * How long a verification or `authorize` may take, waiting for a place included, in milliseconds. Then UNAVAILABLE. Default:
   * 5000. With `failureLimit`, a call may wait as long before, for what is made of other credentials of its peer.
   */
  readonly timeoutMs?: number
  /**
   * Verifications under way at a time, per authenticator. Default: 64. A verifier that answers at once is not counted. One
   * address (of IPv6, one /64) gets three quarters of the places that other addresses leave.
   */
  readonly maxConcurrent?: number
  /**
   * Verifications waiting for their turn, per authenticator; beyond that, UNAVAILABLE at once. Default: 1000. One address may
   * fill the queue, and loses the end of it to addresses that wait with less. A call that ends gives its turn back.
   */
  readonly maxQueued?: number
  /**
   * Calls waiting for a verification that another call has begun, per authenticator: of the same credential, or, with
   * `failureLimit`, of others of their peer. Beyond that, UNAVAILABLE at once; shared out as `maxQueued` is. Default: 1000, some
   * 50 MB of waiting calls.
   */
  readonly maxJoined?: number
  /** Longest credential that is looked at, in characters. Default: 8192, what HTTP servers commonly take. */
  readonly maxCredentialLength?: number
  /**
   * End streams with UNAUTHENTICATED when the credential they began with expires. Default: false, since it breaks
   * clients that rely on long streams; a token is otherwise checked once, when the call begins.
   */
  readonly endStreamsOnExpiry?: boolean
  /**
   * Refuse a peer that has had many credentials refused, with RESOURCE_EXHAUSTED and unverified. Credentials known to be
   * have been valid for it still pass. Default: none, since peers behind one address share it.
   */
  readonly failureLimit?: FailureLimitOptions
  /** Told of every decision, for audit logs. What it throws is ignored. */
  readonly onDecision?: (decision: Decision) => void
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: Clock
}

/** The same, checked and complete. */
export interface ServerAuthSettings {
  readonly authenticators: readonly Authenticator[]
  readonly isPublic: MethodPredicate
  readonly authorize: Authorize | undefined
  /** How what a shareable authenticator said is kept. Undefined where calls share nothing. */
  readonly cache: Required<CacheOptions> | undefined
  readonly verification: VerificationSettings
  readonly endStreamsOnExpiry: boolean
  readonly failureLimit: FailureLimit | undefined
  readonly onDecision: ((decision: Decision) => void) | undefined
  readonly timeoutMs: number
  readonly clock: Clock
}

const WHERE = 'serverAuth'
const NAMES = [
  'verify',
  'scheme',
  'public',
  'authorize',
  'cache',
  'timeoutMs',
  'maxConcurrent',
  'maxQueued',
  'maxJoined',
  'maxCredentialLength',
  'endStreamsOnExpiry',
  'failureLimit',
  'onDecision',
  'clock',
] as const satisfies readonly (keyof ServerAuthOptions)[]

const CACHE = { ttlMs: 60_000, negativeTtlMs: 10_000, maxEntries: 10_000, maxNegativeEntries: 1000 }

/** @throws TypeError naming the option that is wrong. */
export function checkServerAuth(options: ServerAuthOptions): ServerAuthSettings {
  checkNames(WHERE, options, NAMES)
  const { authorize, onDecision, clock = systemClock } = options
  if (authorize !== undefined) checkFunction(WHERE, 'authorize', authorize)
  if (onDecision !== undefined) checkFunction(WHERE, 'onDecision', onDecision)
  const failureLimit = options.failureLimit && checkFailureLimit(options.failureLimit, clock)
  const timeoutMs = checkNumber(WHERE, 'timeoutMs', options.timeoutMs ?? 5000, 1)
  return {
    authenticators: checkAuthenticators(options.verify, checkScheme(options.scheme ?? 'Bearer')),
    isPublic: options.public === undefined ? () => false : compileMatcher(options.public, `${WHERE}: option "public"`),
    authorize,
    cache: checkCache(options.cache ?? true),
    verification: {
      timeoutMs,
      maxConcurrent: checkNumber(WHERE, 'maxConcurrent', options.maxConcurrent ?? 64, 1, true),
      maxQueued: checkNumber(WHERE, 'maxQueued', options.maxQueued ?? 1000, 0, true),
      maxJoined: checkNumber(WHERE, 'maxJoined', options.maxJoined ?? 1000, 0, true),
      maxCredentialLength: checkNumber(WHERE, 'maxCredentialLength', options.maxCredentialLength ?? 8192, 1),
      clock,
    },
    endStreamsOnExpiry: checkBoolean(WHERE, 'endStreamsOnExpiry', options.endStreamsOnExpiry ?? false),
    failureLimit,
    onDecision,
    timeoutMs,
    clock,
  }
}

function checkScheme(scheme: unknown): string {
  // RFC 9110: a scheme is a token.
  if (typeof scheme !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(scheme))
    throw invalid(WHERE, 'scheme', 'one word', scheme)
  return scheme
}

function checkAuthenticators(given: unknown, scheme: string): readonly Authenticator[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw invalid(WHERE, 'verify', 'a function, an authenticator or a list of them', given)
  return list.map((item, i) => {
    if (typeof item === 'function') return bearer(item as Verify, { scheme })
    const { credential, verify } = (item ?? {}) as Partial<Authenticator>
    if (typeof credential !== 'function' || typeof verify !== 'function') {
      throw invalid(WHERE, list === given ? `verify[${i}]` : 'verify', 'a function or an authenticator', item)
    }
    return item as Authenticator
  })
}

function checkCache(given: boolean | CacheOptions): Required<CacheOptions> | undefined {
  if (given === false) return undefined
  if (given === true) return CACHE
  checkNames(`${WHERE}: option "cache"`, given, Object.keys(CACHE))
  const ttlMs = given.ttlMs ?? CACHE.ttlMs
  // A server that must notice at once that a token was withdrawn must also notice that one was granted.
  const options = { ...CACHE, negativeTtlMs: Math.min(CACHE.negativeTtlMs, ttlMs), ...given }
  for (const name of ['ttlMs', 'negativeTtlMs', 'maxEntries', 'maxNegativeEntries'] as const) {
    checkNumber(WHERE, `cache.${name}`, options[name], 0)
  }
  return options.ttlMs > 0 || options.negativeTtlMs > 0 ? options : undefined
}

function checkFailureLimit(given: FailureLimitOptions, clock: Clock): FailureLimit {
  checkNames(`${WHERE}: option "failureLimit"`, given, ['max', 'perMs', 'key', 'maxKeys'])
  checkNumber(WHERE, 'failureLimit.max', given.max, 1)
  checkNumber(WHERE, 'failureLimit.perMs', given.perMs ?? 60_000, 1)
  checkNumber(WHERE, 'failureLimit.maxKeys', given.maxKeys ?? 10_000, 1)
  if (given.key !== undefined) checkFunction(WHERE, 'failureLimit.key', given.key)
  return new FailureLimit(given, clock)
}
