import { hash, randomBytes } from 'node:crypto'
import type { CredentialHeaders } from './credential-values.ts'

/** More characters than this, credentials included, are searched sooner than a digest of them is made. */
const MOST_DIGESTED = 8192
const MOST_KEPT = 1000

// Digests say nothing without it.
const KEY = randomBytes(16).toString('hex')
const known = new Set<string>()

/**
 * What `search` makes of a text, from which it takes credentials. A caller that is refused mostly comes again with the same token and gets
 * the same text: where the search has found none in it, it is not repeated. Kept are digests of both together, never a credential.
 */
export function searchedOnce(headers: CredentialHeaders, text: string, search: (text: string) => string): string {
  // Each part behind its length, so that no other parts come to the same. JSON would cost as much as the digest.
  let all = `${KEY}${text.length} ${text}`
  for (const part of headers) {
    if (typeof part !== 'string') return search(text)
    all += `${part.length} ${part}`
  }
  // Halves of surrogate pairs would all be the same in UTF-8.
  if (all.length > MOST_DIGESTED || !all.isWellFormed()) return search(text)
  const digest = hash('sha256', all, 'base64')
  if (known.has(digest)) return text
  const found = search(text)
  if (found === text) {
    // A peer can make up tokens without end.
    if (known.size >= MOST_KEPT) known.clear()
    known.add(digest)
  }
  return found
}
