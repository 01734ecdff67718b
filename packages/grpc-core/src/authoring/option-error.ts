/** How a wrong value is told of in an error message. */
export type ShowValue = (value: unknown) => string

/** An error that says which option is wrong, what to write, and what was given. */
export function invalidOption(
  where: string,
  name: string,
  expected: string,
  value: unknown,
  show: ShowValue = discreet,
): TypeError {
  return new TypeError(`${where}: option "${name}" must be ${expected}, got ${show(value)}`)
}

/** Does not quote a text: a token, a key or a password is easily given in the wrong place. */
export function discreet(value: unknown): string {
  if (typeof value !== 'string') return quoted(value)
  return value === '' ? 'an empty string' : 'another string'
}

/** Quotes a text, cut to 40 characters. Only for options in whose place a secret is not given by mistake. */
export function quoted(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'function') return value.name === '' ? 'a function' : `function ${value.name}`
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? (value.length === 0 ? 'an empty list' : 'a list') : 'an object'
}

/** What kind of value it is and nothing of the value, not even of a number. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  return `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`
}
