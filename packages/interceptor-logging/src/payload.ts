import { cleanText } from './clean-text.ts'
import { enterMember, type RedactionState } from './redaction.ts'

/** What a record shows of a message. */
export interface Excerpt {
  /** Plain data; undefined when there was no room for anything. */
  readonly content: unknown
  /** Something was left out for want of room. */
  readonly truncated: boolean
}

const REDACTED = '[redacted]'
const DEEPEST = 32
const NOTHING: unique symbol = Symbol('nothing')

/**
 * A copy of a message as plain data, whose JSON has at most `maxBytes` bytes, without what is redacted. Reads no more of
 * the message than it shows, and never changes it. Throws what a getter of the message throws.
 */
export function excerpt(message: unknown, maxBytes: number, redaction: RedactionState): Excerpt {
  const copier = new Copier(maxBytes)
  const content = copier.copy(message, redaction, 0)
  return { content: content === NOTHING ? undefined : content, truncated: copier.truncated }
}

class Copier {
  truncated = false
  #left: number
  readonly #above = new Set<object>()

  constructor(maxBytes: number) {
    this.#left = maxBytes
  }

  copy(value: unknown, redaction: RedactionState, depth: number): unknown {
    if (typeof value === 'string') return this.#text(value)
    if (typeof value === 'number' && !Number.isFinite(value)) return this.#text(String(value))
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) {
      return this.#take(String(value).length) ? value : NOTHING
    }
    if (typeof value === 'bigint') return this.#text(value.toString())
    if (typeof value !== 'object') return NOTHING
    if (value instanceof Uint8Array) return this.#bytes(value)
    if (value instanceof Date) return this.#text(Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString())
    if (isLong(value)) return this.#text(value.toString())
    if (depth >= DEEPEST) {
      this.truncated = true
      return NOTHING
    }
    if (this.#above.has(value)) return this.#text('[circular]')
    this.#above.add(value)
    const copied = this.#composite(plainObject(value), redaction, depth + 1)
    this.#above.delete(value)
    return copied
  }

  #composite(value: object, redaction: RedactionState, depth: number): unknown {
    if (!this.#take(2)) return NOTHING
    if (Array.isArray(value) || value instanceof Set) return this.#list(value, redaction, depth)
    return this.#members(value, redaction, depth)
  }

  #list(values: Iterable<unknown>, redaction: RedactionState, depth: number): unknown[] {
    const list: unknown[] = []
    for (const value of values) {
      if (list.length > 0 && !this.#take(1)) break
      const copied = this.copy(value ?? null, redaction, depth)
      if (copied === NOTHING) break
      list.push(copied)
    }
    return list
  }

  #members(value: object, redaction: RedactionState, depth: number): Record<string, unknown> {
    // No prototype: a member called __proto__ is a member like any other.
    const members: Record<string, unknown> = Object.create(null)
    const map = value instanceof Map ? value : undefined
    let separator = 0
    for (const key of map?.keys() ?? Object.keys(value)) {
      const member: unknown = map ? map.get(key) : (value as Record<string, unknown>)[key]
      // Members with a $ are what protobuf-es notes about a message.
      if (typeof member === 'function' || member === undefined || (!map && key.startsWith('$'))) continue
      const name = typeof key === 'object' ? '[object]' : cleanText(String(key), MAX_NAME)
      const below = memberRedaction(redaction, name, map !== undefined)
      if (!this.#take(separator + jsonLength(name) + 1)) break
      separator = 1
      const copied = below === 'redacted' ? this.#text(REDACTED) : this.copy(member, below, depth)
      if (copied === NOTHING) this.#left += jsonLength(name) + 1
      else members[name] = copied
      if (this.#left <= 0) break
    }
    return members
  }

  #text(text: string): unknown {
    let shown = text.length > this.#left ? text.slice(0, Math.max(0, this.#left)) : text
    const cut = shown.length < text.length
    shown = cleanText(shown, shown.length)
    let size = jsonLength(shown)
    if (!cut && size <= this.#left) {
      this.#left -= size
      return shown
    }
    const room = this.#left - ELLIPSIS
    while (size > room && shown !== '') {
      shown = shown.slice(0, Math.min(shown.length - 1, Math.floor((shown.length * room) / size)))
      size = jsonLength(shown)
    }
    this.truncated = true
    if (size > room) return NOTHING
    this.#left -= size + ELLIPSIS
    return `${shown}…`
  }

  #bytes(value: Uint8Array): unknown {
    // Base64 of three bytes is four characters.
    const most = Math.max(0, Math.floor((this.#left * 3) / 4))
    const text = Buffer.from(value.buffer, value.byteOffset, Math.min(value.length, most)).toString('base64')
    if (value.length > most) this.truncated = true
    return this.#text(text)
  }

  #take(bytes: number): boolean {
    if (bytes <= this.#left) {
      this.#left -= bytes
      return true
    }
    this.truncated = true
    return false
  }
}

/** An entry of a map is an element, as of a list, and a member by its key. */
function memberRedaction(redaction: RedactionState, name: string, inMap: boolean): RedactionState | 'redacted' {
  const below = enterMember(redaction, name)
  return inMap && below !== 'redacted' ? [...redaction, ...below] : below
}

const MAX_NAME = 128
const ELLIPSIS = Buffer.byteLength('…')

function jsonLength(text: string): number {
  return Buffer.byteLength(JSON.stringify(text))
}

/** 64-bit integers of protobuf.js and of `@grpc/proto-loader`. */
function isLong(value: object): value is { toString(): string } {
  return 'low' in value && 'high' in value && 'unsigned' in value
}

/** Messages of google-protobuf keep their fields in an array, and tell them only all at once. */
function plainObject(value: object): object {
  const { array, toObject } = value as { array?: unknown; toObject?: unknown }
  return Array.isArray(array) && typeof toObject === 'function' ? toObject.call(value) : value
}
