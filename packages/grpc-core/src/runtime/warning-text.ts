const LONGEST = 1024

/** A text in a process warning. A peer may have chosen parts of it: it must not write lines of its own. */
export function onOneLine(text: string): string {
  const cut = text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text
  return cut.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (c) => `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * Where an error was made, as the detail of a process warning. The lines above the frames repeat the message, which may hold what the
 * warning leaves out.
 */
export function frames(error: unknown): { detail?: string } {
  try {
    const stack: unknown = error instanceof Error ? error.stack : undefined
    if (typeof stack !== 'string') return {}
    const lines = stack.split('\n').filter((line) => /^ {4}at /.test(line))
    return lines.length === 0 ? {} : { detail: lines.join('\n') }
  } catch {
    return {} // a getter's, or a proxy's
  }
}
