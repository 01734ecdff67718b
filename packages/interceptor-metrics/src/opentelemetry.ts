export { type OpenTelemetryOptions, openTelemetry } from './opentelemetry-recorder.ts'
