import { type Call, ContextVar } from '@grpc-stack/grpc-core'

/**
 * The id of the request being handled or made, where `requestId()` is on the stack:
 *
 *     requestIdVar.get('none')
 */
// Lazy, because this module is loaded with logging(): contexts are entered once requestId() is used.
export const requestIdVar: ContextVar<string> = ContextVar.shared('@grpc-stack/interceptor-logging/requestId')

// Whether there are request ids is known to every copy of this package in the process, as the variable is.
const IN_USE: unique symbol = Symbol.for('@grpc-stack/interceptor-logging.request-ids')
const scope = globalThis as { [IN_USE]?: { is: boolean } }
scope[IN_USE] ??= { is: false }
const inUse = scope[IN_USE]

/** From now on calls may have ids. */
export function useRequestIds(): void {
  inUse.is = true
  requestIdVar.enable()
}

/** The id of a call; of a client call, else that of the request it is made for. Costs nothing where there is no requestId(). */
export function requestIdOf(call: Call): string | undefined {
  return inUse.is ? call.context.get(requestIdVar) : undefined
}
