import { fold, MULTIPLIER } from './runs.ts'

/** Characters of the longest text worth a glance: longer ones have four characters in common with anything. */
export const LONGEST_GLANCE = 1024

/** One for all glances, which take no turns: a new one for each would cost as much as the rest. */
const table = new Int32Array(4 * LONGEST_GLANCE)

/**
 * Whether a text may have a run of eight characters in common with others. Wherever such a run begins, four characters of it stand at a
 * multiple of five: where none of these is anywhere in the text, there is no such run. Where one is, there may be none either.
 *
 * Use one at a time.
 */
export class Glance {
  readonly #shift: number

  constructor(text: string) {
    const bits = Math.max(5, Math.ceil(Math.log2(text.length)) + 2)
    this.#shift = 32 - bits
    table.fill(0, 0, 2 ** bits)
    for (let i = 0; i + 4 <= text.length; i++) {
      const four = fourAt(text, i)
      table[this.#slotOf(four)] = four
    }
  }

  mayShareRun(others: readonly string[]): boolean {
    return others.some((other) => this.#mayShareRun(other))
  }

  #mayShareRun(other: string): boolean {
    for (let i = 0; i + 4 <= other.length; i += 5) {
      const four = fourAt(other, i)
      // Four times NUL looks like a free place.
      if (table[this.#slotOf(four)] === four) return true
    }
    return false
  }

  /** Where four characters are in the table, or the free place where they would be. */
  #slotOf(four: number): number {
    const mask = 2 ** (32 - this.#shift) - 1
    let slot = Math.imul(four, MULTIPLIER) >>> this.#shift
    while (table[slot] !== 0 && table[slot] !== four) slot = (slot + 1) & mask
    return slot
  }
}

function fourAt(text: string, i: number): number {
  return (
    fold(text.charCodeAt(i)) |
    (fold(text.charCodeAt(i + 1)) << 8) |
    (fold(text.charCodeAt(i + 2)) << 16) |
    (fold(text.charCodeAt(i + 3)) << 24)
  )
}
