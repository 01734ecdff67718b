/** Refuses option names nobody reads: a misspelt option is a limit that silently does not hold. */
export function checkNames(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${where}: options must be an object, got ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw new TypeError(`${where}: unknown option "${name}"; known are ${known.join(', ')}`)
  }
}

/** A finite number that satisfies `ok`. */
export function checkNumber(
  where: string,
  name: string,
  value: unknown,
  what: string,
  ok: (n: number) => boolean,
): number {
  if (typeof value !== 'number' || !Number.isFinite(value) || !ok(value)) throw invalid(where, name, what, value)
  return value
}

export function checkPositive(where: string, name: string, value: unknown): number {
  return checkNumber(where, name, value, 'a number > 0', (n) => n > 0)
}

export function checkFunction(where: string, name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'function') throw invalid(where, name, 'a function', value)
}

export function checkBoolean(where: string, name: string, value: unknown): boolean {
  if (value !== undefined && typeof value !== 'boolean') throw invalid(where, name, 'true or false', value)
  return value === true
}

export function checkOneOf<T extends string>(where: string, name: string, value: unknown, choices: readonly T[]): T {
  const chosen = choices.find((choice) => choice === value)
  if (chosen === undefined) throw invalid(where, name, choices.map((choice) => `"${choice}"`).join(' or '), value)
  return chosen
}

export function checkClock(where: string, value: unknown): void {
  const clock = value as Record<string, unknown> | null
  const complete =
    typeof clock === 'object' &&
    clock !== null &&
    ['now', 'setTimeout', 'clearTimeout'].every((name) => typeof clock[name] === 'function')
  if (!complete) throw invalid(where, 'clock', 'an object with now, setTimeout and clearTimeout', value)
}

export function invalid(where: string, name: string, what: string, value: unknown): TypeError {
  return new TypeError(`${where}: option "${name}" must be ${what}, got ${show(value)}`)
}

export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? 'an array' : 'an object'
}
