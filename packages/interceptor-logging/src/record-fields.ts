import type { Call, Status } from '@grpc-stack/grpc-core'
import { type Containment, type CredentialScrubber, spanOf } from '@grpc-stack/grpc-core/authoring'
import { cleanText } from './clean-text.ts'
import { isoTime } from './iso-time.ts'
import type { LogFields } from './logger.ts'
import type { MethodPlan } from './method-plan.ts'
import type { FailurePlace, LoggingSettings } from './options.ts'
import { recordedError } from './recorded-error.ts'
import { requestIdOf } from './request-id-var.ts'
import { type TraceContext, traceIdOf } from './trace-parent.ts'

const LONGEST_TEXT = 1024

/**
 * The fields of every record.
 * @param startTime epoch milliseconds
 * @param attempt which one it is, where it is not the first
 * @param code of the record of the end
 */
export function commonFields(
  plan: MethodPlan,
  call: Call,
  startTime: number,
  attempt: number,
  code: string | undefined,
  ms: number | undefined,
): LogFields {
  const { deadline } = call
  const start = isoTime(startTime)
  const peer = cleanPeer(call.peer())
  // Two literals instead of one with a spread, which would cost as much as all the rest of the record.
  const fields: LogFields =
    code === undefined
      ? {
          protocol: 'grpc',
          'grpc.component': call.side,
          'grpc.service': plan.service,
          'grpc.method': plan.method,
          'grpc.method_type': plan.type,
          'grpc.start_time': start,
          'peer.address': peer,
        }
      : {
          protocol: 'grpc',
          'grpc.component': call.side,
          'grpc.service': plan.service,
          'grpc.method': plan.method,
          'grpc.method_type': plan.type,
          'grpc.code': code,
          'grpc.time_ms': ms,
          'grpc.start_time': start,
          'peer.address': peer,
        }
  if (deadline !== Number.POSITIVE_INFINITY) addDeadline(fields, deadline)
  if (attempt > 0) fields['grpc.attempt'] = attempt
  const requestId = requestIdOf(call)
  if (requestId !== undefined) fields['request.id'] = cleanText(requestId, LONGEST_TEXT)
  addTrace(fields, call, plan.settings, plan.contained)
  return fields
}

/** What a record of the end says of a call that failed. */
export function addError(fields: LogFields, status: Status, scrub: CredentialScrubber): void {
  fields['grpc.error'] = cleanText(scrub(status.details ?? ''), LONGEST_TEXT)
  fields['grpc.origin'] = status.origin
  if (status.refusedBy !== undefined) fields['grpc.refused_by'] = status.refusedBy
  // The key loggers look for to write an error with its stack.
  const err = recordedError(status.cause, scrub)
  if (err !== undefined) fields.err = err
}

/** gRFC A6: how many attempts came before, from 1 on; the first says nothing. */
export function attemptOf(call: Call): number {
  const previous = call.metadata.get('grpc-previous-rpc-attempts')[0]
  return typeof previous === 'string' && /^\d{1,4}$/.test(previous) ? Number(previous) + 1 : 0
}

let lastPeer = ''
let lastCleanPeer = ''

/** A connection carries many calls: their peer is cleaned once. */
function cleanPeer(peer: string): string {
  if (peer !== lastPeer) {
    lastPeer = peer
    lastCleanPeer = cleanText(peer, LONGEST_TEXT)
  }
  return lastCleanPeer
}

function addDeadline(fields: LogFields, deadline: number): void {
  const date = new Date(deadline)
  // A deadline beyond the year 275760 has no date.
  if (!Number.isNaN(date.getTime())) fields['grpc.request.deadline'] = date.toISOString()
  fields['grpc.deadline_left_ms'] = Math.round(deadline - Date.now())
}

/** The trace by the option, else the span that `tracing()` made for the call, else what came with it. */
function addTrace(
  fields: LogFields,
  call: Call,
  { traceContext }: LoggingSettings,
  contained: Containment<FailurePlace>,
): void {
  let active: TraceContext | undefined
  if (traceContext !== undefined) active = contained.run('traceContext', traceContext, call)
  else {
    const span = spanOf(call)
    if (span === undefined) {
      const traceId = traceIdOf(call.metadata.get('traceparent')[0])
      if (traceId !== undefined) fields.trace_id = traceId
      return
    }
    try {
      active = span.spanContext()
    } catch (error) {
      contained.failed(error, 'traceContext', call)
    }
  }
  if (typeof active?.traceId !== 'string') return
  fields.trace_id = active.traceId
  if (active.spanId !== undefined) fields.span_id = active.spanId
}
