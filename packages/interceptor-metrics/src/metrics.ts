import type { ClientCall, Interceptor, MethodInfo } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { Containment, type FailurePlace } from './containment.ts'
import { MethodProbe, measuredMethod } from './method-probe.ts'
import { checkNames, fail } from './options.ts'
import type { Recorder } from './recorder.ts'

/** Where time comes from. Monotonic: a stepped clock must not make a call take minus an hour. */
export interface Clock {
  /** Milliseconds; what the zero is does not matter. */
  now(): number
}

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
   * serializing each a second time costs more than all the rest of the measuring.
   */
  readonly sizeOf?: (message: unknown) => number
  /**
   * Where the calls go, for recorders that tell targets apart. Default: what the channel says, which on a stub with a channel
   * of its own is nothing until a call has started.
   */
  readonly target?: string
  /** Default: `performance`. */
  readonly clock?: Clock
  /** Told of each failure of the recorder, the clock and `sizeOf`. Default: a process warning about the first. */
  readonly onFailure?: (error: unknown, where: FailurePlace) => void
}

/** What `metrics()` returns: an interceptor that tells how its recorder does. */
export interface MetricsInterceptor extends Interceptor {
  /** How often the recorder or another option threw. No RPC noticed. */
  readonly failures: number
}

/**
 * Measures RPCs, on clients and servers, whatever ends them: started, in progress, ended by code, how long, how many
 * messages. Put it outside whatever refuses or repeats calls, so that refusals are counted and a retried call is one.
 *
 *     const recorder = prometheus()
 *     createServer({ interceptors: [metrics({ recorder })] })
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function metrics(options: MetricsOptions): MetricsInterceptor {
  checkNames('metrics', options, ['recorder', 'per', 'sizeOf', 'target', 'clock', 'onFailure'])
  const { recorder, per = 'call', sizeOf, clock = performance, onFailure } = options
  if (typeof recorder?.method !== 'function') {
    fail('metrics: option "recorder"', 'a recorder, such as inMemory()', recorder)
  }
  if (per !== 'call' && per !== 'attempt') fail('metrics: option "per"', '"call" or "attempt"', per)
  if (sizeOf !== undefined && typeof sizeOf !== 'function') fail('metrics: option "sizeOf"', 'a function', sizeOf)
  if (options.target !== undefined && typeof options.target !== 'string') {
    fail('metrics: option "target"', 'a text', options.target)
  }
  if (typeof clock?.now !== 'function') fail('metrics: option "clock"', 'an object with now()', clock)
  if (onFailure !== undefined && typeof onFailure !== 'function') {
    fail('metrics: option "onFailure"', 'a function', onFailure)
  }
  const contained = new Containment(onFailure)
  const now = (): number => {
    try {
      return clock.now()
    } catch (error) {
      contained.failed(error, 'clock')
      return 0
    }
  }
  const settings = { contained, now, sizeOf }
  const probes = new WeakMap<MethodInfo, MethodProbe>()
  // All methods nobody registered share one probe: callers mint them, and must not make series.
  let other: MethodProbe | undefined

  const interceptor: Interceptor = (call, next) => {
    const { method, side } = call
    let probe = method.registered ? probes.get(method) : other
    if (probe === undefined) {
      const target = side === 'client' ? ((call as ClientCall).target ?? options.target) : undefined
      probe = new MethodProbe(settings, recorder, measuredMethod(side, per, method, target))
      if (method.registered) probes.set(method, probe)
      else other = probe
    }
    probe.watch(call)
    return next()
  }
  return Object.defineProperty(named('metrics', interceptor), 'failures', {
    get: () => contained.failures,
  }) as MetricsInterceptor
}
