import { credentials } from '@grpc/grpc-js'
import { type Channel, type ClientInterceptorLike, createChannel, interceptChannel } from '@grpc-stack/grpc-core'

/** A connection to another service of the shop. */
export function peer(address: string | undefined, ...interceptors: ClientInterceptorLike[]): Channel {
  if (address === undefined) throw new Error('peer: the service was not started yet')
  const channel = createChannel(address, credentials.createInsecure(), {
    // A service that restarts is back soon; the defaults are made for networks.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
  })
  return interceptChannel(channel, ...interceptors)
}
