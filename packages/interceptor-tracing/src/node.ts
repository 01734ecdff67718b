export {
  type BatchOptions,
  type StartedTracing,
  type StartTracingOptions,
  startTracing,
} from './start-tracing.ts'
