import { clientInterceptors, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import { logging } from '@grpc-stack/interceptor-logging'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { openGrpcJs, serveGrpcJs } from './grpc-js-peer.ts'
import { nullSinks, type Sinks, startTracing } from './telemetry.ts'
import type { Variant } from './variant.ts'

startTracing()
const sinks = nullSinks()

/** The three that watch, the same on both sides. */
export const observers = ({ logger, registry }: Sinks): Interceptor[] => [
  tracing(),
  metrics({ recorder: prometheus({ registry: registry() }) }),
  // A line for each call on both sides, as all of the others write.
  logging({ logger, levels: { OK: 'info' } }),
]

export const oursObservers: Variant = {
  startServer: () => serveGrpcJs(createServer({ interceptors: observers(sinks) })),
  openClient: (port) => openGrpcJs(port, { interceptors: clientInterceptors(...observers(sinks)) }),
}
