import type { Call, ClientCall, Interceptor, MethodInfo } from '@grpc-stack/grpc-core'
import {
  contain,
  factory,
  func,
  type MonotonicTime,
  monotonicTime,
  type OptionTable,
  objectWith,
  observe,
  oneOf,
  perMethod,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { measuredMethod } from './measured-method.ts'
import { type FailurePlace, type MethodObservation, observationOf } from './method-observation.ts'
import type { Recorder } from './recorder.ts'

export interface MetricsOptions {
  /** Where measurements go: `inMemory()`, `prometheus()`, `openTelemetry()`, or one of your own. */
  readonly recorder: Recorder
  /**
   * What is measured. `call`, the default: what the application waits for; put the interceptor outside of `retry()`.
   * `attempt`: what goes to the server; put a second one inside of `retry()`.
   */
  readonly per?: 'call' | 'attempt'
  /**
   * Bytes of a message, for recorders that have a place for sizes. Default: none, because an interceptor sees objects, and
   * serializing each a second time costs more than all the rest of the measuring. Give `logging()` the same function, and each
   * message is measured once.
   */
  readonly sizeOf?: (message: unknown) => number
  /**
   * Where the calls go, for recorders that tell targets apart. Default: what the channel says, which on a stub with a channel
   * of its own is nothing until a call has started.
   */
  readonly target?: string
  /** For durations. Default: the system's monotonic clock. */
  readonly clock?: MonotonicTime
  /** Told of each failure of the recorder, the clock and `sizeOf`. Default: a process warning about the first of each. */
  readonly onFailure?: (error: unknown, where: FailurePlace) => void
}

/** What `metrics()` returns: an interceptor that tells how its recorder does. */
export interface MetricsInterceptor extends Interceptor {
  /** How often the recorder or another option threw. No RPC noticed. */
  readonly failures: number
}

const table = {
  recorder: objectWith<Recorder>('method').expecting('a recorder, such as inMemory()'),
  per: oneOf('call', 'attempt').default('call'),
  sizeOf: func<NonNullable<MetricsOptions['sizeOf']>>().optional(),
  target: text().optional(),
  clock: monotonicTime(),
  onFailure: func<NonNullable<MetricsOptions['onFailure']>>().optional(),
} satisfies OptionTable<MetricsOptions>

/**
 * Measures RPCs, on clients and servers, however they end: started, in progress, ended by code, how long, how many
 * messages. Put it outside of what refuses or repeats calls, so that refusals are counted and a retried call is one.
 *
 *     const recorder = prometheus()
 *     createServer({ interceptors: [metrics({ recorder })] })
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function metrics(options: MetricsOptions): MetricsInterceptor {
  const { recorder, per, sizeOf, target, clock, onFailure } = readOptions('metrics', options, table, { show: quoted })
  const contained = contain<FailurePlace>('metrics', { onFailure, code: 'GRPC_STACK_OBSERVER' })
  const settings = { contained, sizeOf }

  const make = (_method: MethodInfo, call: Call): MethodObservation | undefined => {
    const { side, method } = call
    // side tells the two apart, but the types of Call do not know.
    const known = side === 'client' ? ((call as ClientCall).target ?? target) : undefined
    return observationOf(settings, recorder, measuredMethod(side, per, method, known))
  }
  const registered = { client: perMethod(make), server: perMethod(make) }
  // All unregistered methods share one: callers make up their names, which must not make series.
  const other: { [side in Call['side']]?: { readonly observation: MethodObservation | undefined } } = {}

  const observationFor = (call: Call): MethodObservation | undefined => {
    const { side, method } = call
    if (method.registered) return registered[side](method, call)
    other[side] ??= { observation: make(method, call) }
    return other[side].observation
  }

  const interceptor = observe(
    'metrics',
    {
      start(call, record) {
        const observation = observationFor(call)
        observation?.started(call, record)
        return observation
      },
    },
    {
      clock,
      contained: {
        failed: (error, where, call) => contained.failed(error, where === 'clock' ? 'clock' : 'recorder', call),
      },
    },
  )
  return Object.defineProperty(interceptor, 'failures', { get: () => contained.failures }) as MetricsInterceptor
}
factory('metrics', metrics)
