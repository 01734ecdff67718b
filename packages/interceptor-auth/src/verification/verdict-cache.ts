import type { WallClock } from '@grpc-stack/grpc-core/authoring'
import { LruMap } from '@grpc-stack/grpc-core/authoring'
import type { Accepted, Refused } from './outcome.ts'

/** Options of the cache of verifications. */
export interface CacheOptions {
  /**
   * How long a principal is believed without asking again, in milliseconds from when the verifier was asked, at most until
   * its `expiresAt`. Default: 60 000: a revoked token or a withdrawn key is noticed within a minute. 0: each call is verified
   * by itself, and calls at the same time share nothing either.
   */
  readonly ttlMs?: number
  /**
   * How long a refusal stands without asking again, in milliseconds from when the verifier was asked. Default: 10 000, or
   * `ttlMs` where that is less. A verifier's outage is never kept, nor is an exception that does not say what it means.
   */
  readonly negativeTtlMs?: number
  /**
   * How many valid credentials are remembered; the one unused for longest makes room. Default: 10 000, a few MB with
   * ordinary claims. Only valid ones get here, so that a caller cannot fill it with made-up ones.
   */
  readonly maxEntries?: number
  /** How many invalid credentials are remembered, apart from the valid ones. Default: 1000, some 100 kB. */
  readonly maxNegativeEntries?: number
}

interface Entry<T> {
  readonly outcome: T
  readonly from: number
  readonly until: number
}

/** Outcomes by the digest of the credential. Valid ones and refusals do not compete for room. */
export class VerdictCache {
  readonly #clock: WallClock
  readonly #ttlMs: number
  readonly #negativeTtlMs: number
  readonly #accepted: LruMap<string, Entry<Accepted>>
  readonly #refused: LruMap<string, Entry<Refused>>

  constructor(options: Required<CacheOptions>, clock: WallClock) {
    this.#clock = clock
    this.#ttlMs = options.ttlMs
    this.#negativeTtlMs = options.negativeTtlMs
    this.#accepted = new LruMap(options.maxEntries)
    this.#refused = new LruMap(options.maxNegativeEntries)
  }

  get(digest: string): Accepted | Refused | undefined {
    const now = this.#clock.now()
    return current(this.#accepted, digest, now) ?? current(this.#refused, digest, now)
  }

  /** Whether a call may be told what another call's verification, asked at this time, will say. */
  mayShare(askedAt: number | undefined): boolean {
    if (this.#ttlMs === 0) return false
    if (askedAt === undefined) return true
    const age = this.#clock.now() - askedAt
    return age >= 0 && age < this.#ttlMs
  }

  /**
   * Keeps what a verifier that was asked at `from` has said. Time counts from then: what it saw may have changed while the
   * answer was on its way.
   */
  keep(digest: string, outcome: Accepted | Refused, from: number): void {
    const now = this.#clock.now()
    const known = this.#accepted.get(digest) ?? this.#refused.get(digest)
    // Asked before, answered after: what was asked later knows better.
    if (known !== undefined && known.from > from && known.from <= now) return
    if (outcome.principal !== undefined) {
      const until = Math.min(from + this.#ttlMs, outcome.principal.expiresAt ?? Number.POSITIVE_INFINITY)
      if (until > now) this.#accepted.set(digest, { outcome, from, until })
      this.#refused.delete(digest)
    } else if (outcome.definite) {
      // Without the cause, which may hold all of the token.
      const { refusal, by } = outcome
      const kept: Refused = { refusal, definite: true, ...(by !== undefined && { by }) }
      const until = from + this.#negativeTtlMs
      if (until > now) this.#refused.set(digest, { outcome: kept, from, until })
      this.#accepted.delete(digest)
    }
  }
}

function current<T extends object>(map: LruMap<string, Entry<T>>, digest: string, now: number): T | undefined {
  const entry = map.get(digest)
  if (entry === undefined) return undefined
  // A clock that was set back must not stretch the time.
  if (now < entry.until && now >= entry.from) return entry.outcome
  map.delete(digest)
  return undefined
}
