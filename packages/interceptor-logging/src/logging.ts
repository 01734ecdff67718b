import type { Interceptor } from '@grpc-stack/grpc-core'
import { contain, factory, observe, perMethod, withMatchers } from '@grpc-stack/grpc-core/authoring'
import { CallLog } from './call-log.ts'
import { planOf } from './method-plan.ts'
import { type FailurePlace, type LoggingOptions, readLoggingOptions } from './options.ts'

/** What `logging()` returns: an interceptor that tells how its logger does. */
export interface LoggingInterceptor extends Interceptor {
  /** How often a logger or another function from the options threw, rejected or returned what it must not. No RPC noticed. */
  readonly failures: number
}

/**
 * Logs RPCs: one record when each ends, however it ends, with the fields of go-grpc-middleware. For clients and servers.
 * Put it outside of what refuses or repeats calls, so that refusals are seen and a retried call is one record;
 * inside `retry()` it logs each attempt.
 *
 *     createServer({ interceptors: [requestId(), logging({ logger: pino() })] })
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function logging(options: LoggingOptions = {}): LoggingInterceptor {
  const settings = readLoggingOptions(options)
  const contained = contain<FailurePlace>('logging', { onFailure: settings.onFailure, code: 'GRPC_STACK_OBSERVER' })
  const plans = perMethod((method) => planOf(settings, contained, method))
  const interceptor = observe(
    'logging',
    {
      start(call, record) {
        const log = new CallLog(plans(call.method), call, record)
        try {
          log.start()
        } catch (error) {
          contained.failed(error, 'logger', call)
        }
        return log
      },
    },
    {
      clock: settings.clock,
      contained: {
        failed: (error, where, call) => contained.failed(error, where === 'clock' ? 'clock' : 'logger', call),
      },
    },
  )
  withMatchers(interceptor, { 'payload.methods': settings.payload?.methods })
  return Object.defineProperty(interceptor, 'failures', { get: () => contained.failures }) as LoggingInterceptor
}
factory('logging', logging)
