export type { FailurePlace } from './containment.ts'
export {
  type InMemoryOptions,
  type InMemoryRecorder,
  inMemory,
  type LatencySnapshot,
  type MethodSnapshot,
  type MetricsSnapshot,
  type SnapshotFilter,
} from './in-memory.ts'
export { type Clock, type MetricsInterceptor, type MetricsOptions, metrics } from './metrics.ts'
export type { MeasuredMethod, MessageSizes, MethodRecorder, MethodType, Recorder } from './recorder.ts'
