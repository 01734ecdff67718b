import type { AttemptTap, CallAttempt, StatusTap } from './call.ts'
import { type Status, show } from './status.ts'

/** An observer that throws changes nothing for the RPC. */
export function warnOfTap(name: string, error: unknown): void {
  process.emitWarning(`An ${name} tap threw: ${error instanceof Error ? error.stack : show(error)}`, 'GrpcStackWarning')
}

/** Shows an attempt to those who want to hear of it. Returns those of them who want to hear how it ends. */
export function announce(attempt: CallAttempt, taps: readonly AttemptTap[]): StatusTap[] {
  const ends: StatusTap[] = []
  for (const tap of taps) {
    try {
      const end = tap(attempt)
      if (typeof end === 'function') ends.push(end)
    } catch (error) {
      warnOfTap('onAttempt', error)
    }
  }
  return ends
}

export function tellEnd(ends: readonly StatusTap[], status: Status): void {
  for (const end of ends) {
    try {
      end(status)
    } catch (error) {
      warnOfTap('onAttempt', error)
    }
  }
}
