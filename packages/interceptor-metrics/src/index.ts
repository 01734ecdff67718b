export type { MonotonicTime } from '@grpc-stack/grpc-core/authoring'
export { type InMemoryOptions, type InMemoryRecorder, inMemory } from './in-memory/in-memory.ts'
export type {
  LatencySnapshot,
  MethodSnapshot,
  MetricsSnapshot,
  SnapshotFilter,
} from './in-memory/snapshot.ts'
export type { FailurePlace } from './method-observation.ts'
export { type MetricsInterceptor, type MetricsOptions, metrics } from './metrics.ts'
export type { MeasuredMethod, MessageSizes, MethodRecorder, MethodType, Recorder } from './recorder.ts'
