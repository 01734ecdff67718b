/** @throws TypeError for something that is no object, or a member nobody knows: a typo must not be a default. */
export function checkNames(where: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) fail(`${where}: options`, 'an object', options)
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(`${where}: unknown option "${unknown}"; options are ${known.join(', ')}`)
  }
}

/** @throws TypeError saying what the option must be. */
export function fail(option: string, expected: string, got: unknown): never {
  const shown = typeof got === 'object' && got !== null ? 'an object' : (JSON.stringify(got) ?? String(got))
  throw new TypeError(`${option} must be ${expected}, got ${shown}`)
}

/** @throws TypeError unless this is a positive integer. */
export function checkLimit(option: string, limit: unknown): number {
  if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < 1) fail(option, 'an integer ≥ 1', limit)
  return limit
}
