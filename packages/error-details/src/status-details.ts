// google.rpc.Status { int32 code = 1; string message = 2; repeated google.protobuf.Any details = 3; }
// google.protobuf.Any { string type_url = 1; bytes value = 2; }
import type { Metadata } from '@grpc/grpc-js'
import { bytesField, readFields, varintField } from './wire-format.ts'

/** `google.protobuf.Any`: a message with the name of its type. */
export interface Any {
  /** For instance `type.googleapis.com/google.rpc.ErrorInfo`. */
  readonly typeUrl: string
  readonly value: Uint8Array
}

/** The trailer that carries a serialized google.rpc.Status. */
export const STATUS_DETAILS = 'grpc-status-details-bin'

/** The part of a status that google.rpc.Status repeats. */
export interface StatusText {
  readonly code: number
  /** The text of the status, its `grpc-message`. */
  readonly details?: string
}

export interface RawStatus {
  readonly code: number
  readonly message: string
  readonly details: readonly Any[]
}

export function encodeRaw({ code, message, details }: RawStatus): Buffer {
  return Buffer.concat([head(code, message), ...details.map(encodeAny)])
}

/** @throws RangeError if the bytes are no google.rpc.Status, or have more fields than `maxFields` */
export function decodeRaw(bytes: Uint8Array, maxFields: number): RawStatus {
  let code = 0
  let message = ''
  const details: Any[] = []
  for (const { number, value } of readFields(bytes, maxFields)) {
    if (number === 1 && typeof value === 'bigint') code = Number(BigInt.asIntN(32, value))
    if (number === 2 && typeof value === 'object') message = Buffer.from(value).toString('utf8')
    if (number === 3 && typeof value === 'object') {
      const any = decodeAny(value, maxFields)
      if (any !== undefined) details.push(any)
    }
  }
  return { code, message, details }
}

/**
 * Adds a detail to the trailers of a status. What they held before is kept, under the code and the text of this status:
 * clients, gRPC Python's for one, refuse details whose code is another than that of the status.
 */
export function appendDetail(trailers: Metadata, { code, details = '' }: StatusText, any: Any): void {
  const start = head(code, details)
  const [before] = trailers.get(STATUS_DETAILS)
  const has = before instanceof Uint8Array && Buffer.from(before).subarray(0, start.length).equals(start)
  const kept = has ? before : Buffer.concat([start, ...anysOf(before).map(encodeAny)])
  trailers.set(STATUS_DETAILS, Buffer.concat([kept, encodeAny(any)]))
}

function anysOf(value: unknown): readonly Any[] {
  if (!(value instanceof Uint8Array)) return []
  try {
    return decodeRaw(value, Number.POSITIVE_INFINITY).details
  } catch {
    return [] // not a status
  }
}

const head = (code: number, message: string): Buffer =>
  Buffer.concat([
    code === 0 ? Buffer.alloc(0) : varintField(1, BigInt(code)),
    message === '' ? Buffer.alloc(0) : bytesField(2, message),
  ])

const encodeAny = ({ typeUrl, value }: Any): Buffer =>
  bytesField(3, Buffer.concat([bytesField(1, typeUrl), bytesField(2, value)]))

/** Undefined if the bytes are none: the other details still serve. */
function decodeAny(bytes: Uint8Array, maxFields: number): Any | undefined {
  let typeUrl = ''
  let content = new Uint8Array()
  try {
    for (const { number, value } of readFields(bytes, maxFields)) {
      if (number === 1 && typeof value === 'object') typeUrl = Buffer.from(value).toString('utf8')
      if (number === 2 && typeof value === 'object') content = Uint8Array.from(value)
    }
  } catch {
    return undefined
  }
  return { typeUrl, value: content }
}
