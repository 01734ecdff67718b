import type { AnyHandler, HandlerType } from './handler-types.ts'
import { adaptStream } from './stream-handler.ts'
import { adaptUnary } from './unary-handler.ts'

/**
 * A handler of any style as one of grpc-js's: whatever it throws, rejects with or yields becomes a status, and the text of
 * errors that are not meant as statuses stays here. What answers an RPC is a table in docs/decisions/0014.
 */
export function adaptHandler(handler: AnyHandler, type: HandlerType): AnyHandler {
  if (type === 'unary' || type === 'clientStream') return adaptUnary(handler, type === 'clientStream')
  return adaptStream(handler, type === 'bidi')
}
