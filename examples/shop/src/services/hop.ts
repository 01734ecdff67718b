import { principalVar } from '@grpc-stack/interceptor-auth'
import { requestIdVar } from '@grpc-stack/interceptor-logging'
import { trace } from '@opentelemetry/api'
import type { Hop } from '../generated/shop/hop.ts'
import type { ServiceName } from './service.ts'

/** The RPC being handled, as this service sees it. */
export function hop(service: ServiceName, call: { getDeadline(): Date | number }): Hop {
  const deadline = Number(call.getDeadline())
  return {
    service,
    customer: principalVar.get().subject,
    requestId: requestIdVar.get(),
    traceId: trace.getActiveSpan()?.spanContext().traceId ?? '',
    budgetMs: Number.isFinite(deadline) ? Math.max(0, Math.round(deadline - Date.now())) : 0,
  }
}
