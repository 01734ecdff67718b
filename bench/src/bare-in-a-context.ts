import { AsyncLocalStorage } from 'node:async_hooks'
import { Server } from '@grpc/grpc-js'
import { type ByHand, clientByHand, openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import type { Variant } from './variant.ts'

const storage = new AsyncLocalStorage<object>()
const begin = (): ByHand => ({ run: (work) => storage.run({}, work), end: () => undefined })

/**
 * grpc-js alone, with each call and each handler run in a store of its own: what AsyncLocalStorage costs with
 * any library.
 */
export const bareInAContext: Variant = {
  startServer: () => serveGrpcJs(new Server(), begin),
  openClient: (port) => clientByHand(openGrpcJs(port), begin),
}
