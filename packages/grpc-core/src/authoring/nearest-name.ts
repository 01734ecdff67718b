/**
 * The name that was probably meant: one that begins so, or the nearest.
 * @param most how many letters away it may be. Default: a third of its own
 */
export function nearestName(given: string, known: readonly string[], most?: number): string | undefined {
  if (given.length > LONGEST) return undefined
  const begun = known.find((name) => given.length >= 3 && name.toLowerCase().startsWith(given.toLowerCase()))
  if (begun !== undefined) return begun // such as `timeout` for `timeoutMs`
  let nearest: string | undefined
  let least = Number.POSITIVE_INFINITY
  for (const name of known) {
    const edits = distance(given.toLowerCase(), name.toLowerCase())
    if (edits < least && edits <= (most ?? Math.max(1, Math.floor(name.length / 3)))) {
      least = edits
      nearest = name
    }
  }
  return nearest
}

const LONGEST = 64

/** Letters to insert, remove, replace or swap with their neighbour (optimal string alignment). */
function distance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row[j] = Math.min(replaced, at(last, j) + 1, at(row, j - 1) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        row[j] = Math.min(at(row, j), at(beforeLast, j - 2) + 1)
      }
    }
    beforeLast = last
    last = row
  }
  return at(last, b.length)
}

function at(row: readonly number[], i: number): number {
  return row[i] ?? Number.POSITIVE_INFINITY
}
