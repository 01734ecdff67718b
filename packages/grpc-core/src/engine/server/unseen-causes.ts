import type { ServerCall } from '../../contract/call.ts'
import type { ConcealedCause } from '../../contract/concealed-cause.ts'
import { credentialScrubber } from '../../contract/credential-text.ts'
import { OnceAMinute } from '../../runtime/once-a-minute.ts'
import { errorText } from '../../runtime/show.ts'
import { frames, onOneLine } from '../../runtime/warning-text.ts'

/** By the path of a registered method. Callers can invent the others without end: they have one report together. */
const reports = new Map<string, OnceAMinute>()
const UNREGISTERED = 'unregistered methods'

/**
 * Reports the cause of a failed server RPC as a process warning, if no interceptor on the call looks at it: the peer has only
 * been told "Internal error". At most one a minute for each method.
 */
export function reportUnlessSeen(concealed: ConcealedCause, call: ServerCall): void {
  // After the observers, which look at the cause once they have the status.
  setImmediate(() => {
    if (!concealed.seen) report(concealed, call)
  })
}

function report(concealed: ConcealedCause, call: ServerCall): void {
  const { method } = call
  const name = method.registered ? method.path : UNREGISTERED
  const ofMethod = reports.get(name) ?? new OnceAMinute()
  reports.set(name, ofMethod)
  const more = ofMethod.admit()
  if (more === undefined) return
  // Looked at, now.
  const error = concealed.look()
  const text = onOneLine(credentialScrubber(call)(errorText(error)))
  process.emitWarning(
    `A call of ${name} ended with INTERNAL, and no interceptor has looked at the cause: ${text}.${more} An interceptor that ` +
      'records status.cause, such as logging(), takes the place of this warning.',
    { type: 'GrpcStackWarning', code: 'GRPC_STACK_UNSEEN_CAUSE', ...frames(error) },
  )
}
