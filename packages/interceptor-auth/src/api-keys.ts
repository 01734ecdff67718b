import { createHash, timingSafeEqual } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import type { Authenticator, Verdict } from './authenticator.ts'
import { bareCredential, tokenIn } from './authorization-header.ts'
import { checkNames, invalid, invalidAs, kindOf } from './option-checks.ts'
import { isPromise } from './promise.ts'
import { InvalidTokenError, VerifierUnavailableError } from './verifier-errors.ts'

/** An API key as a server keeps it: not the key itself. */
export interface ApiKey {
  /** SHA-256 of the key in hexadecimal, from `hashApiKey`. */
  readonly hash: string
  /** Becomes the principal's subject. */
  readonly subject: string
  readonly claims?: Readonly<Record<string, unknown>>
  /** Epoch milliseconds. Default: never. */
  readonly expiresAt?: number
}

/** Options of `apiKeys`. */
export interface ApiKeysOptions {
  /**
   * The keys; or what finds one by its hash in a store of your own, and returns null or undefined when there is none. What
   * it throws says that the store cannot be asked, and ends calls with UNAVAILABLE; except `InvalidTokenError` and an
   * `RpcError` NOT_FOUND, which say that there is no such key. A list is searched in full whatever is presented, so that the time it takes tells nothing; it suits hundreds of keys.
   */
  readonly keys: readonly ApiKey[] | ((hash: string) => ApiKey | null | undefined | Promise<ApiKey | null | undefined>)
  /** The metadata key that carries it. Default: `x-api-key`. */
  readonly header?: string
  /** With `authorization` as the header: the scheme before the key. Default: none, the value is the key. */
  readonly scheme?: string
}

/**
 * The hash under which a key is kept. A plain digest is enough because keys are random: make them of 32 random bytes.
 * Not for passwords.
 */
export function hashApiKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/**
 * Accepts calls that bring one of these API keys:
 *
 *     serverAuth({ verify: apiKeys({ keys: [{ hash: '9f86d0…', subject: 'billing' }] }) })
 *
 * @throws TypeError for a wrong option.
 */
export function apiKeys(options: ApiKeysOptions): Authenticator {
  checkNames('apiKeys', options, ['keys', 'header', 'scheme'])
  const { keys, header = 'x-api-key', scheme } = options
  if (typeof header !== 'string' || !/^[0-9a-z_.-]+$/i.test(header)) {
    throw invalid('apiKeys', 'header', 'the name of a metadata key', header)
  }
  if (!Array.isArray(keys) && typeof keys !== 'function') {
    // The value stays out of the message: it may be a key.
    throw invalidAs('apiKeys', 'keys', 'a list or a function', kindOf(keys))
  }
  const find = typeof keys === 'function' ? tellingOutages(keys) : searchIn(keys)
  const prefix = scheme === undefined ? undefined : `${scheme.toLowerCase()} `
  const verdictOf = (key: ApiKey | null | undefined): Verdict => key && withoutHash(key)
  return {
    name: 'apiKeys',
    credential: (call) => {
      const values = call.metadata.get(header)
      return prefix === undefined ? bareCredential(values) : tokenIn(values, prefix)
    },
    verify: (credential: string) => {
      const found = find(hashApiKey(credential))
      return isPromise(found) ? found.then(verdictOf) : verdictOf(found)
    },
    // A list answers at once; what a store says is worth keeping.
    shareable: typeof keys === 'function',
  }
}

type Find = Extract<ApiKeysOptions['keys'], (hash: string) => unknown>

/** A store says that it has no such key by finding none. When it fails instead, it has said nothing about the key. */
function tellingOutages(find: Find): Find {
  const missing = (error: unknown): null => {
    if (error instanceof InvalidTokenError) throw error
    const rpcError = RpcError.from(error)
    if (rpcError.code === Code.NOT_FOUND && rpcError.cause !== error) return null
    throw new VerifierUnavailableError('apiKeys: the keys cannot be looked up', { cause: error })
  }
  return (hash) => {
    try {
      const found = find(hash)
      return isPromise(found) ? Promise.resolve(found).catch(missing) : found
    } catch (error) {
      return missing(error)
    }
  }
}

function searchIn(keys: readonly ApiKey[]): (hash: string) => ApiKey | undefined {
  const list = keys.map((key, i) => {
    if (typeof key?.hash !== 'string' || !/^[0-9a-f]{64}$/i.test(key.hash)) {
      throw invalidAs('apiKeys', `keys[${i}].hash`, '64 hexadecimal digits, from hashApiKey()', kindOf(key?.hash))
    }
    if (typeof key.subject !== 'string' || key.subject === '') {
      throw invalid('apiKeys', `keys[${i}].subject`, 'a non-empty string', key.subject)
    }
    return { key, digest: Buffer.from(key.hash, 'hex') }
  })
  return (hash) => {
    const presented = Buffer.from(hash, 'hex')
    let found: ApiKey | undefined
    for (const { key, digest } of list) {
      if (timingSafeEqual(digest, presented)) found = key
    }
    return found
  }
}

function withoutHash({ subject, claims, expiresAt }: ApiKey): Verdict {
  return { subject, ...(claims !== undefined && { claims }), ...(expiresAt !== undefined && { expiresAt }) }
}
