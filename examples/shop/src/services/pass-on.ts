import { Metadata } from '@grpc/grpc-js'
import { abort, RpcError } from '@grpc-stack/grpc-core'

/**
 * Answers with the failure of a service that was needed for the answer. It has been retried here, so that the caller
 * should not do so again: retries in every layer multiply. They learn it by pushback (gRFC A6).
 */
export function passOn(error: unknown): never {
  const { code, details, metadata } = RpcError.from(error)
  const trailers = new Metadata()
  for (const value of metadata.get('grpc-status-details-bin')) trailers.add('grpc-status-details-bin', value)
  trailers.set('grpc-retry-pushback-ms', '-1')
  return abort(code, details, trailers)
}
