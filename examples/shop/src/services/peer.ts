import { credentials } from '@grpc/grpc-js'
import {
  type Channel,
  type ClientInterceptorLike,
  createChannel,
  interceptChannel,
  propagate,
  select,
} from '@grpc-stack/grpc-core'
import { timeLimit } from '../interceptors/time-limit.ts'
import { asCaller } from '../tokens/caller-token.ts'
import type { ServiceName, Tools } from './service.ts'

const LONGEST_MS = 5000

/**
 * A connection to another service of the shop. Calls made on it are observed, end with the call they are made for, are
 * made in the name of its caller, and have `stack` around each attempt.
 */
export function peer(name: ServiceName, { peers, instruments }: Tools, ...stack: ClientInterceptorLike[]): Channel {
  const address = peers[name]
  if (address === undefined) throw new Error(`peer: ${name} was not started yet`)
  const channel = createChannel(address, credentials.createInsecure(), {
    // A service that restarts is back soon; the defaults are made for networks.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
    // Where a service is several workers, all of them get calls.
    'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
  })
  const interceptors = [
    ...instruments.observers,
    propagate(),
    // Streams may be long.
    select({ pattern: 'unary' }, timeLimit(LONGEST_MS)),
    ...stack,
    asCaller(),
  ]
  instruments.stack(`→ ${name}`, interceptors)
  return interceptChannel(channel, ...interceptors)
}
