/** A value, short, for an error message. Never throws: proxies and getters do. */
export function show(value: unknown): string {
  try {
    if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
    if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`
    if (typeof value !== 'object' || value === null) return String(value)
    return Array.isArray(value) ? 'an array' : `an object (${value.constructor?.name ?? 'no prototype'})`
  } catch {
    return 'an object that cannot be read'
  }
}

/** What an error says, or what was thrown in the place of one. Never throws. */
export function errorText(error: unknown): string {
  return textOf(error, 'message') ?? show(error)
}

/** An error with the place where it was made, or what was thrown in the place of one. Never throws. */
export function errorStack(error: unknown): string {
  return textOf(error, 'stack') ?? errorText(error)
}

function textOf(error: unknown, member: 'message' | 'stack'): string | undefined {
  try {
    const text: unknown = error instanceof Error ? error[member] : undefined
    return typeof text === 'string' ? text : undefined
  } catch {
    return undefined
  }
}
