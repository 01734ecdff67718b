import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '../contract/call.ts'
import {
  isComplete,
  isRpcError,
  LocalStatus,
  rubbishStatus,
  type Status,
  UnattemptedStatus,
} from '../contract/status.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { show } from '../runtime/show.ts'

type Side = 'client' | 'server'

/**
 * What an interceptor returned, as a status.
 * @param proceeded it has called `next()`, so a status that is not OK is no refusal
 */
export function returnedStatus(value: unknown, interceptor: Interceptor, side: Side, proceeded: boolean): Status {
  try {
    if (proceeded && isComplete(value)) return value
    const problem = rubbishStatus(value)
    if (problem !== undefined) return internalStatus(side, `Interceptor ${nameOf(interceptor)} ${problem}`)
    const status = value as Status // rubbishStatus has looked at every member
    const refused = !proceeded && status.code !== Code.OK
    return new LocalStatus(status, refused ? nameOf(interceptor) : undefined)
  } catch (error) {
    return thrownStatus(error, interceptor, side) // a getter's
  }
}

/** The status of an RPC that this thrown value ends. */
export function thrownStatus(error: unknown, interceptor: Interceptor, side: Side): Status {
  const name = nameOf(interceptor)
  if (isRpcError(error)) return new LocalStatus(error, name)
  const what = error instanceof Error ? error.message : show(error)
  return internalStatus(side, `Interceptor ${name} threw: ${what}`, error)
}

/** The status of an RPC that a tap ends by throwing: its own if it threw an `RpcError`, as an interceptor may. */
export function tapStatus(error: unknown, side: Side): Status {
  if (isRpcError(error)) return new LocalStatus(error)
  return internalStatus(side, `A message tap threw: ${error instanceof Error ? error.message : show(error)}`, error)
}

/** What went wrong in this process. On a server the text stays with the cause: details go to the peer. */
export function internalStatus(side: Side, what: string, cause?: unknown): Status {
  const details = side === 'server' ? 'Internal error' : what
  return new LocalStatus({ code: Code.INTERNAL, details, cause: cause ?? new Error(what) })
}

/** How a run ends that an outer interceptor went on without. */
export function abandoned(): Status {
  return new UnattemptedStatus(Code.CANCELLED, 'An outer interceptor went on without this', newMetadata())
}

export function nameOf(interceptor: Interceptor | undefined): string {
  return interceptor?.name || '(anonymous)'
}
