import { status as Code, Metadata } from '@grpc/grpc-js'
import type { ClientCall, Interceptor, Next, Status } from '@grpc-stack/grpc-core'
import { factory, LruMap, named } from '@grpc-stack/grpc-core/authoring'
import { textAtOnce } from '../at-once.ts'
import { type ClientAuthOptions, type ClientAuthSettings, checkClientAuth } from './client-auth-options.ts'
import { refusePlaintext, sendIfEncrypted } from './encrypted-only.ts'
import { ProviderContext } from './provider-context.ts'
import type { TokenProvider } from './token.ts'
import { TokenCache } from './token-cache.ts'

/**
 * Puts a token on every call, of all four patterns:
 *
 *     clientAuth({ token: process.env.API_TOKEN })
 *     clientAuth({ token: async () => ({ token: await login(), expiresAt: Date.now() + 3_600_000 }) })
 *     clientAuth({ token: () => tokenOfUser(userVar.get()), shared: false })
 *
 * A call waits for its token no longer than its deadline. Put it innermost, inside retry, so that each attempt has the
 * token of its time.
 *
 * Fails calls with UNAUTHENTICATED where the connection is not encrypted (see `allowInsecure`) or the provider returns
 * no usable token, with UNAVAILABLE where the provider fails, or with the status of the `RpcError` it throws.
 *
 * @throws TypeError for a wrong option.
 */
export function clientAuth(options: ClientAuthOptions): Interceptor<ClientCall> {
  const settings = checkClientAuth(options)
  const { token, header, allowInsecure } = settings
  const caches = typeof token === 'function' ? new TokenCaches(token, settings) : undefined

  const send: Send = (call, next, credential) => {
    const value = settings.prefix + credential
    if (call.secure !== true && !allowInsecure) return sendIfEncrypted(call, next, header, [value])
    call.metadata.set(header, value)
    return next()
  }
  const sendAlways = typeof token === 'string' ? sendPrepared(token, settings, send) : undefined

  const interceptor: Interceptor<ClientCall> = (call, next) => {
    if (call.secure === false && !allowInsecure) return refusePlaintext()
    if (!settings.replaceHeader) {
      const own = call.metadata.get(header)
      if (own.length > 0) {
        return call.secure || allowInsecure ? next() : sendIfEncrypted(call, next, header, own)
      }
    }
    if (sendAlways !== undefined) return sendAlways(call, next)
    const cache = (caches as TokenCaches).of(call) // not a text, so a provider
    if (settings.refreshes(call.method)) {
      call.makeReplayable(settings.replay)
      return sendTwiceAtMost(call, next, cache, send)
    }
    const current = cache.get()
    return typeof current === 'string' ? send(call, next, current) : current.then((late) => send(call, next, late))
  }
  return named('clientAuth', interceptor, { side: 'client', instead: 'serverAuth()' })
}
factory('clientAuth', clientAuth)

type Send = (call: ClientCall, next: Next, credential: string) => Promise<Status>

/** A token that never changes is put together with its scheme, and checked by grpc-js, once. */
function sendPrepared(
  token: string,
  { header, prefix, allowInsecure, replaceHeader }: ClientAuthSettings,
  send: Send,
): (call: ClientCall, next: Next) => Promise<Status> {
  const prepared = new Metadata()
  prepared.set(header, prefix + token)
  return (call, next) => {
    if (call.secure !== true && !allowInsecure) return send(call, next, token)
    const { metadata } = call
    // A header of the caller's own is there only where it is to be replaced.
    if (replaceHeader) metadata.remove(header)
    metadata.merge(prepared)
    return next()
  }
}

function sendTwiceAtMost(call: ClientCall, next: Next, cache: TokenCache, send: Send): Promise<Status> {
  const first = (token: string): Promise<Status> =>
    call.recover(
      () => send(call, next, token),
      (status) => {
        if (status.code === Code.OK) cache.accepted()
        // A refusal by an interceptor of this process says nothing about the token.
        const rejected = status.code === Code.UNAUTHENTICATED && status.origin === 'remote' && !call.committed
        return rejected ? second(status, token) : undefined
      },
    )
  const second = async (status: Status, token: string): Promise<Status> => {
    const replacement = await replace(cache, token)
    return replacement === undefined || replacement === token ? status : send(call, next, replacement)
  }
  const current = cache.get()
  return typeof current === 'string' ? first(current) : current.then(first)
}

async function replace(cache: TokenCache, rejected: string): Promise<string | undefined> {
  try {
    return await cache.replace(rejected)
  } catch {
    return undefined // the server's refusal says more than the failure to get another token
  }
}

/** A cache for each audience; where tokens are not shared, for each call. */
class TokenCaches {
  readonly #provider: ProviderContext
  readonly #settings: ClientAuthSettings
  readonly #byAudience: LruMap<string | undefined, TokenCache>

  constructor(provider: TokenProvider, settings: ClientAuthSettings) {
    this.#provider = new ProviderContext(provider, settings.shared)
    this.#settings = settings
    this.#byAudience = new LruMap(settings.maxAudiences)
  }

  of(call: ClientCall): TokenCache {
    const { audience: option } = this.#settings
    const given = typeof option === 'function' ? option(call) : option
    const audience = given === undefined ? undefined : textAtOnce(given, 'clientAuth: option "audience"')
    if (this.#settings.shared === false) return new TokenCache(this.#provider, audience, this.#settings)
    let cache = this.#byAudience.get(audience)
    if (cache === undefined) {
      cache = new TokenCache(this.#provider, audience, this.#settings)
      this.#byAudience.set(audience, cache)
    }
    return cache
  }
}
