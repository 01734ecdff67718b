import type { Interceptor } from '@grpc-stack/grpc-core'
import { requestIdVar } from './request-id.ts'

/** What the outermost interceptor saw of an RPC. */
export interface Observation {
  readonly side: 'client' | 'server'
  readonly path: string
  readonly pattern: string
  readonly code: number
  readonly details: string
  readonly refusedBy: string | undefined
  readonly requestId: string | undefined
  readonly requests: number
  readonly responses: number
  readonly ms: number
}

/** Reports every RPC, however it ends. */
export function observe(report: (observation: Observation) => void): Interceptor {
  return async function observe(call, next) {
    const started = performance.now()
    let requests = 0
    let responses = 0
    call.onRequest(() => {
      requests++
    })
    call.onResponse(() => {
      responses++
    })
    const status = await next()
    report({
      side: call.side,
      path: call.method.path,
      pattern: call.method.pattern,
      code: status.code,
      details: status.details ?? '',
      refusedBy: status.refusedBy,
      requestId: call.context.get(requestIdVar),
      requests,
      responses,
      ms: performance.now() - started,
    })
    return status
  }
}
