import { randomUUID } from 'node:crypto'
import type {
  HandlerCallDetails,
  RpcMethodHandler,
  ServerInterceptor,
  ServiceContinuation,
} from '@grpc-stack/grpc-core'
import { requestIdVar } from './context-variables.ts'

type Answer = RpcMethodHandler | null | Promise<RpcMethodHandler | null>

/** Generates unique request IDs for tracing. */
export class RequestIdServerInterceptor implements ServerInterceptor {
  readonly #print: (line: string) => void

  constructor(print: (line: string) => void = console.log) {
    this.#print = print
  }

  interceptService(continuation: ServiceContinuation, details: HandlerCallDetails): Answer {
    const requestId = randomUUID()
    requestIdVar.set(requestId)
    this.#print(`[${requestId}] Incoming RPC: ${details.method}`)
    return continuation(details)
  }
}
