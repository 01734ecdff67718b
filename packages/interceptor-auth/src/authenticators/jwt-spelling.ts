const PARTS = /^[\w-]+\.[\w-]+\.[\w-]+$/
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/**
 * Whether a token is written as RFC 7515 writes it: three parts of base64url without padding, without bits at the end that
 * decode to nothing. Decoders take other spellings, too, but one token with many spellings is many tokens to whatever keeps
 * them by their text: caches, limits, lists of revoked ones.
 */
export function isCanonical(token: string): boolean {
  return PARTS.test(token) && token.split('.').every(endsCleanly)
}

/** A last group of two characters holds one byte and four spare bits, one of three two bytes and two spare bits. */
function endsCleanly(part: string): boolean {
  const rest = part.length % 4
  if (rest === 0) return true
  const last = ALPHABET.indexOf(part.charAt(part.length - 1))
  return rest === 2 ? last % 16 === 0 : rest === 3 && last % 4 === 0
}
