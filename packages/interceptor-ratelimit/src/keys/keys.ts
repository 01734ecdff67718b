import type { Call, ContextVar } from '@grpc-stack/grpc-core'
import {
  accepts,
  flag,
  func,
  integer,
  type OptionTable,
  quoted,
  readOptions,
  readValue,
} from '@grpc-stack/grpc-core/authoring'
import { addressMatcher, networkOf, parseForwarded, withoutPort } from './addresses.ts'
import { digest } from './digest.ts'
import { isOfAddress, markKey } from './key-traits.ts'

/** What a key function returns for a call that the limit does not concern. */
export const unlimited: unique symbol = Symbol.for('@grpc-stack/interceptor-ratelimit.unlimited')

/**
 * Whom a call is counted against. A call for which it returns undefined or an empty string is counted against its peer
 * address (IPv6 by /64), so that no caller escapes a limit by leaving something out; only `unlimited` exempts.
 */
export type KeyFunction = (call: Call) => string | undefined | typeof unlimited

/** The peer address without its port, every IPv6 address by itself. */
export function peerAddress(call: Call): string {
  return withoutPort(call.peer())
}
markKey(peerAddress, ['peerAddress'], true)

export interface ByPeerOptions {
  /**
   * Which proxies to believe about whom they speak for: their addresses and networks, or how many there are in
   * front of this server. Default: none, since anybody can write the header.
   */
  readonly trustedProxies?: readonly string[] | number
  /** Where they write it. Default: `x-forwarded-for`. */
  readonly header?: string
  /**
   * How many leading bits of an IPv6 address make one caller. Default: 64, since a host at a public edge has 2^64 addresses
   * to call from and would have the limit as often. 128, each address by itself, suits a cluster whose hosts share a /64; some
   * providers give a customer a /56 or a /48.
   */
  readonly ipv6Prefix?: number
}

/** Longer chains of proxies are not followed: a caller can write as much into the header as fits. */
const MAX_HOPS = 32

const DEFAULT_IPV6_PREFIX = 64

/** The peer address, IPv6 by /64: the caller of a call of which nothing better is known. */
export function peerNetwork(call: Call): string {
  return networkOf(peerAddress(call), DEFAULT_IPV6_PREFIX)
}
markPeerKey(peerNetwork, [], 'x-forwarded-for', DEFAULT_IPV6_PREFIX)

/**
 * What a call without a key of its own counts against: the peer, as `key` sees it if it looks at addresses alone. The prefix
 * is one no header can hold, so no caller can name itself like the peer of another.
 */
export function peerKey(key: KeyFunction, call: Call): string {
  const address = isOfAddress(key) ? key(call) : peerNetwork(call)
  return `\0peer=${String(address)}`
}

const headerName = accepts('the lower-case name of a metadata entry', (value): value is string => {
  return typeof value === 'string' && /^[0-9a-z_.-]+$/.test(value)
})

const byPeerTable = {
  // The addresses themselves are read by addressMatcher.
  trustedProxies: accepts('a list of addresses', (value): value is readonly string[] => Array.isArray(value))
    .or(integer({ min: 0, max: MAX_HOPS }))
    .default([]),
  // Callers can write a header that the proxies do not: the name must not be the default by mistake.
  header: headerName.default('x-forwarded-for').refusingUndefined('leave it out for x-forwarded-for'),
  ipv6Prefix: integer({ min: 1, max: 128 })
    .default(DEFAULT_IPV6_PREFIX)
    .refusingUndefined(`leave it out for ${DEFAULT_IPV6_PREFIX}`),
} satisfies OptionTable<ByPeerOptions>

/** By the address of the caller, seen through trusted proxies; IPv6 by network. The default is `byPeer()`. */
export function byPeer(options: ByPeerOptions = {}): (call: Call) => string {
  const { trustedProxies, header, ipv6Prefix } = readOptions('byPeer', options, byPeerTable, { show: quoted })
  const spokenFor = throughProxies(trustedProxies, header)
  return markPeerKey((call: Call): string => networkOf(spokenFor(call), ipv6Prefix), trustedProxies, header, ipv6Prefix)
}

function markPeerKey<F extends KeyFunction>(
  key: F,
  trusted: readonly string[] | number,
  header: string,
  ipv6Prefix: number,
): F {
  return markKey(key, ['byPeer', JSON.stringify(trusted), header, ipv6Prefix], true)
}

function throughProxies(trusted: readonly string[] | number, header: string): (call: Call) => string {
  if (typeof trusted === 'number') {
    return trusted === 0 ? peerAddress : (call) => lastHops(call, header, trusted).at(-1) ?? peerAddress(call)
  }
  if (trusted.length === 0) return peerAddress
  const isTrusted = addressMatcher(trusted, 'byPeer: option "trustedProxies"')
  return (call) => {
    let address = peerAddress(call)
    if (!isTrusted(address)) return address
    for (const hop of lastHops(call, header, MAX_HOPS)) {
      address = hop
      if (!isTrusted(address)) break
    }
    return address
  }
}

