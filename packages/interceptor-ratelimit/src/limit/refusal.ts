import { status as Code, Metadata } from '@grpc/grpc-js'
import { addDetails, type ErrorDetail, errorInfo, quotaFailure, retryInfo } from '@grpc-stack/error-details'
import type { Status } from '@grpc-stack/grpc-core'
import type { Decision } from '../stores/store.ts'
import type { Limit } from './limit-options.ts'

/** How refusals look. */
export interface RefusalStyle {
  readonly code: Code
  readonly domain: string
}

/** A limit that refused. */
export interface Broken {
  readonly limit: Limit
  readonly key: string
  /** `Infinity`: the cost is more than the burst, no wait will help. */
  readonly waitMs: number
}

export function brokenLimits(
  limits: readonly Limit[],
  keys: readonly (string | undefined)[],
  decision: Decision,
): readonly Broken[] {
  const all = limits.map((limit, i) => ({ limit, key: keys[i] ?? '', waitMs: decision.limits[i]?.waitMs ?? 0 }))
  return all.filter(({ waitMs }) => waitMs > 0)
}

/** The longest wait: after it, everything fits. */
export function longestWait(broken: readonly Broken[]): number {
  return broken.reduce((longest, { waitMs }) => Math.max(longest, waitMs), 0)
}

/**
 * The status of a call over its limits, with all a client can use: `grpc-retry-pushback-ms` for retrying channels
 * (gRFC A6; negative: do not retry), and ErrorInfo, RetryInfo and QuotaFailure for programs and people.
 * @param pushback false where the client cannot retry any more, in the middle of a stream
 */
export function limitRefusal(style: RefusalStyle, broken: readonly Broken[], pushback = true): Status {
  const waitMs = longestWait(broken)
  const possible = Number.isFinite(waitMs)
  const worst = broken.find((one) => one.waitMs === waitMs) ?? broken[0]
  const quota = worst === undefined ? '' : numbersOf(worst.limit)
  const details = possible
    ? `Rate limit exceeded: ${quota}; retry in ${waitMs} ms`
    : `Rate limit exceeded: the call costs more than ${quota} ever allows at once`
  const metadata = new Metadata()
  if (pushback) metadata.set('grpc-retry-pushback-ms', possible ? String(waitMs) : '-1')
  const status = { code: style.code, details, metadata }
  const found: ErrorDetail[] = [
    errorInfo({
      reason: possible ? 'RATE_LIMIT_EXCEEDED' : 'COST_EXCEEDS_BURST',
      domain: style.domain,
      ...(worst && {
        metadata: {
          limit: worst.limit.name,
          rate: String(worst.limit.rate),
          per_ms: String(worst.limit.perMs),
          burst: String(worst.limit.burst),
        },
      }),
    }),
  ]
  // Without it clients that go by RetryInfo do not retry.
  if (possible) found.push(retryInfo({ retryDelayMs: waitMs }))
  const violations = broken.map(({ limit, key }) => ({
    subject: limit.subject === undefined ? limit.name : limit.subject(key).slice(0, 256),
    description: numbersOf(limit),
  }))
  if (violations.length > 0) found.push(quotaFailure({ violations }))
  addDetails(metadata, status, found)
  return status
}

/** The status of a call that could not be decided about, because the store does not answer. */
export function storeRefusal(domain: string, retryMs: number, cause: unknown): Status {
  const details = 'Rate limit store unavailable'
  const metadata = new Metadata()
  metadata.set('grpc-retry-pushback-ms', String(retryMs))
  const status = { code: Code.UNAVAILABLE, details, metadata, cause }
  addDetails(metadata, status, [
    errorInfo({ reason: 'RATE_LIMIT_STORE_UNAVAILABLE', domain }),
    retryInfo({ retryDelayMs: retryMs }),
  ])
  return status
}

function numbersOf({ rate, perMs, burst }: Limit): string {
  return `${rate} per ${perMs} ms, burst ${burst}`
}
