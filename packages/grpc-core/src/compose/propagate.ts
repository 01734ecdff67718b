import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor, Next } from '../contract/call.ts'
import { contextStorage, enableContext } from '../contract/context.ts'
import { isRpcError } from '../contract/rpc-error.ts'
import type { Status } from '../contract/status.ts'
import { checkRpcAtHand } from '../runtime/copies.ts'
import { onAbort } from '../runtime/on-abort.ts'
import { factory } from './factory.ts'
import { named } from './named.ts'

/**
 * A client interceptor that bounds an outgoing call by the server call being handled: it ends by that call's deadline
 * at the latest, and is cancelled with it, so that budgets shrink hop by hop. Outside a server call it does nothing.
 *
 * The server call is known where the server runs a stack of this library.
 */
export function propagate(): Interceptor<ClientCall> {
  enableContext()
  const interceptor: Interceptor<ClientCall> = (call: ClientCall, next: Next) => {
    const server = contextStorage()?.getStore()?.serverCall
    if (server === undefined) {
      checkRpcAtHand('propagate()', 'server')
      return next()
    }
    if (server.deadline < call.deadline) call.deadline = server.deadline
    const { signal } = server
    if (signal.aborted) return refused(signal.reason)
    return bounded(signal, next, call)
  }
  return named('propagate', interceptor, { side: 'client' })
}
factory('propagate', propagate)

async function bounded(signal: AbortSignal, next: () => Promise<Status>, call: ClientCall): Promise<Status> {
  const forget = onAbort(signal, () => {
    // A deadline needs no word: the outgoing call has the same one.
    if (!isDeadline(signal.reason)) call.cancel(CANCELLED_WITH_PARENT)
  })
  try {
    return await next()
  } finally {
    forget()
  }
}

const CANCELLED_WITH_PARENT = 'Cancelled with the server call being handled'

function isDeadline(reason: unknown): boolean {
  return isRpcError(reason) && reason.code === Code.DEADLINE_EXCEEDED
}

function refused(reason: unknown): Status {
  return isDeadline(reason)
    ? { code: Code.DEADLINE_EXCEEDED, details: 'The deadline of the server call being handled has passed' }
    : { code: Code.CANCELLED, details: CANCELLED_WITH_PARENT }
}
