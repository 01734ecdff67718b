import type { Call } from '@grpc-stack/grpc-core'
import { isThenable, quoted } from '@grpc-stack/grpc-core/authoring'
import { digest } from './digest.ts'
import { type KeyFunction, peerKey, unlimited } from './keys.ts'

/** Longer keys are kept as their digest: a caller may choose what goes into one. */
const LONGEST_KEY = 128

/**
 * What a call counts against; undefined where it is exempt.
 * @param where names the limit in the error
 * @throws TypeError for a key that is no string
 */
export function resolveKey(where: string, keyOf: KeyFunction, call: Call): string | undefined {
  const key: unknown = keyOf(call)
  if (typeof key === 'string' && key !== '') {
    return key.length <= LONGEST_KEY ? key : digest(key)
  }
  if (key === unlimited) return undefined
  if (key === undefined || key === '') return peerKey(keyOf, call)
  // A promise may reject later, which would end the process.
  if (isThenable(key)) key.then(undefined, () => undefined)
  throw new TypeError(`${where}: the key must be a string, got ${quoted(key)}`)
}
