import type { Interceptor } from '@grpc-stack/grpc-core'
import { logging, requestId, requestIdVar } from '@grpc-stack/interceptor-logging'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { trace } from '@opentelemetry/api'
import type { Report } from '../telemetry/facts.ts'
import { reportingLogger } from '../telemetry/reporting-logger.ts'

/** What the stacks of the shop begin with, on both sides: what stands outermost sees what the rest refuses. */
export function observers(report: Report): Interceptor[] {
  return [
    requestId(),
    tracing({ attributes: (call) => ({ 'request.id': call.context.get(requestIdVar) ?? '' }) }),
    logging({ logger: reportingLogger(report), traceContext: () => trace.getActiveSpan()?.spanContext() }),
  ]
}
