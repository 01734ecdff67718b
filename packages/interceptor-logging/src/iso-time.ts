let lastMs = Number.NaN
let lastText = ''

/** A time in ISO 8601. Calls come many to a millisecond, and writing out a date costs more than the rest of a record. */
export function isoTime(epochMs: number): string {
  if (epochMs !== lastMs) {
    lastText = new Date(epochMs).toISOString()
    lastMs = epochMs
  }
  return lastText
}
