/** Refuses option names nobody reads: a misspelt option is a protection that silently does not hold. */
export function checkNames(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${where}: options must be an object, got ${kindOf(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new TypeError(`${where}: unknown option ${show(name)}; known are ${known.join(', ')}`)
    }
  }
}

/** A number from `min` upwards. `Infinity` only where a bound may be waived. */
export function checkNumber(where: string, name: string, value: unknown, min: number, unbounded = false): number {
  const ok = typeof value === 'number' && value >= min && (unbounded || Number.isFinite(value))
  if (!ok) throw invalid(where, name, `a ${unbounded ? '' : 'finite '}number ≥ ${min}`, value)
  return value
}

export function checkBoolean(where: string, name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw invalid(where, name, 'a boolean', value)
  return value
}

export function checkText(where: string, name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalid(where, name, 'a non-empty string', value)
  return value
}

export function checkFunction(where: string, name: string, value: unknown): void {
  if (typeof value !== 'function') throw invalid(where, name, 'a function', value)
}

/** Does not quote a text: a token, a key or a secret is easily given in the wrong place. */
export function invalid(where: string, name: string, what: string, value: unknown): TypeError {
  return invalidAs(where, name, what, discreet(value))
}

/** As `invalid`, with the text that was given, for options that hold no secret. */
export function invalidText(where: string, name: string, what: string, value: unknown): TypeError {
  return invalidAs(where, name, what, show(value))
}

/** With words of our own for what was given. */
export function invalidAs(where: string, name: string, what: string, got: string): TypeError {
  return new TypeError(`${where}: option "${name}" must be ${what}, got ${got}`)
}

function discreet(value: unknown): string {
  if (typeof value !== 'string') return show(value)
  return value === '' ? 'an empty string' : 'another string'
}

/** A value, short, for an error message. Never given a secret. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? 'an array' : 'an object'
}

/** What kind of value it is, for an error message where the value itself may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  return `${/^[aeiou]/.test(typeof value) ? 'an' : 'a'} ${typeof value}`
}
