import { hash, randomBytes } from 'node:crypto'
import type { CredentialHeaders } from './credential-values.ts'

/** Characters of credentials that are searched for sooner than a digest of them is made. */
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
  const digest = digestOf(headers, text)
  if (digest === undefined) return search(text)
  if (known.has(digest)) return text
  const found = search(text)
  if (found === text) keep(digest)
  return found
}

function digestOf(headers: CredentialHeaders, text: string): string | undefined {
  let length = 0
  for (const part of headers) {
    if (typeof part !== 'string') return undefined
    length += part.length
  }
  return length > MOST_DIGESTED ? undefined : hash('sha256', JSON.stringify([KEY, text, headers]), 'base64')
}

function keep(digest: string): void {
  // A peer can make up tokens without end.
  if (known.size >= MOST_KEPT) known.clear()
  known.add(digest)
}
