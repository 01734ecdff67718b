import type { Matcher, MethodPredicate, ServerCall } from '@grpc-stack/grpc-core'
import {
  type Containment,
  contain,
  flag,
  func,
  group,
  integer,
  milliseconds,
  number,
  type OptionsOf,
  type OptionTable,
  readOptions,
  type WallClock,
} from '@grpc-stack/grpc-core/authoring'
import { type Authenticator, authenticatorList, bearer, type Verify } from '../contract/authenticator.ts'
import type { Principal } from '../contract/principal.ts'
import { clock, methods, scheme } from '../option-kinds.ts'
import { tellAuthenticators } from '../policy/authenticator-names.ts'
import type { Authorize } from '../policy/authorize.ts'
import { FailureLimit, type FailureLimitOptions } from '../verification/failure-limit.ts'
import type { Refusal } from '../verification/outcome.ts'
import { peerAddress } from '../verification/peer-address.ts'
import type { CacheOptions } from '../verification/verdict-cache.ts'
import type { VerificationSettings } from '../verification/verification.ts'

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
  /** Told of every decision, for audit logs. What it throws changes nothing for the call; the process warns once. */
  readonly onDecision?: (decision: Decision) => void
  /** Default: wall-clock time. `now()` is epoch milliseconds. */
  readonly clock?: WallClock
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
  /** Runs `onDecision`: an audit log that fails does not decide about calls. */
  readonly contained: Containment<'onDecision'>
  readonly timeoutMs: number
  readonly clock: WallClock
}

const WHERE = 'serverAuth'

const cacheTable = {
  ttlMs: milliseconds({ min: 0 }).default(60_000),
  negativeTtlMs: milliseconds({ min: 0 }).optional(),
  maxEntries: number({ min: 0 }).default(10_000),
  maxNegativeEntries: number({ min: 0 }).default(1000),
} satisfies OptionTable<CacheOptions>

const NEGATIVE_TTL_MS = 10_000

const failureLimitTable = {
  max: number({ min: 1 }),
  perMs: milliseconds({ min: 1 }).default(60_000),
  key: func<NonNullable<FailureLimitOptions['key']>>().default(peerAddress),
  maxKeys: integer({ min: 1 }).default(10_000),
} satisfies OptionTable<FailureLimitOptions>

// Where an option that is left out lets more pass, `undefined` is refused: it is a setting that was not found.
const table = {
  verify: authenticatorList,
  scheme: scheme.default('Bearer').refusingUndefined('leave it out for Bearer'),
  public: methods.default(() => false),
  authorize: func<Authorize>().optional().refusingUndefined('leave it out if every principal may do everything'),
  cache: flag().or(group(cacheTable)).default(true).refusingUndefined('write false for none, or leave it out'),
  timeoutMs: milliseconds({ min: 1 }).default(5000),
  maxConcurrent: number({ min: 1, infinite: true }).default(64),
  maxQueued: number({ min: 0, infinite: true }).default(1000),
  maxJoined: number({ min: 0, infinite: true }).default(1000),
  maxCredentialLength: number({ min: 1 }).default(8192),
  endStreamsOnExpiry: flag().default(false).refusingUndefined('write true or false'),
  failureLimit: group(failureLimitTable).optional().refusingUndefined('leave it out for no limit'),
  onDecision: func<NonNullable<ServerAuthOptions['onDecision']>>().optional(),
  clock,
} satisfies OptionTable<ServerAuthOptions>

/** @throws TypeError naming the option that is wrong. */
export function checkServerAuth(options: ServerAuthOptions): ServerAuthSettings {
  const read = readOptions(WHERE, options, table)
  const { authorize, onDecision, clock, timeoutMs, endStreamsOnExpiry } = read
  const { maxConcurrent, maxQueued, maxJoined, maxCredentialLength } = read
  const authenticators = read.verify.map((item) =>
    typeof item === 'function' ? bearer(item, { scheme: read.scheme }) : item,
  )
  const settings = {
    authenticators,
    isPublic: read.public,
    authorize,
    cache: cacheOf(read.cache),
    verification: { timeoutMs, maxConcurrent, maxQueued, maxJoined, maxCredentialLength, clock },
    endStreamsOnExpiry,
    failureLimit: read.failureLimit && new FailureLimit(read.failureLimit, clock),
    onDecision,
    contained: contain(WHERE),
    timeoutMs,
    clock,
  }
  // Last, since a policy remembers what it is told, for `replace()`.
  const names = authenticators.map(({ name }) => name)
  tellAuthenticators(authorize, WHERE, 'authorize.', names)
  return settings
}

function cacheOf(given: boolean | OptionsOf<typeof cacheTable>): Required<CacheOptions> | undefined {
  if (given === false) return undefined
  const read = given === true ? readOptions(WHERE, {}, cacheTable) : given
  // A server that must notice at once that a token was withdrawn must also notice that one was granted.
  const { ttlMs, negativeTtlMs = Math.min(NEGATIVE_TTL_MS, ttlMs) } = read
  return ttlMs > 0 || negativeTtlMs > 0 ? { ...read, negativeTtlMs } : undefined
}
