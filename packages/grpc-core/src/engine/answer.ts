import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '../contract/call.ts'
import { concealCause } from '../contract/concealed-cause.ts'
import { statusProblem } from '../contract/given-status.ts'
import { isRpcError } from '../contract/rpc-error.ts'
import { isComplete, LocalStatus, type Status, UnattemptedStatus } from '../contract/status.ts'
import { callOfGrpcJs } from '../grpc-js/called-by-grpc-js.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { errorText, show } from '../runtime/show.ts'

type Side = 'client' | 'server'

/**
 * What an interceptor returned, as a status.
 * @param proceeded it has called `next()`, so a status that is not OK is no refusal
 */
export function returnedStatus(value: unknown, interceptor: Interceptor, side: Side, proceeded: boolean): Status {
  try {
    if (proceeded && isComplete(value)) return value
    const problem = statusProblem(value)
    if (problem !== undefined) {
      return internalStatus(side, `Interceptor ${nameOf(interceptor)} ${callOfGrpcJs(value) ?? problem}`)
    }
    const status = value as Status // statusProblem has looked at every member
    const refused = !proceeded && status.code !== Code.OK
    return new LocalStatus(status, refused ? nameOf(interceptor) : undefined)
  } catch (error) {
    return thrownStatus(error, interceptor, side) // a getter's
  }
}

/** The status of an RPC that this thrown value ends. */
export function thrownStatus(error: unknown, interceptor: Interceptor, side: Side): Status {
  const name = nameOf(interceptor)
  return failureStatus(error, side, `Interceptor ${name} threw`, name)
}

/**
 * The status of an RPC that what was thrown somewhere ends: its own if it is an `RpcError`, INTERNAL otherwise. Never throws.
 * @param what happened, for the details
 */
export function failureStatus(error: unknown, side: Side, what: string, refusedBy?: string): Status {
  if (isRpcError(error)) {
    try {
      return new LocalStatus(error, refusedBy)
    } catch {} // a getter's, or a proxy's
  }
  return internalStatus(side, `${what}: ${errorText(error)}`, error)
}

/** The status of an RPC that a tap of this hook ends by throwing: its own if it threw an `RpcError`, as an interceptor may. */
export function tapStatus(error: unknown, side: Side, hook: string | undefined): Status {
  return failureStatus(error, side, hook === undefined ? 'A tap failed' : `An ${hook} tap failed`)
}

/** What went wrong in this process. On a server the text stays with the cause: details go to the peer. */
export function internalStatus(side: Side, what: string, cause?: unknown): Status {
  const details = side === 'server' ? 'Internal error' : what
  const error = cause ?? new Error(what)
  if (side === 'client') return new LocalStatus({ code: Code.INTERNAL, details, cause: error })
  return concealCause(new LocalStatus({ code: Code.INTERNAL, details }), error)
}

/** What a handler is told, in the cause, that gives something else where Metadata belong. */
export function notMetadata(where: string, value: unknown): TypeError {
  return new TypeError(`${where}: expected a grpc-js Metadata, got ${show(value)}; make one by new Metadata()`)
}

/** How a run ends that an outer interceptor went on without. */
export function abandoned(): Status {
  return new UnattemptedStatus(Code.CANCELLED, 'An outer interceptor went on without this', newMetadata())
}

export function nameOf(interceptor: Interceptor | undefined): string {
  return interceptor?.name || '(anonymous)'
}
