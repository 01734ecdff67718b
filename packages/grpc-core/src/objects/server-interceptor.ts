import type { HandlerCallDetails, HandlerCallDetailsPatch } from './handler-call-details.ts'
import type { RpcMethodHandler } from './rpc-method-handler.ts'

/**
 * Asks what comes after the interceptor for the handler of this RPC: the next object with this method, and in the end
 * the server. Null: there is none. Plain interceptors in between are not asked; they run when the handler is run.
 */
export type ServiceContinuation = (
  details: HandlerCallDetails | HandlerCallDetailsPatch,
) => Promise<RpcMethodHandler | null>

/**
 * Intercepts RPCs on a server before anything of them is read, after gRPC Python's class of this name.
 *
 *     const gate: ServerInterceptor = {
 *       interceptService(continuation, details) {
 *         if (details.invocationMetadata.get('authorization').length === 0) {
 *           return abortHandler(status.UNAUTHENTICATED, 'No token')
 *         }
 *         return continuation(details)
 *       },
 *     }
 *
 * It decides which handler serves the RPC: the one of its continuation, that one wrapped (`wrapHandler`), one of its own,
 * or null for UNIMPLEMENTED. What it throws ends the RPC: an `RpcError` with its status, anything else with INTERNAL and no
 * text of the error.
 */
export interface ServerInterceptor {
  interceptService(
    continuation: ServiceContinuation,
    handlerCallDetails: HandlerCallDetails,
  ): RpcMethodHandler | null | undefined | PromiseLike<RpcMethodHandler | null | undefined>
}
