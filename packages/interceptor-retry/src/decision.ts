import { status as Code } from '@grpc/grpc-js'
import { type BackoffPolicy, backoffMs, type Jitter, jittered } from './backoff.ts'

/** When and how often to try again. */
export interface Policy extends BackoffPolicy {
  readonly maxAttempts: number
  readonly retryableStatusCodes: ReadonlySet<Code>
  readonly jitter: Jitter
  readonly idempotent: boolean
  readonly maxPushbackMs: number
}

/** Why there is no further attempt. */
export type GiveUpReason =
  /** The status is not one that is retried. */
  | 'status'
  /** An interceptor of this process refused the attempt. */
  | 'refused'
  /** The server asked not to be tried again. */
  | 'pushback'
  /** The application has, or is about to have, something of the response; or the request was too large to keep. */
  | 'committed'
  /** All attempts are used. */
  | 'attempts'
  /** The wait would end after the deadline. */
  | 'deadline'
  /** The budget shared with other calls is spent. */
  | 'budget'
  /** The call was cancelled, or its deadline passed, during the wait. */
  | 'cancelled'
  /** `retryIf` or `backoff` threw, or `backoff` returned no usable number. */
  | 'error'

/** A failed attempt. */
export interface Failure {
  readonly code: Code
  /** Attempts made, this one included. */
  readonly attempts: number
  /** Retries since the first attempt or the last pushback: the backoff grows with them. */
  readonly streak: number
  /** This attempt's own time ran out, the call's did not. */
  readonly timedOut: boolean
  readonly refused: boolean
  readonly committed: boolean
  readonly pushback: number | 'stop' | undefined
  readonly retryInfoMs: number | undefined
  /** Time left until the deadline. */
  readonly leftMs: number
  /** The caller's own word on whether this failure may be retried. */
  readonly asked: boolean | undefined
  /** Asks for the caller's own wait, instead of the policy's. */
  readonly ownBackoffMs: (() => number) | undefined
}

export type Decision =
  | { readonly retry: true; readonly delayMs: number; readonly pushedBack: boolean }
  | { readonly retry: false; readonly reason: GiveUpReason }

/** Whether such a failure is one that may be retried at all; nothing of time, number or budget. */
export function isRetryable(policy: Policy, failure: Failure): boolean {
  if (failure.refused) return false
  if (failure.asked !== undefined) return failure.asked
  const { code, pushback, retryInfoMs } = failure
  if (policy.retryableStatusCodes.has(code)) return true
  // Resource exhaustion heals when the server says that it does, and when.
  if (code === Code.RESOURCE_EXHAUSTED) return typeof pushback === 'number' || retryInfoMs !== undefined
  return failure.timedOut && policy.idempotent
}

/** Whether a failure tells that the server is in trouble, so that the budget should know (gRFC A6). */
export function isServerTrouble(policy: Policy, failure: Failure): boolean {
  return isRetryable(policy, failure) || (failure.pushback === 'stop' && !failure.refused)
}

/**
 * gRFC A6's decision, in its order: a used-up number of attempts wins over a pushback that asks for another one. A wait of the caller's
 * own is asked for last, when all but the deadline allows the retry; one that does not fit has then cost a share of the budget.
 */
export function decide(policy: Policy, failure: Failure, random: () => number, spend: () => boolean): Decision {
  if (!isRetryable(policy, failure)) return giveUp(failure.refused ? 'refused' : 'status')
  const { pushback, retryInfoMs = 0 } = failure
  if (pushback === 'stop') return giveUp('pushback')
  if (failure.committed) return giveUp('committed')
  if (failure.attempts >= policy.maxAttempts) return giveUp('attempts')
  const asked = Math.max(pushback ?? 0, retryInfoMs)
  if (asked > policy.maxPushbackMs) return giveUp('pushback')
  const { ownBackoffMs, leftMs } = failure
  if (pushback === undefined && ownBackoffMs !== undefined) {
    if (retryInfoMs >= leftMs) return giveUp('deadline')
    if (!spend()) return giveUp('budget')
    const delayMs = Math.max(ownBackoffMs(), retryInfoMs)
    return delayMs < leftMs ? { retry: true, delayMs, pushedBack: false } : giveUp('deadline')
  }
  const delayMs =
    pushback ?? Math.max(jittered(backoffMs(policy, failure.streak + 1), policy.jitter, random), retryInfoMs)
  if (delayMs >= leftMs) return giveUp('deadline')
  if (!spend()) return giveUp('budget')
  return { retry: true, delayMs, pushedBack: pushback !== undefined }
}

function giveUp(reason: GiveUpReason): Decision {
  return { retry: false, reason }
}
