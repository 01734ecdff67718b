import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { resolveStack } from '../compose/compose.ts'
import type { Interceptor } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import { HandlerLink } from '../engine/server/handler-link.ts'
import { FusedServerCall, type SharedByCalls } from '../engine/server/server-call.ts'
import { contractOf } from './adapt.ts'
import type { ServerInterceptor } from './server-contract.ts'
import { ServiceLayer } from './service-layer.ts'

/** What a stack comes to for one method: plain interceptors, and each contract object with those inside it. */
export interface ServerPlan {
  readonly method: MethodInfo
  readonly stack: readonly Interceptor[]
  readonly layers: readonly {
    readonly name: string
    readonly contract: ServerInterceptor
    readonly stack: readonly Interceptor[]
  }[]
}

export function planServer(list: readonly Interceptor[], method: MethodInfo): ServerPlan {
  const outermost: Interceptor[] = []
  const layers: { name: string; contract: ServerInterceptor; stack: Interceptor[] }[] = []
  for (const interceptor of resolveStack(list, method, 'server')) {
    const contract = contractOf(interceptor)
    if (typeof contract?.interceptService === 'function') {
      layers.push({ name: interceptor.name, contract: contract as ServerInterceptor, stack: [] })
    } else (layers.at(-1)?.stack ?? outermost).push(interceptor)
  }
  return { method, stack: outermost, layers }
}

/**
 * Makes the call objects of an RPC, one around the other. Returns what grpc-js wants: what leads to the innermost, which is the
 * handler's.
 */
export function openServerCall(
  { method, stack, layers }: ServerPlan,
  base: ServerInterceptingCallInterface,
  shared: SharedByCalls,
): HandlerLink {
  const outermost = new FusedServerCall(method, stack, base, shared)
  let call = outermost
  if (layers.length > 0) {
    const made = layers.map((layer) => {
      const service = new ServiceLayer(call, layer.contract, layer.name)
      call = new FusedServerCall(method, layer.stack, service, undefined, call)
      return { service, inner: call }
    })
    for (const [i, { service, inner }] of made.entries()) service.wrap(inner, made[i + 1]?.service)
  }
  const link = new HandlerLink(base, call)
  outermost.link = link
  return link
}
