// Messages by description: one encoder and one decoder for all of them.
import { bytesField, type FieldValue, readFields, varintField } from './wire-format.ts'

/** A message as the application holds it. */
export type Message = Readonly<Record<string, unknown>>

/** How one member of a message is checked, written and read. */
export interface Member {
  /** Field number in the .proto file. */
  readonly number: number
  /**
   * What a decoded message has without the field: `undefined` leaves the member out. A member that has a value here is
   * required when an application makes the message.
   */
  readonly absent: unknown
  /** What the value must be, when it is not that. */
  problem(value: unknown, path: string): string | undefined
  /** No bytes for a value that is the same as none. */
  encode(value: unknown): Buffer
  /** @param before the value so far, of this field's earlier occurrences */
  decode(value: FieldValue, before: unknown, limits: Limits): unknown
}

export type Description = Readonly<Record<string, Member>>

/** What decoding may still cost. Shared by everything that belongs to one status. */
export interface Limits {
  fields: number
}

const EMPTY = Buffer.alloc(0)

/** @returns what is wrong with a message an application made, or undefined */
export function problemOf(description: Description, message: unknown, path: string): string | undefined {
  if (typeof message !== 'object' || message === null) return `${path || 'the detail'} must be an object`
  for (const [name, member] of Object.entries(description)) {
    const value = (message as Message)[name]
    if (value === undefined && member.absent === undefined) continue
    const problem = member.problem(value, path === '' ? name : `${path}.${name}`)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The members of the description and no others, those without a value left out. */
export function pick(description: Description, message: Message): Message {
  const names = Object.keys(description).filter((name) => message[name] !== undefined)
  return Object.fromEntries(names.map((name) => [name, message[name]]))
}

export function encode(description: Description, message: Message): Buffer {
  const members = Object.entries(description).filter(([name]) => message[name] !== undefined)
  return Buffer.concat(members.map(([name, member]) => member.encode(message[name])))
}

/** @throws RangeError if the bytes are no message, or exceed the limits */
export function decode(description: Description, bytes: Uint8Array, limits: Limits): Message {
  const fields = readFields(bytes, limits.fields)
  limits.fields -= fields.length
  const members = Object.entries(description)
  const message: Record<string, unknown> = {}
  for (const [name, { absent }] of members) if (absent !== undefined) message[name] = absent
  for (const { number, value } of fields) {
    const found = members.find(([, member]) => member.number === number)
    // Unknown fields are of a newer version, which may add any.
    if (found !== undefined) message[found[0]] = found[1].decode(value, message[found[0]], limits)
  }
  return message
}

/** The bytes of a length-delimited field. */
function bytesOf(value: FieldValue): Uint8Array {
  if (typeof value === 'bigint') throw new RangeError('field has another wire type')
  return value
}

/** Bytes that are no UTF-8 are replaced: a text may be wrong, and the rest of the details still serve. */
const textOf = (value: FieldValue): string => Buffer.from(bytesOf(value)).toString('utf8')

function textMember(number: number, absent: string | undefined): Member {
  return {
    number,
    absent,
    problem: (value, path) => (typeof value === 'string' ? undefined : `${path} must be a string`),
    encode: (value) => (value === '' ? EMPTY : bytesField(number, value as string)),
    decode: (value) => {
      const text = textOf(value)
      return text === '' ? absent : text
    },
  }
}

/** `string`, which every message of this type has. */
export const text = (number: number): Member => textMember(number, '')

/** `string` that many messages leave empty: undefined then. */
export const optionalText = (number: number): Member => textMember(number, undefined)

/** `repeated string` */
export function texts(number: number): Member {
  return {
    number,
    absent: [],
    problem: (value, path) =>
      Array.isArray(value) && value.every((one) => typeof one === 'string')
        ? undefined
        : `${path} must be an array of strings`,
    encode: (value) => Buffer.concat((value as string[]).map((one) => bytesField(number, one))),
    decode: (value, before) => [...(before as string[]), textOf(value)],
  }
}

/** `map<string, string>`; undefined when empty. */
export function textMap(number: number): Member {
  const entry: Description = { key: text(1), value: text(2) }
  return {
    number,
    absent: undefined,
    problem: (value, path) => {
      if (typeof value !== 'object' || value === null) return `${path} must be an object`
      const wrong = Object.entries(value).find(([, one]) => typeof one !== 'string')
      return wrong && `${path}.${wrong[0]} must be a string`
    },
    encode: (value) => {
      const entries = Object.entries(value as Record<string, string>)
      return Buffer.concat(entries.map(([key, one]) => bytesField(number, encode(entry, { key, value: one }))))
    },
    decode: (value, before, limits) => {
      const one = decode(entry, bytesOf(value), limits)
      // Object.fromEntries, because the peer chooses the keys, and assigning to `__proto__` would set a prototype.
      return Object.fromEntries([...Object.entries((before as Message | undefined) ?? {}), [one.key, one.value]])
    },
  }
}

/**
 * `int64`, as bigint; undefined when absent.
 * @param tracked whether the field says 0 apart from nothing (`optional` in the .proto file)
 */
export function int64(number: number, { tracked = false }: { readonly tracked?: boolean } = {}): Member {
  return {
    number,
    absent: undefined,
    problem: (value, path) =>
      typeof value === 'bigint' && BigInt.asIntN(64, value) === value
        ? undefined
        : `${path} must be a bigint of 64 bits`,
    encode: (value) => (value === 0n && !tracked ? EMPTY : varintField(number, value as bigint)),
    decode: (value) => {
      if (typeof value !== 'bigint') throw new RangeError('field has another wire type')
      const signed = BigInt.asIntN(64, value)
      return signed === 0n && !tracked ? undefined : signed
    },
  }
}

/** A message in a message; undefined when absent. */
export function message(number: number, description: Description): Member {
  return {
    number,
    absent: undefined,
    problem: (value, path) => problemOf(description, value, path),
    encode: (value) => bytesField(number, encode(description, value as Message)),
    decode: (value, _before, limits) => decode(description, bytesOf(value), limits),
  }
}

/** `repeated` messages. */
export function messages(number: number, description: Description): Member {
  return {
    number,
    absent: [],
    problem: (value, path) => {
      if (!Array.isArray(value)) return `${path} must be an array`
      for (const [index, one] of value.entries()) {
        const problem = problemOf(description, one, `${path}[${index}]`)
        if (problem !== undefined) return problem
      }
      return undefined
    },
    encode: (value) => Buffer.concat((value as Message[]).map((one) => bytesField(number, encode(description, one)))),
    decode: (value, before, limits) => [...(before as unknown[]), decode(description, bytesOf(value), limits)],
  }
}

/** The longest google.protobuf.Duration, 10,000 years. */
const MAX_DURATION_MS = 315_576_000_000_000

/** `google.protobuf.Duration` as whole milliseconds, rounded up, not below 0. */
export function durationMs(number: number): Member {
  const duration: Description = { seconds: int64(1), nanos: int64(2) }
  return {
    number,
    absent: undefined,
    problem: (value, path) =>
      typeof value === 'number' && Number.isFinite(value) && value >= 0
        ? undefined
        : `${path} must be a number of milliseconds, 0 or more`,
    encode: (value) => {
      const ms = BigInt(Math.min(Math.ceil(value as number), MAX_DURATION_MS))
      return bytesField(number, encode(duration, { seconds: ms / 1000n, nanos: (ms % 1000n) * 1_000_000n }))
    },
    decode: (value, _before, limits) => {
      const { seconds = 0n, nanos = 0n } = decode(duration, bytesOf(value), limits) as Record<string, bigint>
      return Math.max(0, Number(seconds) * 1000 + Math.ceil(Number(BigInt.asIntN(32, nanos)) / 1e6))
    },
  }
}
