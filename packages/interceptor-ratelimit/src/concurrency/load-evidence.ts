import { status as Code } from '@grpc/grpc-js'
import type { Call, Status } from '@grpc-stack/grpc-core'

/**
 * What the end of a call says about the load of the server.
 *
 * - `finished`: the server answered; how long it took is known.
 * - `unfinished`: the call reached its deadline first; the server would have taken at least that long.
 * - `refused`: the server refused the call for its own state (client only).
 * - undefined: nothing.
 */
export type Evidence = 'finished' | 'unfinished' | 'refused' | undefined

/** The facts of an ended call that are looked at. */
export interface CallEnd {
  readonly side: Call['side']
  readonly pattern: Call['method']['pattern']
  readonly code: Code
  readonly origin: Status['origin']
  /** Whether the deadline of the call itself had come. */
  readonly atDeadline: boolean
}

/**
 * Callers choose their deadlines, when they cancel, for how long they keep a stream open and how many quotas they exceed. So
 * that no caller can lower the limit of the others with these, only this counts, of unary calls:
 *
 *     ended with                         says
 *     OK                                 finished
 *     at its deadline                    unfinished: a lower bound, never more than the same call without a deadline
 *     UNAVAILABLE from the server        refused, on a client
 *     anything else                      nothing: errors, quotas (RESOURCE_EXHAUSTED), cancels, deadlines further in
 */
export function evidenceOf({ side, pattern, code, origin, atDeadline }: CallEnd): Evidence {
  if (pattern !== 'unary') return undefined
  if (code === Code.OK) return 'finished'
  // A client that gives up at its deadline cancels, so a server may see either.
  if (atDeadline && (code === Code.DEADLINE_EXCEEDED || code === Code.CANCELLED)) return 'unfinished'
  return side === 'client' && origin === 'remote' && code === Code.UNAVAILABLE ? 'refused' : undefined
}

/** How much before the deadline a cancellation may arrive that the client sent at the deadline. */
const DEADLINE_SLACK_MS = 25

export function hasReachedDeadline(call: Call): boolean {
  return call.deadline - Date.now() < DEADLINE_SLACK_MS
}
