import { createRequire } from 'node:module'
import { registerInstrumentations } from '@opentelemetry/instrumentation'
import { GrpcInstrumentation } from '@opentelemetry/instrumentation-grpc'
import { startTracing } from './telemetry.ts'
import type { Variant } from './variant.ts'

registerInstrumentations({ tracerProvider: startTracing(), instrumentations: [new GrpcInstrumentation()] })
// The instrumentation patches grpc-js as CommonJS loads it, so this must come before any import of it.
createRequire(import.meta.url)('@grpc/grpc-js')
const { openGrpcJs, serveStock } = await import('./grpc-js-peer.ts')

export const instrumentationGrpc: Variant = {
  startServer: () => serveStock(),
  openClient: (port) => openGrpcJs(port),
}
