/** Refuses option names nobody reads: a misspelt option is a policy that silently does not hold. */
export function checkNames(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${where}: options must be an object, got ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`${where}: unknown option "${name}"; known are ${known.join(', ')}`)
  }
}

export function checkNumber(
  where: string,
  name: string,
  value: unknown,
  what: string,
  ok: (n: number) => boolean,
): number {
  if (typeof value !== 'number' || !ok(value)) throw invalid(where, name, what, value)
  return value
}

export function invalid(where: string, name: string, what: string, value: unknown): TypeError {
  return new TypeError(`${where}: option "${name}" must be ${what}, got ${show(value)}`)
}

export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? JSON.stringify(value) : 'an object'
}
