import { bytes, milliseconds, number, runShared, type WallClock } from '@grpc-stack/grpc-core/authoring'
import { errors, type JWTVerifyGetKey } from 'jose'
import { VerifierUnavailableError } from '../contract/verifier-errors.ts'
import { backoffDelay } from '../identity-service/backoff.ts'
import { type Fetch, fetchJson, fetchOption, shownUrl } from '../identity-service/bounded-fetch.ts'
import { type TableOf, textsByName } from '../option-kinds.ts'
import { keySetOf } from './key-set.ts'

/** Options of a key set that is fetched. */
export interface RemoteKeySetOptions {
  /** How long fetched keys are used without looking again, in milliseconds. Default: 600 000. */
  readonly maxAgeMs?: number
  /**
   * How long, in milliseconds, a token with an unknown key waits for the next fetch after the last one. Default: 30 000.
   * Callers can make up key ids; this bounds how often that reaches the issuer.
   */
  readonly cooldownMs?: number
  /** How long a fetch may take, in milliseconds. Default: 5000. */
  readonly timeoutMs?: number
  /**
   * How much longer than `maxAgeMs` keys are used while fetching fails, in milliseconds. Default: 86 400 000, a day:
   * an outage of the issuer should not become one of every server that trusts it.
   */
  readonly staleIfErrorMs?: number
  /** Largest answer in bytes. Default: 262 144. */
  readonly maxBytes?: number
  /** Most keys in a set. Default: 100. */
  readonly maxKeys?: number
  /** Sent with the request. */
  readonly headers?: Readonly<Record<string, string>>
  /** Default: Node's `fetch`. */
  readonly fetch?: Fetch
}

export const remoteTable: TableOf<RemoteKeySetOptions> = {
  maxAgeMs: milliseconds({ min: 1 }).default(600_000),
  cooldownMs: milliseconds({ min: 0 }).default(30_000),
  timeoutMs: milliseconds({ min: 1 }).default(5000),
  staleIfErrorMs: milliseconds({ min: 0 }).default(86_400_000),
  maxBytes: bytes({ min: 1 }).default(256 * 1024),
  maxKeys: number({ min: 1 }).default(100),
  headers: textsByName.default({}),
  fetch: fetchOption,
}

export type RemoteKeySetSettings = Required<RemoteKeySetOptions> & {
  readonly clock: WallClock
  readonly random: () => number
}

interface Keys {
  readonly find: JWTVerifyGetKey
  readonly fetchedAt: number
}

// In the last fifth of their time keys are fetched again in the background, so that no call waits for them.
const AHEAD = 4 / 5
const BACKOFF = { initialMs: 1000, maxMs: 30_000, multiplier: 1.6, jitter: 0.2 }

/**
 * An issuer's keys, fetched when needed and kept.
 *
 *     age of the keys                    a token's key is              and starts
 *     < 4/5 maxAge                       looked up                     nothing
 *     < maxAge                           looked up                     a fetch in the background
 *     < maxAge + staleIfError            looked up after the fetch,    a fetch, unless backing off
 *                                        whether or not it worked
 *     older, or never had any            looked up after the fetch,    a fetch, unless backing off
 *                                        unavailable if it failed
 *
 * A key that is not found is looked for once more in a set fetched since, at most every `cooldownMs`. All tokens share one
 * fetch, which runs in the context of no call. After a failed one, a backoff passes before the next.
 */
export class RemoteKeySet {
  readonly #url: string
  readonly #settings: RemoteKeySetSettings
  #keys: Keys | undefined
  #flight: Promise<void> | undefined
  #triedAt = Number.NEGATIVE_INFINITY
  #failures = 0
  #failure: unknown
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(url: string, settings: RemoteKeySetSettings) {
    this.#url = url
    this.#settings = settings
  }

  /** Finds the key a token names. @throws VerifierUnavailableError where the keys cannot be had. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const keys = await this.#current()
    try {
      return await keys.find(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      const newer = await this.#newerThan(keys)
      if (newer === undefined) throw error
      return await newer.find(header, token)
    }
  }

  async #current(): Promise<Keys> {
    const { clock, maxAgeMs, staleIfErrorMs } = this.#settings
    const now = clock.now()
    const keys = this.#keys
    const age = keys === undefined ? Number.POSITIVE_INFINITY : now - keys.fetchedAt
    if (keys !== undefined && age < maxAgeMs) {
      if (age >= maxAgeMs * AHEAD) void this.#refresh(now)
      return keys
    }
    await this.#refresh(now)
    const latest = this.#keys
    if (latest !== undefined && clock.now() - latest.fetchedAt < maxAgeMs + staleIfErrorMs) return latest
    throw this.#unavailable()
  }

  /** Keys other than these, after a fetch if one is due; undefined if it is too early to ask again. */
  async #newerThan(keys: Keys): Promise<Keys | undefined> {
    if (this.#keys !== keys) return this.#keys
    const now = this.#settings.clock.now()
    if (this.#flight === undefined && this.#failures === 0 && now - this.#triedAt < this.#settings.cooldownMs)
      return undefined
    await this.#refresh(now)
    if (this.#keys !== keys) return this.#keys
    // Whether the issuer has this key is not known: the token may be good.
    throw this.#unavailable()
  }

  /** Never rejects; the failure is kept. */
  #refresh(now: number): Promise<void> {
    if (this.#flight !== undefined) return this.#flight
    if (now < this.#retryAt) return Promise.resolve()
    this.#flight = runShared(() => this.#fetch())
    return this.#flight
  }

  async #fetch(): Promise<void> {
    const { clock, headers, maxKeys, random } = this.#settings
    try {
      const init = { headers: { accept: 'application/jwk-set+json, application/json', ...headers } }
      const { status, body } = await fetchJson(this.#url, init, this.#settings)
      if (status !== 200)
        throw new VerifierUnavailableError(`${shownUrl(this.#url)} answered with HTTP status ${status}`)
      this.#keys = { find: keySetOf(body, maxKeys), fetchedAt: clock.now() }
      this.#failures = 0
      this.#failure = undefined
      this.#retryAt = Number.NEGATIVE_INFINITY
    } catch (error) {
      this.#failures++
      this.#failure = error
      this.#retryAt = clock.now() + backoffDelay(BACKOFF, this.#failures, random)
    } finally {
      this.#triedAt = clock.now()
      this.#flight = undefined
    }
  }

  #unavailable(): VerifierUnavailableError {
    const why = this.#failure instanceof Error ? this.#failure.message : String(this.#failure)
    return new VerifierUnavailableError(`jwt: no keys from ${shownUrl(this.#url)}: ${why}`, { cause: this.#failure })
  }
}
