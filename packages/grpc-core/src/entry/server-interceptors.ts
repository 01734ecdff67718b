import { AsyncResource } from 'node:async_hooks'
import type * as grpc from '@grpc/grpc-js'
import { type ServerInterceptorLike, validateInterceptors } from '../compose/compose.ts'
import { markStack } from '../compose/grpc-stacks.ts'
import type { Interceptor } from '../contract/call.ts'
import { contextStorage } from '../contract/context.ts'
import { describeMethod } from '../contract/method.ts'
import { HandlerLink } from '../engine/server/handler-link.ts'
import { gateResponses } from '../engine/server/response-gate.ts'
import { InterceptedServerCall, type SharedByCalls } from '../engine/server/server-call.ts'
import { DEFAULT_MAX_METADATA_BYTES } from '../grpc-js/response-size.ts'
import { openLayeredCall, type ServerPlan } from '../objects/server-plan.ts'
import { markCopy } from '../runtime/copies.ts'
import type { LinkedList } from '../runtime/linked-list.ts'
import { planServer } from './plan-server.ts'
import { isUnregistered } from './unregistered.ts'

/**
 * These interceptors, first outermost, as grpc-js server interceptors (one, whatever their number) for any server:
 *
 *     new Server({ interceptors: serverInterceptors(tracing(), logging()) })
 *
 * grpc-js shows them no RPC whose path has no handler; `createServer` does.
 *
 * @throws TypeError for something that is not an interceptor.
 */
export function serverInterceptors(...interceptors: readonly ServerInterceptorLike[]): grpc.ServerInterceptor[] {
  if (interceptors.length === 0) return []
  return [fuseServer(validateInterceptors(interceptors, 'serverInterceptors', 'server'))]
}

/**
 * One grpc-js interceptor for a whole server stack.
 * @param active holds the calls in progress, for a server that wants to end them
 * @param draining aborts when that server begins to drain
 * @param maxMetadataBytes what response headers, and trailers with the status, may take
 */
export function fuseServer(
  list: readonly Interceptor[],
  active?: LinkedList<InterceptedServerCall>,
  maxMetadataBytes: number = DEFAULT_MAX_METADATA_BYTES,
  draining?: AbortSignal,
): grpc.ServerInterceptor {
  const plans = new Map<string, ServerPlan>()
  const shared = { active, draining, scope: new AsyncResource('GRPC_STACK_SERVER') }
  const fused: grpc.ServerInterceptor = (definition, call) => {
    if (typeof call === 'function') {
      throw new TypeError(
        'serverInterceptors(…) is for servers: write clientInterceptors(…), with the interceptors of this stub',
      )
    }
    let plan = plans.get(definition.path)
    if (plan === undefined) {
      const registered = !isUnregistered(definition)
      plan = planServer(
        list,
        describeMethod(definition.path, definition.requestStream, definition.responseStream, registered),
      )
      // Callers can invent unregistered methods without end: remembering them would let callers fill the memory.
      if (registered) plans.set(definition.path, plan)
    }
    gateResponses(call, maxMetadataBytes)
    // As on the client: grpc-js names its class and uses only the interface.
    const opened: unknown = openCall(plan, call, shared)
    return opened as grpc.ServerInterceptingCall
  }
  return markCopy(markStack(fused, 'serverInterceptors', list))
}

function openCall(
  plan: ServerPlan,
  base: grpc.ServerInterceptingCallInterface,
  shared: SharedByCalls,
): grpc.ServerInterceptingCallInterface {
  if (plan.layers.length > 0) return openLayeredCall(plan, base, shared)
  // A server that drains has to know all its calls.
  if (plan.stack.length === 0 && shared.active === undefined && contextStorage() === undefined) return base
  const call = new InterceptedServerCall(plan.method, plan.stack, base, shared)
  const link = new HandlerLink(base, call)
  call.link = link
  return link
}
