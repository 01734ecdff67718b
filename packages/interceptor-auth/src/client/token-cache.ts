import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import type { WallClock } from '@grpc-stack/grpc-core/authoring'
import { isThenable } from '@grpc-stack/grpc-core/authoring'
import { type Backoff, backoffDelay } from '../identity-service/backoff.ts'
import { ProviderContext } from './provider-context.ts'
import { expired, noToken, type Token, type TokenProvider, type TokenRequest, tokenOf } from './token.ts'

export interface TokenCacheSettings {
  readonly refreshBeforeMs: number
  readonly expirySkewMs: number
  readonly timeoutMs: number
  readonly backoff: Backoff
  readonly clock: WallClock
  readonly random: () => number
}

interface Held extends Token {
  /** From here on a call starts a renewal in the background. */
  readonly refreshAt: number
  /** From here on calls wait for the renewal. */
  readonly staleAt: number
}

// A short-lived token is renewed in the last fifth of its life and distrusted in the last tenth, whatever the options.
const REFRESH_SHARE = 1 / 5
const SKEW_SHARE = 1 / 10

/**
 * One token, kept and renewed.
 *
 *     state      holds when                        a call gets                     and starts
 *     fresh      now < refreshAt                   the token                       nothing
 *     ageing     refreshAt ≤ now < staleAt         the token                       a renewal in the background
 *     stale      staleAt ≤ now < expiresAt         the renewed token, else this    a renewal, unless backing off
 *     none       now ≥ expiresAt, or never had     the fetched token               a fetch, unless backing off
 *
 * All calls share one flight, which runs in the context of none of them (see `ProviderContext`): a call that ends while it
 * waits takes nothing from the others. While backing off from a failed fetch nothing is started: without a token calls fail at
 * once with the last failure. Nothing happens while no call is made (gRFC A97).
 */
export class TokenCache {
  readonly #provider: ProviderContext
  readonly #audience: string | undefined
  readonly #settings: TokenCacheSettings
  #held: Held | undefined
  #flight: Promise<string> | undefined
  #failures = 0
  #failure: RpcError | undefined
  #retryAt = Number.NEGATIVE_INFINITY
  #rejections = 0
  #replaceAt = Number.NEGATIVE_INFINITY

  constructor(provider: TokenProvider | ProviderContext, audience: string | undefined, settings: TokenCacheSettings) {
    this.#provider = provider instanceof ProviderContext ? provider : new ProviderContext(provider, undefined)
    this.#audience = audience
    this.#settings = settings
  }

  /**
   * The token to send now; a promise only when there is something to wait for.
   * @throws RpcError when there is none and none can be fetched now.
   */
  get(): string | Promise<string> {
    const now = this.#settings.clock.now()
    const held = this.#held
    if (held !== undefined) {
      if (now < held.refreshAt) return held.token
      const renewing = this.#flight !== undefined
      const backingOff = now < this.#retryAt
      if (now < held.staleAt) {
        if (!renewing && !backingOff) this.#renewInBackground()
        return held.token
      }
      if (now < held.expiresAt && backingOff && !renewing) return held.token
    }
    return this.#flight ?? this.#start()
  }

  /**
   * The server refused this token. Returns the one to try instead, undefined when there is no other.
   *
   * A token obtained after a refusal and refused too is not replaced before a backoff has passed: a server that refuses
   * everything must not turn every call into a request to the token endpoint.
   */
  replace(rejected: string): string | Promise<string> | undefined {
    const now = this.#settings.clock.now()
    const held = this.#held
    // Someone else's refusal has already brought a new one.
    if (held !== undefined && held.token !== rejected && now < held.expiresAt) return held.token
    if (this.#flight !== undefined) return this.#flight
    if (now < this.#replaceAt) return undefined
    this.#rejections++
    this.#replaceAt = now + this.#delay(this.#rejections)
    this.#held = undefined
    return this.#start()
  }

  /** The server took the current token. */
  accepted(): void {
    if (this.#rejections === 0) return
    this.#rejections = 0
    this.#replaceAt = Number.NEGATIVE_INFINITY
  }

  #renewInBackground(): void {
    try {
      const renewal = this.#start()
      if (typeof renewal !== 'string') renewal.catch(() => undefined)
    } catch {
      // The current token still holds; a call that finds none left fails with the reason.
    }
  }

  #start(): string | Promise<string> {
    if (this.#failure !== undefined && this.#settings.clock.now() < this.#retryAt) throw this.#failure
    const request = new Request(this.#audience)
    let given: string | Token | Promise<string | Token>
    try {
      given = this.#provider.ask(request)
    } catch (error) {
      // No backoff: a provider that answers at once is cheap to ask again, and its user may be logging in just now.
      return this.#heldElse(noToken(error))
    }
    if (!isThenable(given)) {
      try {
        return this.#keep(given)
      } catch (error) {
        return this.#heldElse(noToken(error))
      }
    }
    const waiting = given
    this.#flight = this.#provider.runShared(() => this.#fly(waiting, request))
    return this.#flight
  }

  async #fly(given: Promise<string | Token>, request: Request): Promise<string> {
    const { clock, timeoutMs } = this.#settings
    let timer: unknown
    try {
      const late = new Promise<never>((_, reject) => {
        timer = clock.setTimeout(() => {
          const error = new RpcError(Code.UNAVAILABLE, `clientAuth: no token within ${timeoutMs} ms`)
          request.abort(error)
          reject(error)
        }, timeoutMs)
      })
      const token = this.#keep(await Promise.race([given, late]))
      this.#failures = 0
      this.#retryAt = Number.NEGATIVE_INFINITY
      this.#failure = undefined
      return token
    } catch (error) {
      this.#failures++
      this.#failure = noToken(error)
      this.#retryAt = clock.now() + this.#delay(this.#failures)
      return this.#heldElse(this.#failure)
    } finally {
      clock.clearTimeout(timer)
      this.#flight = undefined
    }
  }

  /** @throws RpcError for what is no token, or one that a server could only refuse. */
  #keep(given: unknown): string {
    const token = tokenOf(given)
    if (typeof token === 'string') {
      this.#held = undefined
      return token
    }
    const now = this.#settings.clock.now()
    const lifetime = token.expiresAt - now
    if (lifetime <= 0) throw expired(lifetime)
    const { refreshBeforeMs, expirySkewMs } = this.#settings
    this.#held = {
      token: token.token,
      expiresAt: token.expiresAt,
      refreshAt: token.expiresAt - Math.min(refreshBeforeMs, lifetime * REFRESH_SHARE),
      staleAt: token.expiresAt - Math.min(expirySkewMs, lifetime * SKEW_SHARE),
    }
    return token.token
  }

  #heldElse(failure: RpcError): string {
    const held = this.#held
    if (held !== undefined && this.#settings.clock.now() < held.expiresAt) return held.token
    throw failure
  }

  #delay(failures: number): number {
    return backoffDelay(this.#settings.backoff, failures, this.#settings.random)
  }
}

/** A signal is only made for a provider that asks for it. */
class Request implements TokenRequest {
  readonly audience: string | undefined
  #controller: AbortController | undefined

  constructor(audience: string | undefined) {
    this.audience = audience
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#controller?.abort(reason)
  }
}
