import { createHash } from 'node:crypto'

/** Stands in for a text that is too long, or too secret, to be kept. The same in every process. */
export function digest(value: string | Buffer): string {
  const hash = createHash('sha256')
  // UTF-16 keeps texts apart that are no valid Unicode, which UTF-8 would not.
  const hashed = typeof value === 'string' ? hash.update(value, 'utf16le') : hash.update(value)
  return `sha256:${hashed.digest('base64url')}`
}
