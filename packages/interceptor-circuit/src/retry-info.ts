const TYPE = Buffer.from('type.googleapis.com/google.rpc.RetryInfo')

/** A serialized `google.rpc.Status` that says: try again after so many ms. For the trailer `grpc-status-details-bin`. */
export function retryInfoDetails(code: number, message: string, delayMs: number): Buffer {
  const ms = Math.ceil(delayMs)
  // google.protobuf.Duration { int64 seconds = 1; int32 nanos = 2; }
  const duration = Buffer.concat([varintField(1, Math.floor(ms / 1000)), varintField(2, (ms % 1000) * 1_000_000)])
  // google.rpc.RetryInfo { Duration retry_delay = 1; }
  const retryInfo = bytesField(1, duration)
  // google.protobuf.Any { string type_url = 1; bytes value = 2; }
  const any = Buffer.concat([bytesField(1, TYPE), bytesField(2, retryInfo)])
  // google.rpc.Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  return Buffer.concat([varintField(1, code), bytesField(2, Buffer.from(message)), bytesField(3, any)])
}

function varintField(field: number, value: number): Buffer {
  return Buffer.from([field << 3, ...varint(value)])
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(bytes.length)]), bytes])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let left = value
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80)
  bytes.push(left)
  return bytes
}
