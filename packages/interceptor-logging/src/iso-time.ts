let lastMs = Number.NaN
let lastText = ''
let lastSecond = Number.NaN
let textOfSecond = ''

/**
 * A time in ISO 8601, whole milliseconds. Many calls come in one millisecond, or in one second, and writing out a date costs
 * more than the rest of a record.
 */
export function isoTime(epochMs: number): string {
  if (epochMs !== lastMs) {
    const second = Math.floor(epochMs / 1000)
    if (second !== lastSecond) {
      textOfSecond = new Date(second * 1000).toISOString().slice(0, -'000Z'.length)
      lastSecond = second
    }
    lastText = `${textOfSecond}${String(epochMs - second * 1000).padStart(3, '0')}Z`
    lastMs = epochMs
  }
  return lastText
}
