import { type Call, ContextVar } from '@grpc-stack/grpc-core'

/**
 * The id of the request being handled or made, where `requestId()` is on the stack:
 *
 *     requestIdVar.get('none')
 */
// Lazy, because this module is loaded with logging(): contexts are entered once requestId() is used.
export const requestIdVar: ContextVar<string> = ContextVar.shared('@grpc-stack/interceptor-logging/requestId')

let inUse = false

/** From now on calls may have ids. */
export function useRequestIds(): void {
  inUse = true
  requestIdVar.enable()
}

/** The id of a call; of a client call, else that of the request it is made for. Costs nothing where there is no requestId(). */
export function requestIdOf(call: Call): string | undefined {
  return inUse ? call.context.get(requestIdVar) : undefined
}
