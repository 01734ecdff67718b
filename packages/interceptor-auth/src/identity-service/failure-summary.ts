// Texts of errors that are made without looking at what was sent or received.
const FIXED_TEXTS = ['fetch failed', 'unexpected redirect', 'terminated', 'other side closed']

const NAME = /^[A-Za-z]{1,40}$/
const CODE = /^[A-Z][A-Z0-9_]{1,60}$/
const DEEPEST = 5

/**
 * What kind of failure it is, from the names and codes in an error and its causes, such as `TypeError: fetch failed,
 * DEPTH_ZERO_SELF_SIGNED_CERT`. Never from other texts: they may quote what was sent, credentials included, or an answer with a
 * token in it, as those of `JSON.parse` do.
 */
export function summaryOf(error: unknown): string {
  const parts = new Set<string>()
  collect(error, parts, 0)
  return parts.size === 0 ? 'an error of an unknown kind' : [...parts].join(', ')
}

function collect(error: unknown, parts: Set<string>, depth: number): void {
  if (typeof error !== 'object' || error === null || depth > DEEPEST) return
  const { name, code, message, cause, errors } = error as Record<string, unknown>
  const known = typeof name === 'string' && NAME.test(name) ? name : undefined
  if (FIXED_TEXTS.includes(message as string)) parts.add(known === undefined ? `${message}` : `${known}: ${message}`)
  else if (known !== undefined && known !== 'Error') parts.add(known)
  if (typeof code === 'string' && CODE.test(code)) parts.add(code)
  collect(cause, parts, depth + 1)
  if (Array.isArray(errors)) for (const inner of errors.slice(0, DEEPEST)) collect(inner, parts, depth + 1)
  if (parts.size === 0 && known !== undefined) parts.add(known)
}

/** Whether an error, or one of its causes, was thrown by a parser, whose text quotes what it read. */
export function isParserError(error: unknown): boolean {
  for (let depth = 0, inner = error; depth <= DEEPEST && typeof inner === 'object' && inner !== null; depth++) {
    if ((inner as Error).name === 'SyntaxError') return true
    inner = (inner as Error).cause
  }
  return false
}

// Long words of letters and digits: tokens and secrets look like this, words of a language do not.
const CREDENTIAL_LIKE = /(?=[\w+=~-]*\d)[\w+=~-]{20,}/g

/** A text without the words in it that may be credentials. */
export function withoutCredentials(text: string): string {
  return text.replace(CREDENTIAL_LIKE, '…')
}
