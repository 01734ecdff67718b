import type { Interceptor } from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { CallLog } from './call-log.ts'
import { Containment } from './containment.ts'
import { MethodPlans } from './method-plan.ts'
import { type LoggingOptions, readLoggingOptions } from './options.ts'

/** What `logging()` returns: an interceptor that tells how its logger does. */
export interface LoggingInterceptor extends Interceptor {
  /** How often a logger or another function from the options threw, rejected or returned rubbish. No RPC noticed. */
  readonly failures: number
}

/**
 * Logs RPCs: one record when each ends, however it ends, with the fields of go-grpc-middleware. For clients and servers.
 * Put it outside whatever refuses or repeats calls, so that refusals are seen and a retried call is one record;
 * inside `retry()` it logs each attempt.
 *
 *     createServer({ interceptors: [requestId(), logging({ logger: pino() })] })
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function logging(options: LoggingOptions = {}): LoggingInterceptor {
  const settings = readLoggingOptions(options)
  const contained = new Containment('logging', settings.onFailure)
  const plans = new MethodPlans(settings, contained)
  const interceptor: Interceptor = (call, next) => {
    const log = new CallLog(plans.get(call.side, call.method), call)
    try {
      log.begin()
    } catch (error) {
      contained.failed(error, 'logger', call)
    }
    call.onStatus((status) => log.end(status))
    return next()
  }
  return Object.defineProperty(named('logging', interceptor), 'failures', {
    get: () => contained.failures,
  }) as LoggingInterceptor
}
