// The wire format of protobuf, as far as google.rpc needs it: varints and length-delimited fields are read and written,
// fields of 4 and 8 bytes and groups are passed over.

/** The value of a field: a varint, or the bytes of a length-delimited one. */
export type FieldValue = bigint | Uint8Array

export interface WireField {
  readonly number: number
  readonly value: FieldValue
}

/** As in the reference implementations of protobuf. Counted, not recursed into: no bytes can exhaust the stack. */
const MAX_GROUP_DEPTH = 100

/**
 * The fields of a message in their order. Views of the given bytes, not copies.
 * @throws RangeError if the bytes are no message, or have more fields than `maxFields`
 */
export function readFields(bytes: Uint8Array, maxFields: number): WireField[] {
  const fields: WireField[] = []
  const groups: number[] = []
  let at = 0
  let seen = 0

  function varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) throw new RangeError('varint is cut off')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw new RangeError('varint is longer than 10 bytes')
  }

  function take(length: number): Uint8Array {
    if (length > bytes.length - at) throw new RangeError('field is cut off')
    at += length
    return bytes.subarray(at - length, at)
  }

  function keep(number: number, value: FieldValue): void {
    if (groups.length === 0) fields.push({ number, value })
  }

  while (at < bytes.length) {
    if (++seen > maxFields) throw new RangeError(`more than ${maxFields} fields`)
    const tag = varint()
    const number = Number(tag >> 3n)
    if (number === 0 || number > 0x1fff_ffff) throw new RangeError('invalid field number')
    switch (Number(tag & 7n)) {
      case 0:
        keep(number, varint())
        break
      case 1:
        take(8)
        break
      case 2:
        keep(number, take(Number(varint())))
        break
      case 3:
        if (groups.push(number) > MAX_GROUP_DEPTH) throw new RangeError('groups are nested too deep')
        break
      case 4:
        if (groups.pop() !== number) throw new RangeError('end of another group')
        break
      case 5:
        take(4)
        break
      default:
        throw new RangeError('unknown wire type')
    }
  }
  if (groups.length > 0) throw new RangeError('group is cut off')
  return fields
}

/** A length-delimited field: text, bytes or a message. */
export function bytesField(number: number, value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([varint(BigInt(number * 8 + 2)), varint(BigInt(bytes.length)), bytes])
}

/** A field of type int32 or int64. */
export function varintField(number: number, value: bigint): Buffer {
  return Buffer.concat([varint(BigInt(number * 8)), varint(BigInt.asUintN(64, value))])
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80)
    rest >>= 7n
  }
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}
