/** A call brings a credential in a form that no authenticator may take. */
export const malformed: unique symbol = Symbol('malformed credential')
export type Malformed = typeof malformed

// What a credential may consist of: visible ASCII. A comma is left out because that is how HTTP joins two values.
const TOKEN = /^[\x21-\x2b\x2d-\x7e]+$/

/**
 * The token in an authorization header, by RFC 9110: scheme, spaces, token; the scheme in any case.
 *
 *     values                     for the prefix 'bearer '
 *     none                       undefined
 *     more than one              malformed
 *     Basic eA==                 undefined, another authenticator's
 *     Bearer                     malformed
 *     Bearer a b, Bearer a,b     malformed
 *     bEARER   abc               abc
 *
 * @param prefix the scheme in lower case and one space
 */
export function tokenIn(values: readonly (string | Buffer)[], prefix: string): string | Malformed | undefined {
  const value = onlyValue(values)
  if (typeof value !== 'string') return value
  const end = prefix.length
  if (value.length < end) return value.toLowerCase() === prefix.trimEnd() ? malformed : undefined
  if (value.slice(0, end).toLowerCase() !== prefix) return undefined
  let start = end
  while (value.charCodeAt(start) === 0x20) start++
  const token = value.slice(start)
  return TOKEN.test(token) ? token : malformed
}

/** The credential that is the whole value of a header, such as an API key. */
export function bareCredential(values: readonly (string | Buffer)[]): string | Malformed | undefined {
  const value = onlyValue(values)
  return typeof value !== 'string' || TOKEN.test(value) ? value : malformed
}

/** Two values of a credential are two answers to who is calling: neither is believed. */
function onlyValue(values: readonly (string | Buffer)[]): string | Malformed | undefined {
  if (values.length === 0) return undefined
  const [value] = values
  return values.length === 1 && typeof value === 'string' ? value : malformed
}