/** The last addresses in the header, last first, up to the first that is none. */
function lastHops(call: Call, header: string, count: number): string[] {
  const hops: string[] = []
  const lines = call.metadata.get(header)
  for (let i = lines.length - 1; i >= 0 && hops.length < count; i--) {
    let line = String(lines[i])
    while (hops.length < count) {
      const comma = line.lastIndexOf(',')
      const address = parseForwarded(line.slice(comma + 1))
      if (address === undefined) return hops
      hops.push(address)
      if (comma < 0) break
      line = line.slice(0, comma)
    }
  }
  return hops
}

export interface FallbackOptions {
  /** For a call that has no such value. Default: the peer address. */
  readonly otherwise?: KeyFunction
}

export interface ByMetadataOptions extends FallbackOptions {
  /**
   * The value is kept, shown in events and given to a store as its SHA-256 digest. Default: true, since an API key would
   * otherwise stand in Redis and in logs. Set it to false for values that are no secrets, such as names of tenants.
   */
  readonly secret?: boolean
}

const fallbackTable = {
  otherwise: func<KeyFunction>().optional().refusingUndefined('leave it out to count by peer'),
} satisfies OptionTable<FallbackOptions>

const byMetadataTable = {
  ...fallbackTable,
  secret: flag().default(true),
} satisfies OptionTable<ByMetadataOptions>

/** One credential has many spellings in these: case of the scheme, spaces, order and company of cookies. */
const CREDENTIAL_HEADERS: readonly string[] = ['authorization', 'proxy-authorization', 'cookie']

/**
 * By the value of a metadata entry, such as an API key; as its digest, unless `secret` is false. A call with several values
 * counts as one without: the caller could vary the one that is looked at and be let in for another.
 *
 * Callers write metadata. Outside of authentication, one that makes up a new value for each call is limited by a limit by
 * peer only.
 *
 * @throws TypeError for `authorization` and its like: one token has many spellings there, and each would have the limit again.
 */
export function byMetadata(name: string, options: ByMetadataOptions = {}): KeyFunction {
  readValue('byMetadata', 'name', name, headerName, { show: quoted })
  if (CREDENTIAL_HEADERS.includes(name)) {
    throw new TypeError(
      `byMetadata: one credential has many spellings in "${name}", each with a limit of its own; ` +
        'use byPrincipal(principalVar) inside of authentication and byPeer() outside of it',
    )
  }
  const { otherwise, secret } = readOptions('byMetadata', options, byMetadataTable, { show: quoted })
  const key: KeyFunction = (call) => {
    const [value, ...more] = call.metadata.get(name)
    const given = typeof value === 'string' ? value.trim() : value
    if (given === undefined || given.length === 0 || more.length > 0) return otherwise?.(call)
    if (secret) return `${name}=${digest(given)}`
    return `${name}=${typeof given === 'string' ? given : given.toString('base64')}`
  }
  return markKey(key, ['byMetadata', name, secret, otherwise])
}

/**
 * By who the caller proved to be: the `subject` in a context variable that an authenticating interceptor set.
 *
 *     stack: [serverAuth({ … }), rateLimit({ rate: 50, key: byPrincipal(principalVar) })]
 */
export function byPrincipal<T extends { readonly subject: string }>(
  variable: ContextVar<T>,
  options: FallbackOptions = {},
): KeyFunction {
  const given: unknown = (variable as ContextVar<T> | undefined)?.get
  if (typeof given !== 'function') throw new TypeError('byPrincipal: expected a ContextVar, such as principalVar')
  const { otherwise } = readOptions('byPrincipal', options, fallbackTable, { show: quoted })
  const key: KeyFunction = (call) => {
    const subject = call.context.get(variable)?.subject
    return typeof subject === 'string' && subject !== '' ? `subject=${subject}` : otherwise?.(call)
  }
  return markKey(key, ['byPrincipal', variable, otherwise])
}

/** By the method: one count for all callers of it. */
export function byMethod(call: Call): string {
  return call.method.path
}
markKey(byMethod, ['byMethod'])

/** By several things at once, such as principal and method. Exempt if one of them exempts. */
export function byEach(...parts: readonly KeyFunction[]): KeyFunction {
  for (const [i, part] of parts.entries()) {
    if (typeof part !== 'function') throw new TypeError(`byEach: part ${i} must be a function`)
  }
  if (parts.length === 0) throw new TypeError('byEach: expected at least one key function')
  const whole: KeyFunction = (call) => {
    let key = ''
    for (const part of parts) {
      const value = part(call)
      if (value === unlimited) return unlimited
      const text = value === undefined || value === '' ? peerNetwork(call) : value
      // With the lengths, no caller can choose one part so that the whole looks like another caller's.
      key += `${text.length}:${text} `
    }
    return key
  }
  return markKey(whole, ['byEach', ...parts])
}
