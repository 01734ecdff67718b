/** The values of all fields that a path of field numbers leads to: https://protobuf.dev/programming-guides/encoding/ */
export function fieldsAt(message: Buffer, [number, ...inside]: readonly number[]): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < message.length; ) {
    const tag = varint(message, at)
    const { start, end } = extent(message, tag.end, tag.value & 7)
    at = end
    if (tag.value >>> 3 === number) found.push(message.subarray(start, end))
  }
  return inside.length === 0 ? found : found.flatMap((value) => fieldsAt(value, inside))
}

/** Where a value begins and ends, by its wire type. */
function extent(message: Buffer, start: number, wireType: number): { start: number; end: number } {
  switch (wireType) {
    case 0:
      return { start, end: varint(message, start).end }
    case 1:
      return { start, end: start + 8 }
    case 5:
      return { start, end: start + 4 }
    case 2: {
      const length = varint(message, start)
      return { start: length.end, end: length.end + length.value }
    }
    default:
      throw new Error(`no wire type of today: ${wireType}`)
  }
}

/** The low 32 bits are enough for tags and lengths. */
function varint(message: Buffer, start: number): { value: number; end: number } {
  let value = 0
  for (let at = start, shift = 0; ; at++, shift += 7) {
    const byte = message.readUInt8(at)
    if (shift < 32) value |= (byte & 0x7f) << shift
    if (byte < 0x80) return { value: value >>> 0, end: at + 1 }
  }
}
