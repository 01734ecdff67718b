import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { Interceptor } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import { HandlerLink } from '../engine/server/handler-link.ts'
import { InterceptedServerCall, type SharedByCalls } from '../engine/server/server-call.ts'
import type { ServerInterceptor } from './server-interceptor.ts'
import { ServiceLayer } from './service-layer.ts'

/** What a stack comes to for one method: plain interceptors, and each interceptor object with those inside it. */
export interface ServerPlan {
  readonly method: MethodInfo
  readonly stack: readonly Interceptor[]
  readonly layers: readonly {
    readonly name: string
    readonly object: ServerInterceptor
    readonly stack: readonly Interceptor[]
  }[]
}

/**
 * Makes the call objects of an RPC with interceptor objects, one around the other. Returns what grpc-js wants: what leads to the
 * innermost, which is the handler's.
 */
export function openLayeredCall(
  { method, stack, layers }: ServerPlan,
  base: ServerInterceptingCallInterface,
  shared: SharedByCalls,
): HandlerLink {
  const outermost = new InterceptedServerCall(method, stack, base, shared)
  let call = outermost
  const made = layers.map((layer) => {
    const service = new ServiceLayer(base, call, layer.object, layer.name)
    call = new InterceptedServerCall(method, layer.stack, service, undefined, call)
    return { service, inner: call }
  })
  for (const [i, { service, inner }] of made.entries()) service.wrap(inner, made[i + 1]?.service)
  const link = new HandlerLink(base, call)
  outermost.link = link
  return link
}
