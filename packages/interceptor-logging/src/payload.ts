import { cleanText } from './clean-text.ts'
import { enterEntry, enterMember, enterMemberOfEither, type RedactionState } from './redaction.ts'

/** What a record shows of a message. */
export interface Excerpt {
  /** Plain data; undefined when there was no room for anything. */
  readonly content: unknown
  /** Something was left out for want of room. */
  readonly truncated: boolean
}

/** What keeps secrets out of a copy beside paths. */
export interface Discretion {
  /** Takes secrets out of a text. */
  readonly scrub: (text: string) => string
  /** Whether the member with this name must not be seen. */
  readonly hides: (name: string) => boolean
}

const REDACTED = '[redacted]'
const TRUNCATED = '[truncated]'
const DEEPEST = 32
/** Members that may be looked at and not shown, such as functions. Each that is shown takes a byte at least. */
const MOST_HIDDEN = 1000
const NOTHING: unique symbol = Symbol('nothing')

/**
 * A copy of a message as plain data, whose JSON has at most `maxBytes` bytes, without what is redacted. Reads hardly more of
 * the message than it shows, and never changes it. What is deeper than 32 levels reads `[truncated]`. Throws what a getter of
 * the message throws.
 */
export function excerpt(
  message: unknown,
  maxBytes: number,
  redaction: RedactionState,
  discretion?: Discretion,
): Excerpt {
  const copier = new Copier(maxBytes, discretion)
  const content = copier.copy(message, redaction, 0)
  return { content: content === NOTHING ? undefined : content, truncated: copier.truncated }
}

class Copier {
  truncated = false
  #left: number
  #visits: number
  readonly #discretion: Discretion | undefined
  readonly #above = new Set<object>()

  constructor(maxBytes: number, discretion: Discretion | undefined) {
    this.#left = maxBytes
    this.#visits = maxBytes + MOST_HIDDEN
    this.#discretion = discretion
  }

  /** @param inList whether the value is an element of a list: there, a pair is the entry of a map */
  copy(value: unknown, redaction: RedactionState, depth: number, inList = false): unknown {
    if (typeof value === 'string') return this.#text(value)
    if (typeof value === 'number' && !Number.isFinite(value)) return this.#text(String(value))
    if (typeof value === 'number' || typeof value === 'boolean' || value === null) {
      return this.#take(String(value).length) ? value : NOTHING
    }
    if (typeof value === 'bigint') return this.#text(value.toString())
    if (typeof value !== 'object') return NOTHING
    if (value instanceof Uint8Array) return this.#bytes(value)
    if (value instanceof Date) return this.#text(Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString())
    const long = longText(value, redaction)
    if (long !== undefined) return this.#text(long)
    if (depth >= DEEPEST) {
      this.truncated = true
      return this.#text(TRUNCATED)
    }
    if (this.#above.has(value)) return this.#text('[circular]')
    this.#above.add(value)
    const copied = this.#composite(plainObject(value), redaction, depth + 1, inList)
    this.#above.delete(value)
    return copied
  }

  #composite(value: object, redaction: RedactionState, depth: number, inList: boolean): unknown {
    if (!this.#take(2)) return NOTHING
    if (value instanceof Set) return this.#list(value, redaction, redaction, depth)
    if (!Array.isArray(value)) return this.#members(value, redaction, depth)
    // How google-protobuf tells of maps: [["key", value], …].
    const entry = inList && value.length === 2 && typeof value[0] !== 'object'
    return this.#list(value, redaction, entry ? enterEntry(redaction, String(value[0])) : redaction, depth)
  }

  /** @param fromSecond the redaction of the elements after the first */
  #list(
    values: Iterable<unknown>,
    redaction: RedactionState,
    fromSecond: RedactionState | 'redacted',
    depth: number,
  ): unknown[] {
    const list: unknown[] = []
    for (const value of values) {
      if (list.length > 0 && !this.#take(1)) break
      const below = list.length === 0 ? redaction : fromSecond
      const copied = below === 'redacted' ? this.#text(REDACTED) : this.copy(value ?? null, below, depth, true)
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
      if (--this.#visits < 0) {
        this.truncated = true
        members['…'] = this.#text(TRUNCATED)
        break
      }
      const member: unknown = map ? map.get(key) : (value as Record<string, unknown>)[key]
      if (typeof member === 'function' || member === undefined || (!map && NOTES.has(key))) continue
      const name = typeof key === 'object' ? '[object]' : String(key)
      const shown = cleanText(this.#discretion?.scrub(name) ?? name, MAX_NAME)
      const below = this.#discretion?.hides(name)
        ? 'redacted'
        : memberRedaction(redaction, name, member, map !== undefined)
      if (!this.#take(separator + jsonLength(shown) + 1)) break
      separator = 1
      const copied = below === 'redacted' ? this.#text(REDACTED) : this.copy(member, below, depth)
      if (copied === NOTHING) this.#left += jsonLength(shown) + 1
      else members[shown] = copied
      if (this.#left <= 0) break
    }
    return members
  }

  #text(whole: string): unknown {
    const text = this.#discretion?.scrub(whole) ?? whole
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

function memberRedaction(
  redaction: RedactionState,
  name: string,
  member: unknown,
  inMap: boolean,
): RedactionState | 'redacted' {
  if (redaction.length === 0) return redaction
  if (inMap) return enterEntry(redaction, name)
  // google-protobuf calls the repeated field `lines` linesList, and the map `labels` labelsMap.
  const field = Array.isArray(member) ? name.replace(/(?:List|Map)$/, '') : name
  return field === name || field === '' ? enterMember(redaction, name) : enterMemberOfEither(redaction, name, field)
}

/** What protobuf-es and ts-proto note about a message beside its fields. */
const NOTES = new Set(['$typeName', '$unknown', '$type'])

const MAX_NAME = 128
const ELLIPSIS = Buffer.byteLength('…')

function jsonLength(text: string): number {
  return Buffer.byteLength(JSON.stringify(text))
}

const PARTS_OF_LONG: readonly string[] = ['low', 'high', 'unsigned']

/** 64-bit integers of protobuf.js and of `@grpc/proto-loader`; not a message whose fields have the names of their parts. */
function longText(value: object, redaction: RedactionState): string | undefined {
  const { low, high, unsigned } = value as { low?: unknown; high?: unknown; unsigned?: unknown }
  if (typeof low !== 'number' || typeof high !== 'number' || typeof unsigned !== 'boolean') return undefined
  const others = Object.entries(value).filter(([name]) => !PARTS_OF_LONG.includes(name))
  if (others.some(([, member]) => typeof member !== 'function')) return undefined
  if (PARTS_OF_LONG.some((part) => enterMember(redaction, part) === 'redacted')) return undefined
  const text: unknown = value.toString()
  return typeof text === 'string' && /^-?\d+$/.test(text) ? text : undefined
}

/** Messages of google-protobuf keep their fields in an array, and tell them only all at once. */
function plainObject(value: object): object {
  const { array, toObject } = value as { array?: unknown; toObject?: unknown }
  return Array.isArray(array) && typeof toObject === 'function' ? toObject.call(value) : value
}
