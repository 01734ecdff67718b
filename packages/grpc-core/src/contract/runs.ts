import { randomBytes } from 'node:crypto'
import { viewsOf } from './escapes.ts'

export const MARK = '[redacted]'
/** The length of a run that counts as quoted. `JSON.parse` quotes ten characters on each side of what it stumbles over. */
export const RUN = 8

// Odd, and of this process alone, so that a peer cannot choose credentials whose runs all land in one place.
export const MULTIPLIER: number = randomBytes(4).readUInt32LE() | 1
let leaving = 1
for (let i = 0; i < RUN; i++) leaving = Math.imul(leaving, MULTIPLIER)

/** Every run of eight characters that some spelling has, in a hash table. */
export class Runs {
  readonly #corpus: Uint8Array
  readonly #table: Int32Array

  constructor(spellings: readonly string[]) {
    const long = new Set(spellings.filter(({ length }) => length >= RUN))
    this.#corpus = folded([...long].join('\0'))
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(this.#corpus.length * 2 + 1)))
    eachRun(this.#corpus, (start, hash) => {
      const slot = this.#slotOf(this.#corpus, start, hash)
      if (this.#table[slot] === 0) this.#table[slot] = start + 1
    })
  }

  /** A text without the runs. */
  without(text: string): string {
    const marked = new Uint8Array(text.length)
    for (const { plain, startOf } of viewsOf(text)) {
      const view = folded(plain)
      eachRun(view, (start, hash) => {
        if (this.#table[this.#slotOf(view, start, hash)] !== 0) marked.fill(1, startOf(start), startOf(start + RUN))
      })
    }
    return replaceMarked(text, marked)
  }

  /** Where a run is in the table, or the free place where it would be. */
  #slotOf(codes: Uint8Array, start: number, hash: number): number {
    const mask = this.#table.length - 1
    let slot = (hash ^ (hash >>> 15)) & mask
    for (let known = this.#table[slot] as number; known !== 0; known = this.#table[slot] as number) {
      if (sameRun(this.#corpus, known - 1, codes, start)) break
      slot = (slot + 1) & mask
    }
    return slot
  }
}

const FOLDED = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code >= 0x41 && code <= 0x5a) return code + 0x20
  return code === 0x2d ? 0x2b : code === 0x5f ? 0x2f : code
})

/** A character without its case, in one byte; of base64url as in base64. Headers hold no wider ones. */
export function fold(code: number): number {
  return FOLDED[code & 0xff] as number
}

/** A byte per character, each folded. */
function folded(text: string): Uint8Array {
  const codes = Buffer.from(text, 'latin1')
  for (let i = 0; i < codes.length; i++) codes[i] = FOLDED[codes[i] as number] as number
  return codes
}

/** Visits every run of eight characters with a hash of it. */
function eachRun(codes: Uint8Array, visit: (start: number, hash: number) => void): void {
  let hash = 0
  for (let i = 0; i < codes.length; i++) {
    hash = (Math.imul(hash, MULTIPLIER) + (codes[i] as number)) | 0
    if (i >= RUN) hash = (hash - Math.imul(codes[i - RUN] as number, leaving)) | 0
    if (i >= RUN - 1) visit(i - RUN + 1, hash)
  }
}

function sameRun(a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean {
  for (let i = 0; i < RUN; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}

function replaceMarked(text: string, marked: Uint8Array): string {
  let shown = ''
  let from = 0
  for (let start = marked.indexOf(1); start >= 0; start = marked.indexOf(1, from)) {
    const end = marked.indexOf(0, start)
    shown += text.slice(from, start) + MARK
    from = end < 0 ? text.length : end
    if (end < 0) break
  }
  return shown + text.slice(from)
}
