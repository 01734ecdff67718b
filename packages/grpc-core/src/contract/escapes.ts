/** A text without escapes, and where its nth character starts in the text as it stands. */
export interface View {
  readonly plain: string
  readonly startOf: (n: number) => number
}

/** The text as it stands, and without one and two layers of escapes. */
export function viewsOf(text: string): View[] {
  const views: View[] = [{ plain: text, startOf: (n) => n }]
  for (let outer = views[0]; outer !== undefined && views.length < 3; ) {
    const { startOf } = outer
    const inner: View | undefined = unescaped(outer.plain)
    outer = inner && { plain: inner.plain, startOf: (n) => startOf(inner.startOf(n)) }
    if (outer !== undefined) views.push(outer)
  }
  return views
}

const ESCAPE = /%([0-9a-f]{2})|\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|\\(["'\\/])/gi

/** Whether there may be escapes in a text. */
export function hasEscapes(text: string): boolean {
  return /[%\\]/.test(text)
}

/** Undefined where there are no escapes. */
export function unescaped(text: string): View | undefined {
  if (!hasEscapes(text)) return undefined
  const starts: number[] = []
  let plain = ''
  let from = 0
  const copyUntil = (end: number): void => {
    plain += text.slice(from, end)
    for (; from < end; from++) starts.push(from)
  }
  for (const match of text.matchAll(ESCAPE)) {
    const [whole, percent, unicode, hex, quoted] = match
    copyUntil(match.index)
    starts.push(from)
    plain += quoted ?? String.fromCharCode(Number.parseInt(percent ?? unicode ?? (hex as string), 16))
    from += whole.length
  }
  copyUntil(text.length)
  starts.push(text.length)
  return plain.length === text.length ? undefined : { plain, startOf: (n) => starts[n] as number }
}
