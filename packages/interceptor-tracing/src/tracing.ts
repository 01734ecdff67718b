import type { Interceptor } from '@grpc-stack/grpc-core'
import { factory, type ObserverPlace, observe, withMatchers } from '@grpc-stack/grpc-core/authoring'
import { containTracing } from './containment.ts'
import { readTracingOptions, type TracingOptions } from './options.ts'
import { RpcTracer } from './rpc-tracer.ts'

/** The interceptor, and what it had to swallow. */
export interface Tracing extends Interceptor {
  /**
   * How often something that belongs to tracing threw: a hook, a propagator, a sampler, a processor. The RPC never
   * notices. Each failure also goes to `onFailure` and to OpenTelemetry's `diag` logger.
   */
  readonly failures: number
}

/** What a failure that is not an option's is called. */
const PLACES: Readonly<Record<ObserverPlace, string>> = {
  start: 'starting a call',
  request: 'recording a message',
  response: 'recording a message',
  headers: 'recording response headers',
  attempt: 'recording an attempt',
  around: 'entering the context of a span',
  end: 'recording the end of a call',
  clock: 'clock',
}

/**
 * One OpenTelemetry span per RPC, on the client and on the server, however the RPC ends, named and described after the
 * stable semantic conventions for RPC; the trace context travels in the metadata.
 *
 *     const channel = interceptChannel(createChannel('localhost:50051', credentials.createInsecure()), tracing())
 *     const server = createServer({ interceptors: [tracing()] })
 *
 * It belongs outermost, so that the span covers refusals of other interceptors and every attempt of a retry. A call that is
 * tried more than once has a child span per attempt. The first one's is made when a second begins, so what the server does in
 * the first is a child of the call; for a span per attempt from the start, put a second instance inside:
 * `tracing(), retry(), tracing({ per: 'attempt' })`.
 *
 * Nothing that fails in here reaches the RPC. Without an OpenTelemetry SDK it does nothing.
 *
 * @throws TypeError for an option that is wrong or unknown.
 */
export function tracing(options: TracingOptions = {}): Tracing {
  const settings = readTracingOptions(options)
  const contained = containTracing(settings.onFailure)
  const tracer = new RpcTracer(settings, contained)
  const interceptor = observe('tracing', tracer, {
    contained: { failed: (error, where, call) => contained.failed(error, PLACES[where], call) },
  })
  withMatchers(interceptor, { methods: settings.methods })
  Object.defineProperty(interceptor, 'failures', { get: () => contained.failures, enumerable: true })
  return interceptor as Tracing
}
factory('tracing', tracing)
