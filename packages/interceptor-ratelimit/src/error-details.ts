// google.rpc.Status and three of its details, written as protobuf by hand: five messages do not justify a runtime.
// Fields as in googleapis: google/rpc/status.proto, google/rpc/error_details.proto.

export interface ErrorDetails {
  readonly code: number
  readonly message: string
  readonly errorInfo?: {
    readonly reason: string
    readonly domain: string
    readonly metadata?: Readonly<Record<string, string>>
  }
  /** Whole milliseconds. */
  readonly retryDelayMs?: number
  readonly violations?: readonly { readonly subject: string; readonly description: string }[]
}

/** The value of the trailer `grpc-status-details-bin`. */
export function encodeErrorDetails(details: ErrorDetails): Buffer {
  const parts = [varintField(1, details.code), textField(2, details.message)]
  const { errorInfo, retryDelayMs, violations } = details
  if (errorInfo !== undefined) {
    const entries = Object.entries(errorInfo.metadata ?? {})
    parts.push(
      anyField(
        'ErrorInfo',
        textField(1, errorInfo.reason),
        textField(2, errorInfo.domain),
        ...entries.map(([key, value]) => bytesField(3, Buffer.concat([textField(1, key), textField(2, value)]))),
      ),
    )
  }
  if (retryDelayMs !== undefined) {
    const seconds = Math.floor(retryDelayMs / 1000)
    const nanos = (retryDelayMs - seconds * 1000) * 1e6
    parts.push(anyField('RetryInfo', bytesField(1, Buffer.concat([varintField(1, seconds), varintField(2, nanos)]))))
  }
  if (violations !== undefined && violations.length > 0) {
    parts.push(
      anyField(
        'QuotaFailure',
        ...violations.map(({ subject, description }) =>
          bytesField(1, Buffer.concat([textField(1, subject), textField(2, description)])),
        ),
      ),
    )
  }
  return Buffer.concat(parts)
}

/** An `Any` in the field `details` of the status. */
function anyField(name: string, ...fields: readonly Buffer[]): Buffer {
  const url = textField(1, `type.googleapis.com/google.rpc.${name}`)
  return bytesField(3, Buffer.concat([url, bytesField(2, Buffer.concat(fields))]))
}

function textField(field: number, text: string): Buffer {
  // proto3: an empty string is the same as none.
  return text === '' ? EMPTY : bytesField(field, Buffer.from(text))
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes])
}

function varintField(field: number, value: number): Buffer {
  return value === 0 ? EMPTY : Buffer.concat([varint(field * 8), varint(value)])
}

/** Division instead of shifts: seconds may take more than 32 bits. */
function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}

const EMPTY = Buffer.alloc(0)
