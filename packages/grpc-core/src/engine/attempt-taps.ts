import type { AsyncResource } from 'node:async_hooks'
import type { AttemptTap, CallAttempt, StatusTap } from '../contract/call.ts'
import type { Status } from '../contract/status.ts'
import { errorStack } from '../runtime/show.ts'
import { synchronous } from '../runtime/thenable.ts'

const HOOK = 'onAttempt'

/** What hears how an attempt ends, and where its interceptor called `next()`. */
export interface AttemptEnd {
  readonly tap: StatusTap
  readonly scope: AsyncResource | undefined
}

/** An observer that throws changes nothing for the RPC. */
export function warnOfTap(name: string, error: unknown): void {
  process.emitWarning(`An ${name} tap failed: ${errorStack(error)}`, 'GrpcStackWarning')
}

/** Shows an attempt to a tap. Returns what wants to be told its end, if it does. */
export function showAttempt(
  attempt: CallAttempt,
  tap: AttemptTap,
  scope: AsyncResource | undefined,
): AttemptEnd | undefined {
  try {
    const end = synchronous(scope === undefined ? tap(attempt) : scope.runInAsyncScope(tap, undefined, attempt), HOOK)
    return typeof end === 'function' ? { tap: end, scope } : undefined
  } catch (error) {
    warnOfTap(HOOK, error)
    return undefined
  }
}

export function tellEnd(ends: readonly AttemptEnd[], status: Status): void {
  for (const { tap, scope } of ends) {
    try {
      synchronous<unknown>(scope === undefined ? tap(status) : scope.runInAsyncScope(tap, undefined, status), HOOK)
    } catch (error) {
      warnOfTap(HOOK, error)
    }
  }
}
