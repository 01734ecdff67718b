import type { Metadata } from '@grpc/grpc-js'

const STATUS_DETAILS = 'grpc-status-details-bin'
const RETRY_INFO = 'google.rpc.RetryInfo'

/**
 * The least delay the server asks for in a `google.rpc.RetryInfo` of its rich error, in milliseconds, or undefined.
 * Bytes that are not what they should be count as absent: nothing a server sends may break the call further.
 */
export function readRetryInfo(trailers: Metadata): number | undefined {
  const [value] = trailers.get(STATUS_DETAILS)
  if (!(value instanceof Uint8Array)) return undefined
  try {
    return delayInStatus(value)
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

// google.rpc.Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
function delayInStatus(bytes: Uint8Array): number | undefined {
  let delay: number | undefined
  readFields(bytes, (field, value) => {
    if (field === 3 && typeof value === 'object') delay ??= delayInAny(value)
  })
  return delay
}

// google.protobuf.Any { string type_url = 1; bytes value = 2; }
function delayInAny(bytes: Uint8Array): number | undefined {
  let type = ''
  let content = new Uint8Array()
  readFields(bytes, (field, value) => {
    if (typeof value !== 'object') return
    if (field === 1) type = Buffer.from(value).toString('utf8')
    if (field === 2) content = Uint8Array.from(value)
  })
  return type.slice(type.lastIndexOf('/') + 1) === RETRY_INFO ? delayInRetryInfo(content) : undefined
}

// google.rpc.RetryInfo { google.protobuf.Duration retry_delay = 1; }
function delayInRetryInfo(bytes: Uint8Array): number | undefined {
  let delay: number | undefined
  readFields(bytes, (field, value) => {
    if (field === 1 && typeof value === 'object') delay = durationMs(value)
  })
  return delay
}

// google.protobuf.Duration { int64 seconds = 1; int32 nanos = 2; }
function durationMs(bytes: Uint8Array): number {
  let seconds = 0
  let nanos = 0
  readFields(bytes, (field, value) => {
    if (typeof value !== 'bigint') return
    if (field === 1) seconds = Number(BigInt.asIntN(64, value))
    if (field === 2) nanos = Number(BigInt.asIntN(32, value))
  })
  return Math.max(0, seconds * 1000 + Math.ceil(nanos / 1e6))
}

/**
 * Walks the fields of a protobuf message: varints as bigint, length-delimited ones as bytes, fixed ones skipped.
 * @throws RangeError if the bytes are no message
 */
function readFields(bytes: Uint8Array, visit: (field: number, value: bigint | Uint8Array) => void): void {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++]
      if (byte === undefined) break
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new RangeError('varint is cut off')
  }
  const skip = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw new RangeError('field is cut off')
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const tag = varint()
    const field = Number(tag >> 3n)
    switch (Number(tag & 7n)) {
      case 0:
        visit(field, varint())
        break
      case 1:
        skip(8)
        break
      case 2:
        visit(field, skip(Number(varint())))
        break
      case 5:
        skip(4)
        break
      default:
        throw new RangeError('unknown wire type')
    }
  }
}
