import type { Metadata } from '@grpc/grpc-js'
import type { Decision } from '../stores/store.ts'
import type { Limit } from './limit-options.ts'

/**
 * `ratelimit-policy` and `ratelimit` as draft-ietf-httpapi-ratelimit-headers-11 defines them, and `retry-after` on a
 * refusal. Seconds are whole and rounded up. For response headers and trailers-only answers, which are headers too in
 * HTTP/2; the draft forbids them in trailers proper.
 */
export function setRatelimitHeaders(metadata: Metadata, limits: readonly Limit[], decision: Decision): void {
  const policies: string[] = []
  const states: string[] = []
  let retryMs = 0
  for (const [i, { name, burst, rate, perMs }] of limits.entries()) {
    const state = decision.limits[i]
    if (state === undefined) continue
    policies.push(`"${name}";q=${Math.floor(burst)};w=${Math.max(1, Math.ceil((burst * perMs) / rate / 1000))}`)
    const ms = state.waitMs > 0 ? state.waitMs : state.resetMs
    states.push(`"${name}";r=${state.remaining}${Number.isFinite(ms) ? `;t=${Math.ceil(ms / 1000)}` : ''}`)
    retryMs = Math.max(retryMs, state.waitMs)
  }
  if (policies.length === 0) return
  metadata.set('ratelimit-policy', policies.join(', '))
  metadata.set('ratelimit', states.join(', '))
  if (retryMs > 0 && Number.isFinite(retryMs)) metadata.set('retry-after', String(Math.ceil(retryMs / 1000)))
}
