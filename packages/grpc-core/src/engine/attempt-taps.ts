import type { AsyncResource } from 'node:async_hooks'
import type { AttemptTap, CallAttempt, StatusTap } from '../contract/call.ts'
import type { Status } from '../contract/status.ts'
import { errorStack } from '../runtime/show.ts'
import { synchronous } from '../runtime/thenable.ts'

const HOOK = 'onAttempt'

/** A tap that hears of attempts, and where its interceptor called `next()`. */
export interface ScopedTap {
  readonly tap: AttemptTap
  readonly scope: AsyncResource | undefined
}

/** An observer that throws changes nothing for the RPC. */
export function warnOfTap(name: string, error: unknown): void {
  process.emitWarning(`An ${name} tap failed: ${errorStack(error)}`, 'GrpcStackWarning')
}

/** Shows an attempt to the taps. Returns what they want to be told its end by. */
export function announce(attempt: CallAttempt, taps: readonly ScopedTap[]): StatusTap[] {
  const ends: StatusTap[] = []
  for (const { tap, scope } of taps) {
    try {
      const end = synchronous(scope === undefined ? tap(attempt) : scope.runInAsyncScope(tap, undefined, attempt), HOOK)
      if (typeof end !== 'function') continue
      ends.push(scope === undefined ? end : (status) => scope.runInAsyncScope(end, undefined, status))
    } catch (error) {
      warnOfTap(HOOK, error)
    }
  }
  return ends
}

export function tellEnd(ends: readonly StatusTap[], status: Status): void {
  for (const end of ends) {
    try {
      synchronous<unknown>(end(status), HOOK)
    } catch (error) {
      warnOfTap(HOOK, error)
    }
  }
}
