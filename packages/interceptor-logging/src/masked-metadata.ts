import type { Metadata } from '@grpc/grpc-js'
import { isCredentialName } from '@grpc-stack/grpc-core/authoring'
import { cleanText } from './clean-text.ts'

const MASKED = '[masked]'
const MAX_VALUE = 256
const MAX_KEYS = 64

/** Values by key. */
export type ShownMetadata = Record<string, string | string[]>

/**
 * Metadata as a record may show it: every key, but the values only of keys on the allow-list, and never of one whose name
 * announces a credential. Several values of a key are a list, bytes are base64, and text is cleaned and bounded.
 */
export function maskedMetadata(metadata: Metadata, allowed: ReadonlySet<string>): ShownMetadata {
  const shown: ShownMetadata = Object.create(null)
  let keys = 0
  for (const key of Object.keys(metadata.getMap())) {
    if (++keys > MAX_KEYS) break
    shown[key] = allowed.has(key) && !isCredentialName(key) ? valuesOf(metadata, key) : MASKED
  }
  return shown
}

function valuesOf(metadata: Metadata, key: string): string | string[] {
  const values = metadata
    .get(key)
    .map((value) => cleanText(typeof value === 'string' ? value : value.toString('base64'), MAX_VALUE))
  return values.length === 1 ? (values[0] as string) : values
}
