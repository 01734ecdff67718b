/** One protobuf field, `bytes data = 1`. */
interface Bytes {
  readonly data: Uint8Array
}

/** protobuf by hand, so small that what is measured is the rest. */
export function serialize(message: object): Buffer {
  const { data } = message as Bytes
  const head = data.length < 128 ? [0x0a, data.length] : [0x0a, ...varint(data.length)]
  const bytes = Buffer.allocUnsafe(head.length + data.length)
  bytes.set(head, 0)
  bytes.set(data, head.length)
  return bytes
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}

export function deserialize(bytes: Buffer): Bytes {
  let start = 1
  while (((bytes[start++] ?? 0) & 128) !== 0);
  return { data: bytes.subarray(start) }
}

export const SMALL: Bytes = { data: Buffer.from('sixteen bytes ok') }
export const LARGE: Bytes = { data: Buffer.alloc(64 * 1024, 7) }
