import type { Metadata } from '@grpc/grpc-js'
import { type DetailOf, detailFromAny, type ErrorDetail } from './detail.ts'
import { decodeRaw, encodeRaw, STATUS_DETAILS, type StatusText } from './status-details.ts'

/** `google.rpc.Status`, with its details decoded. */
export interface RpcStatus {
  readonly code: number
  readonly message: string
  readonly details: readonly ErrorDetail[]
}

/** Headers of gRPC are 8 KiB by default; a peer may allow more. What is longer is no description of an error. */
const MAX_BYTES = 64 * 1024

/** Fields of protobuf in one status, in all its details. A violation with its members has four to ten. */
const MAX_FIELDS = 2_000

/**
 * Reads a serialized `google.rpc.Status`. Never throws: a detail of an unknown type, or with bytes that do not match its
 * type, is an `Any`.
 *
 * @returns undefined when the bytes are no status, are more than 64 KiB, or have more than 2,000 fields
 */
export function decodeStatus(bytes: Uint8Array): RpcStatus | undefined {
  if (bytes.length > MAX_BYTES) return undefined
  try {
    const { code, message, details } = decodeRaw(bytes, MAX_FIELDS)
    const limits = { fields: MAX_FIELDS }
    return { code, message, details: details.map((any) => detailFromAny(any, limits)) }
  } catch {
    return undefined
  }
}

/** Serializes a `google.rpc.Status`. */
export function encodeStatus({ code, message, details }: RpcStatus): Buffer {
  return encodeRaw({ code, message, details: details.map((detail) => detail.toAny()) })
}

/**
 * The `google.rpc.Status` in the trailers of an error or a status. Never throws.
 *
 * Its code and message are what the server wrote into the details. The RPC's own stand in the error.
 *
 * @param failure whatever a call ended with: an `RpcError`, a `ServiceError` or a status object of grpc-js
 * @returns undefined when there is none that can be read
 */
export function statusOf(failure: unknown): RpcStatus | undefined {
  try {
    const { metadata } = failure as { metadata?: Metadata }
    const [value] = metadata?.get(STATUS_DETAILS) ?? []
    return value instanceof Uint8Array ? decodeStatus(value) : undefined
  } catch {
    return undefined // no object, or one whose members throw
  }
}

/**
 * The details of an error or a status, in the order the server gave them. Never throws.
 *
 * @param failure whatever a call ended with: an `RpcError`, a `ServiceError` or a status object of grpc-js
 * @returns an empty array when there are none that can be read
 */
export function errorDetails(failure: unknown): readonly ErrorDetail[] {
  return statusOf(failure)?.details ?? []
}

/** The first detail of one type. Never throws. */
export function findDetail<Type extends ErrorDetail['type']>(failure: unknown, type: Type): DetailOf<Type> | undefined {
  return errorDetails(failure).find((detail): detail is DetailOf<Type> => detail.type === type)
}

/**
 * Adds details to the trailers of a status that is not an `RpcError`: one that an interceptor returns, or that a handler
 * of grpc-js gives its callback. Details that are there already are kept.
 *
 * @param status the code and the text of the status, which the details repeat
 * @returns `trailers`
 */
export function addDetails(trailers: Metadata, status: StatusText, details: readonly ErrorDetail[]): Metadata {
  for (const detail of details) detail.addTo(trailers, status)
  return trailers
}
