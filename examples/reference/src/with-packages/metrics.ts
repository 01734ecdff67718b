import { createServer } from '@grpc-stack/grpc-core'
import { type InMemoryRecorder, inMemory, metrics } from '@grpc-stack/interceptor-metrics'

/** Metrics collection: `recorder.snapshot()` has requests, errors and the average latency of each method, and more. */
export function createMeasuredServer(): { server: ReturnType<typeof createServer>; recorder: InMemoryRecorder } {
  const recorder = inMemory()
  return { server: createServer({ interceptors: [metrics({ recorder })] }), recorder }
}
