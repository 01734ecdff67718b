import { clientInterceptors, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import { openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import type { Variant } from './variant.ts'

/** Returns `next()`'s promise: the cheapest thing an interceptor can do. */
const passThrough: Interceptor = (_call, next) => next()

/** Awaits, as an observer written without thought for cost does. */
const awaiting: Interceptor = async (_call, next) => {
  const status = await next()
  return status
}

export function ours(interceptors: readonly Interceptor[]): Variant {
  return {
    startServer: () => serveGrpcJs(createServer({ interceptors })),
    openClient: (port) => openGrpcJs(port, { interceptors: clientInterceptors(...interceptors) }),
  }
}

export const ours0: Variant = ours([])
export const oursPassThrough8: Variant = ours(Array.from({ length: 8 }, () => passThrough))
export const oursPassThrough8Async: Variant = ours(Array.from({ length: 8 }, () => awaiting))
