import { status as Code } from '@grpc/grpc-js'
import type { Status } from '@grpc-stack/grpc-core'

/** What the end of a call says about the server: it took the call, it refused it for its own state, or nothing. */
export type Acceptance = 'accepted' | 'rejected' | undefined

// What says neither. RESOURCE_EXHAUSTED: the server answered, but a quota of one caller is no state of the server; nor is it
// work taken on. The others are how long callers wait.
const NOTHING: ReadonlySet<Code> = new Set([Code.CANCELLED, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED])

// grpc-js 1.14, client-interceptors.ts: what it says of a message the application cannot serialize.
const UNSENDABLE = 'Request message serialization failure'

/**
 * Callers that share a key share its fate, so nothing counts that one of them decides for itself:
 *
 *     ended with                                                        says
 *     ────────────────────────────────────────────────────────────────  ──────────────────────────────
 *     a refusal of an interceptor here, a request that cannot be sent   nothing; `isRejected` is not asked
 *     what `isRejected` says, by default UNAVAILABLE                    rejected
 *     CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED                  nothing
 *     anything else                                                     accepted: the server took the call
 */
export function acceptanceOf(status: Status, isRejected: (status: Status) => boolean): Acceptance {
  const { code, origin, details } = status
  if (code !== Code.OK && origin === 'local') return undefined
  if (code === Code.INTERNAL && details !== undefined && details.startsWith(UNSENDABLE)) return undefined
  if (asked(isRejected, status)) return 'rejected'
  return NOTHING.has(code) ? undefined : 'accepted'
}

export function isUnavailable({ code }: Status): boolean {
  return code === Code.UNAVAILABLE
}

/** A rule that throws leaves it to the default: it must not change what the call ends with. */
function asked(isRejected: (status: Status) => boolean, status: Status): boolean {
  try {
    return isRejected(status)
  } catch (error) {
    process.emitWarning(`throttle: isRejected threw: ${String(error)}`, 'RateLimitWarning')
    return isUnavailable(status)
  }
}
