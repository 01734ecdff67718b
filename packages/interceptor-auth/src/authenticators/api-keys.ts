import { createHash, timingSafeEqual } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { RpcError } from '@grpc-stack/grpc-core'
import {
  func,
  group,
  isThenable,
  listOf,
  number,
  type OptionsOf,
  type OptionTable,
  objectWith,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import type { Authenticator, Verdict } from '../contract/authenticator.ts'
import { bareCredential, tokenIn } from '../contract/authorization-header.ts'
import { InvalidTokenError, VerifierUnavailableError } from '../contract/verifier-errors.ts'
import { metadataKey, scheme, textLike } from '../option-kinds.ts'

/** An API key as a server keeps it: not the key itself. */
export interface ApiKey {
  /** SHA-256 of the key in hexadecimal, from `hashApiKey`. */
  readonly hash: string
  /** Becomes the principal's subject. */
  readonly subject: string
  /** What else policies and handlers may ask of the principal. Default: nothing. */
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
  /** Name of the authenticator, for policy rules, principals and `onDecision`. Default: `apiKeys`. */
  readonly name?: string
}

const keyTable = {
  hash: textLike(/^[0-9a-f]{64}$/i, '64 hexadecimal digits, from hashApiKey()').secret(),
  subject: text(),
  claims: objectWith<Readonly<Record<string, unknown>>>()
    .expecting('an object')
    .optional()
    .refusingUndefined('leave it out for none'),
  expiresAt: number({ infinite: true })
    .expecting('a time in epoch milliseconds')
    .optional()
    .refusingUndefined('leave it out for a key that never expires'),
} satisfies OptionTable<ApiKey>

const table = {
  keys: listOf(group(keyTable), { expected: 'a list' }).or(func<Find>()).secret(),
  header: metadataKey.default('x-api-key'),
  scheme: scheme.optional().refusingUndefined('leave it out if the value of the header is the key'),
  name: text().default('apiKeys'),
} satisfies OptionTable<ApiKeysOptions>

type ListedKey = OptionsOf<typeof keyTable>
type Found = ListedKey | ApiKey | null | undefined

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
  const { keys, header, scheme, name } = readOptions('apiKeys', options, table)
  const find: (hash: string) => Found | Promise<Found> =
    typeof keys === 'function' ? tellingOutages(keys) : searchIn(keys)
  const prefix = scheme === undefined ? undefined : `${scheme.toLowerCase()} `
  const verdictOf = (key: Found): Verdict => key && withoutHash(key)
  return {
    name,
    credential: (call) => {
      const values = call.metadata.get(header)
      return prefix === undefined ? bareCredential(values) : tokenIn(values, prefix)
    },
    verify: (credential: string) => {
      const found = find(hashApiKey(credential))
      return isThenable(found) ? found.then(verdictOf) : verdictOf(found)
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
      return isThenable(found) ? Promise.resolve(found).catch(missing) : found
    } catch (error) {
      return missing(error)
    }
  }
}

function searchIn(keys: readonly ListedKey[]): (hash: string) => ListedKey | undefined {
  const list = keys.map((key) => ({ key, digest: Buffer.from(key.hash, 'hex') }))
  return (hash) => {
    const presented = Buffer.from(hash, 'hex')
    let found: ListedKey | undefined
    for (const { key, digest } of list) {
      if (timingSafeEqual(digest, presented)) found = key
    }
    return found
  }
}

function withoutHash({ subject, claims, expiresAt }: ListedKey | ApiKey): Verdict {
  return { subject, ...(claims !== undefined && { claims }), ...(expiresAt !== undefined && { expiresAt }) }
}
