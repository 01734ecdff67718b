import { randomFillSync } from 'node:crypto'

const BYTES = 16
const POOLED = 256
const DIGITS = Buffer.from('0123456789abcdef')
const DASH = 0x2d

const pool = Buffer.alloc(BYTES * POOLED)
let next = pool.length
const text = Buffer.alloc(36)

/**
 * A random UUID, version 4 (RFC 9562). Node's own joins its text out of twenty pieces, which costs a call ten times as much
 * memory as the id.
 */
export function randomUuid(): string {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  const from = next
  next += BYTES
  pool[from + 6] = ((pool[from + 6] as number) & 0x0f) | 0x40
  pool[from + 8] = ((pool[from + 8] as number) & 0x3f) | 0x80
  let at = 0
  for (let i = 0; i < BYTES; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text[at++] = DASH
    const byte = pool[from + i] as number
    text[at++] = DIGITS[byte >> 4] as number
    text[at++] = DIGITS[byte & 15] as number
  }
  return text.toString('latin1')
}
