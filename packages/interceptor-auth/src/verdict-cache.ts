import type { Clock } from './clock.ts'
import { LruMap } from './lru-map.ts'
import type { Accepted, Refused } from './outcome.ts'

/** Options of the cache of verifications. */
export interface CacheOptions {
  /**
   * How long a principal is believed without asking again, in milliseconds, at most until its `expiresAt`. Default:
   * 60 000: a revoked token or a withdrawn key is noticed within a minute.
   */
  readonly ttlMs?: number
  /** How long a refusal stands without asking again, in milliseconds. Default: 10 000. A verifier's outage is never kept. */
  readonly negativeTtlMs?: number
  /**
   * How many valid credentials are remembered; the one unused for longest makes room. Default: 10 000, a few MB with
   * ordinary claims. Only valid ones get here, so that nobody can fill it with rubbish.
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
  readonly #clock: Clock
  readonly #ttlMs: number
  readonly #negativeTtlMs: number
  readonly #accepted: LruMap<string, Entry<Accepted>>
  readonly #refused: LruMap<string, Entry<Refused>>

  constructor(options: Required<CacheOptions>, clock: Clock) {
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

  keep(digest: string, outcome: Accepted | Refused): void {
    const from = this.#clock.now()
    if (outcome.principal !== undefined) {
      const until = Math.min(from + this.#ttlMs, outcome.principal.expiresAt ?? Number.POSITIVE_INFINITY)
      if (until > from) this.#accepted.set(digest, { outcome, from, until })
      this.#refused.delete(digest)
    } else if (outcome.refusal === 'invalid' || outcome.refusal === 'denied') {
      // Without the cause, which may hold all of the token.
      const kept =
        outcome.by === undefined ? { refusal: outcome.refusal } : { refusal: outcome.refusal, by: outcome.by }
      if (this.#negativeTtlMs > 0) this.#refused.set(digest, { outcome: kept, from, until: from + this.#negativeTtlMs })
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
