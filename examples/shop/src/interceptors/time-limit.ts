import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'

/** Bounds calls whose caller set no deadline, or a later one: no service of the shop waits for ever. */
export function timeLimit(ms: number): Interceptor<ClientCall> {
  return function timeLimit(call, next) {
    call.deadline = Math.min(call.deadline, Date.now() + ms)
    return next()
  }
}
