import type { Metadata } from '@grpc/grpc-js'

const PUSHBACK = 'grpc-retry-pushback-ms'
const LARGEST = 2 ** 31 - 1

/**
 * What the server says about retrying: wait exactly so many milliseconds, or do not retry at all. A value that is
 * negative, or not a signed 32-bit number, or given twice, means do not (gRFC A6, "Pushback").
 */
export function readPushback(trailers: Metadata): number | 'stop' | undefined {
  const values = trailers.get(PUSHBACK)
  if (values.length === 0) return undefined
  const [value] = values
  if (values.length > 1 || typeof value !== 'string' || !/^(0|[1-9]\d{0,9})$/.test(value)) return 'stop'
  const ms = Number(value)
  return ms <= LARGEST ? ms : 'stop'
}
