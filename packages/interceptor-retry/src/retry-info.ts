import type { Metadata } from '@grpc/grpc-js'
import { errorDetails } from '@grpc-stack/error-details'

/**
 * The least delay the server asks for in a `google.rpc.RetryInfo` of its rich error, in milliseconds, or undefined.
 * Bytes that are not what they should be count as absent: nothing a server sends may break the call further.
 */
export function readRetryInfo(trailers: Metadata): number | undefined {
  for (const detail of errorDetails({ metadata: trailers })) {
    if (detail.type === 'RetryInfo' && detail.retryDelayMs !== undefined) return detail.retryDelayMs
  }
  return undefined
}
