import { credentials } from '@grpc/grpc-js'
import { type Channel, type ClientInterceptorLike, createChannel, interceptChannel } from '@grpc-stack/grpc-core'
import type { ServiceName, Tools } from './service.ts'

/** A connection to another service of the shop, with a stack of interceptors around its calls. */
export function peer(name: ServiceName, { peers }: Tools, ...stack: ClientInterceptorLike[]): Channel {
  const address = peers[name]
  if (address === undefined) throw new Error(`peer: ${name} was not started yet`)
  const channel = createChannel(address, credentials.createInsecure(), {
    // A service that restarts is back soon; the defaults are made for networks.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
  })
  return interceptChannel(channel, ...stack)
}
