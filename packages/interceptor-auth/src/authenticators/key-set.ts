import { quoted } from '@grpc-stack/grpc-core/authoring'
import { createLocalJWKSet, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from 'jose'

// Kinds of public keys. A symmetric key in a published set would be no secret, and every reader of the set could sign.
const PUBLIC = ['RSA', 'EC', 'OKP']

/**
 * A key set made ready for verification.
 * @throws TypeError if it is none, or holds more keys than `maxKeys`.
 */
export function keySetOf(given: unknown, maxKeys: number): JWTVerifyGetKey {
  const keys = (given as { keys?: unknown } | null | undefined)?.keys
  if (!Array.isArray(keys)) throw new TypeError(`a key set must be an object with a list "keys", got ${quoted(given)}`)
  if (keys.length > maxKeys) throw new TypeError(`a key set of ${keys.length} keys; at most ${maxKeys} are taken`)
  const usable = keys.filter(isPublicKey)
  return createLocalJWKSet({ keys: usable } satisfies JSONWebKeySet)
}

function isPublicKey(key: unknown): key is JWK {
  return typeof key === 'object' && key !== null && PUBLIC.includes((key as JWK).kty ?? '')
}
