import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Status } from '@grpc-stack/grpc-core'
import type { MonotonicTime } from '@grpc-stack/grpc-core/authoring'
import { AnswerTimes } from './answer-times.ts'
import type { Verdict } from './circuit.ts'
import type { Entry } from './circuits.ts'

/**
 * What a status says about the server. A server that answers with an error of the caller's is well. Exhaustion is about a
 * quota, UNIMPLEMENTED about a deployment, CANCELLED about the caller: none of them says anything.
 */
const VERDICTS: ReadonlyMap<Code, Verdict> = new Map([
  [Code.UNAVAILABLE, 'failure'],
  [Code.INTERNAL, 'failure'],
  [Code.UNKNOWN, 'failure'],
  [Code.DATA_LOSS, 'failure'],
  [Code.CANCELLED, 'nothing'],
  [Code.RESOURCE_EXHAUSTED, 'nothing'],
  [Code.UNIMPLEMENTED, 'nothing'],
])

// grpc-js 1.14, client.ts and client-interceptors.ts: what it says of a message the application cannot serialize.
const UNSENDABLE = 'Request message serialization failure'

/** Whether a status is about this process only: a refusal of an interceptor, a cancel or a bad message of the caller. */
export function saysNothing({ code, origin, details }: Status): boolean {
  if (code === Code.OK) return false
  if (code === Code.CANCELLED || origin === 'local') return true
  return code === Code.INTERNAL && details !== undefined && details.startsWith(UNSENDABLE)
}

/** What is known of a call besides its status. */
export interface CallFacts {
  readonly method: ClientCall['method']
  /** Until its deadline when it began, ms; `Infinity` without one. */
  readonly budgetMs: number
  readonly slowMs: number | undefined
  readonly times: Entry['times']
}

/**
 * What the end of a call says. Of calls that end DEADLINE_EXCEEDED:
 *
 *     call                          the policy has slowMs               it has not
 *     ────────────────────────────  ──────────────────────────────────  ────────────────────────────────────────────────
 *     without a deadline            failure: the server's own deadline  failure
 *     unary, with a deadline        failure if it had more than slowMs  failure if it had over four times the usual time
 *     a stream, with a deadline     nothing: callers choose how long    nothing
 *                                   they keep one open, and when they
 *                                   send
 */
export function verdictOf(status: Status, facts: CallFacts, sinceMs: number, clock: MonotonicTime): Verdict {
  if (saysNothing(status)) return 'nothing'
  const { method, budgetMs, slowMs } = facts
  const expired = status.code === Code.DEADLINE_EXCEEDED
  if (expired && canFail(facts)) return 'failure'
  if (slowMs === undefined && method.pattern === 'unary' && (expired || status.code === Code.OK)) {
    const now = clock.now()
    timesOf(facts).note(budgetMs, expired ? budgetMs : now - sinceMs, now)
  }
  return expired ? 'nothing' : (VERDICTS.get(status.code) ?? 'success')
}

/** Whether the server has failed if the call reaches its deadline. */
export function canFail({ method, budgetMs, slowMs, times }: CallFacts): boolean {
  if (budgetMs === Number.POSITIVE_INFINITY) return true
  if (method.pattern !== 'unary') return false
  return slowMs === undefined ? (times.get(method)?.sufficed(budgetMs) ?? false) : budgetMs > slowMs
}

function timesOf({ method, times }: CallFacts): AnswerTimes {
  let known = times.get(method)
  if (known === undefined) {
    known = new AnswerTimes()
    times.set(method, known)
  }
  return known
}
