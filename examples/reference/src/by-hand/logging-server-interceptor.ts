import {
  type HandlerCallDetails,
  RpcError,
  type RpcMethodHandler,
  type ServerInterceptor,
  type ServiceContinuation,
  wrapHandler,
} from '@grpc-stack/grpc-core'
import { requestIdVar, userIdVar } from './context-variables.ts'

/** Logs request/response timing and errors. */
export class LoggingServerInterceptor implements ServerInterceptor {
  readonly #print: (line: string) => void

  constructor(print: (line: string) => void = console.log) {
    this.#print = print
  }

  async interceptService(
    continuation: ServiceContinuation,
    details: HandlerCallDetails,
  ): Promise<RpcMethodHandler | null> {
    const report = (): ((outcome: string) => void) => {
      const requestId = requestIdVar.get('unknown')
      const start = performance.now()
      this.#print(`[${requestId}] Processing ${details.method} for user ${userIdVar.get('anonymous')}`)
      return (outcome) =>
        this.#print(`[${requestId}] ${outcome} in ${((performance.now() - start) / 1000).toFixed(3)}s`)
    }
    return wrapHandler(await continuation(details), (behavior, handler) => {
      if (handler.responseStream) {
        return async function* (input, context) {
          const done = report()
          let count = 0
          try {
            for await (const response of behavior(input, context) as AsyncIterable<unknown>) {
              count++
              yield response
            }
            done(`Stream completed with ${count} responses`)
          } catch (error) {
            done(`Stream failed after ${count} responses: ${RpcError.from(error).message}`)
            throw error
          }
        }
      }
      return async (input, context) => {
        const done = report()
        try {
          const response = await behavior(input, context)
          done('Completed')
          return response
        } catch (error) {
          done(`Failed: ${RpcError.from(error).message}`)
          throw error
        }
      }
    })
  }
}
