import { status as Code, Metadata } from '@grpc/grpc-js'
import { addDetails, type ErrorDetail, errorInfo, retryInfo } from '@grpc-stack/error-details'
import type { Status } from '@grpc-stack/grpc-core'
import type { RateLimitResponse } from './rls_pb.ts'

/** Of `RateLimitResponse.Code`. */
export const OVER_LIMIT = 2

const UNITS: readonly string[] = ['', 'second', 'minute', 'hour', 'day', 'month', 'year', 'week']

/** The limits that refused, by what the service says of them: `100 per minute`. Descriptors are not named: they may be secrets. */
function numbersOf(statuses: RateLimitResponse['statuses']): string[] {
  return statuses.flatMap(({ code, currentLimit }) => {
    const unit = UNITS[currentLimit?.unit ?? 0]
    return code === OVER_LIMIT && currentLimit !== undefined && unit
      ? [`${currentLimit.requestsPerUnit} per ${unit}`]
      : []
  })
}

/** @param waitMs 0 where it is not known */
export function overLimit(domain: string, statuses: RateLimitResponse['statuses'], waitMs: number): Status {
  const numbers = numbersOf(statuses)
  const what = numbers.length === 0 ? '' : `: ${numbers.join(', ')}`
  const details = `Rate limit exceeded${what}${waitMs > 0 ? `; retry in ${waitMs} ms` : ''}`
  const metadata = new Metadata()
  const status = { code: Code.RESOURCE_EXHAUSTED, details, metadata }
  const found: ErrorDetail[] = [errorInfo({ reason: 'RATE_LIMIT_EXCEEDED', domain })]
  if (waitMs > 0) {
    metadata.set('grpc-retry-pushback-ms', String(Math.min(waitMs, 2 ** 31 - 1)))
    found.push(retryInfo({ retryDelayMs: waitMs }))
  }
  addDetails(metadata, status, found)
  return status
}

export function serviceFailed(domain: string, cause: unknown): Status {
  const metadata = new Metadata()
  const status = { code: Code.UNAVAILABLE, details: 'Rate limit service unavailable', metadata, cause }
  addDetails(metadata, status, [errorInfo({ reason: 'RATE_LIMIT_SERVICE_UNAVAILABLE', domain })])
  return status
}
