import { AsyncResource } from 'node:async_hooks'
import type * as grpc from '@grpc/grpc-js'
import { type ClientInterceptorLike, type ServerInterceptorLike, validateInterceptors } from '../compose/compose.ts'
import type { Interceptor } from '../contract/call.ts'
import { contextStorage } from '../contract/context.ts'
import { describeMethod } from '../contract/method.ts'
import { gateResponses } from '../engine/server/response-gate.ts'
import type { FusedServerCall } from '../engine/server/server-call.ts'
import { type ChannelFacts, UNKNOWN_CHANNEL } from '../grpc-js/channel-facts.ts'
import { DEFAULT_MAX_METADATA_BYTES } from '../grpc-js/response-size.ts'
import { type ClientPlan, planClient } from '../objects/client-plan.ts'
import { openPlanned } from '../objects/contract-call.ts'
import { openServerCall, planServer, type ServerPlan } from '../objects/server-plan.ts'
import type { LinkedList } from '../runtime/linked-list.ts'
import { isUnregistered } from './unregistered.ts'

const STACK: unique symbol = Symbol('grpc-stack.interceptors')

/**
 * These interceptors, first outermost, as grpc-js client interceptors (one, whatever their number) for any stub:
 *
 *     new GreeterClient(address, credentials, { interceptors: clientInterceptors(tracing(), logging()) })
 *
 * @throws TypeError for something that is not an interceptor.
 */
export function clientInterceptors(...interceptors: readonly ClientInterceptorLike[]): grpc.Interceptor[] {
  if (interceptors.length === 0) return []
  return [fuseClient(validateInterceptors(interceptors, 'clientInterceptors', 'client'), UNKNOWN_CHANNEL)]
}

/** One grpc-js interceptor for a whole client stack. */
export function fuseClient(list: readonly Interceptor[], facts: ChannelFacts): grpc.Interceptor {
  const plans = new Map<string, ClientPlan>()
  const fused: grpc.Interceptor = (options, nextCall) => {
    const definition = options.method_definition
    let plan = plans.get(definition.path)
    if (plan === undefined) {
      plan = planClient(list, describeMethod(definition.path, definition.requestStream, definition.responseStream))
      plans.set(definition.path, plan)
    }
    // grpc-js asks for its class, whose private members a type of ours cannot have; it uses only the interface.
    if (plan.stack.length === 0 && plan.layer === undefined) return nextCall(options) as grpc.InterceptingCall
    const call: unknown = openPlanned(plan, options, nextCall, facts)
    return call as grpc.InterceptingCall
  }
  return Object.assign(fused, { [STACK]: list })
}

/** The interceptors behind a grpc-js interceptor made here, so that stacks can be joined instead of nested. */
export function stackOf(interceptor: grpc.Interceptor): readonly Interceptor[] | undefined {
  return (interceptor as { [STACK]?: readonly Interceptor[] })[STACK]
}

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
 * @param maxMetadataBytes what response headers, and trailers with the status, may take
 */
export function fuseServer(
  list: readonly Interceptor[],
  active?: LinkedList<FusedServerCall>,
  maxMetadataBytes: number = DEFAULT_MAX_METADATA_BYTES,
): grpc.ServerInterceptor {
  const plans = new Map<string, ServerPlan>()
  const shared = { active, scope: new AsyncResource('GRPC_STACK_SERVER') }
  return (definition, call) => {
    let plan = plans.get(definition.path)
    if (plan === undefined) {
      const registered = !isUnregistered(definition)
      plan = planServer(
        list,
        describeMethod(definition.path, definition.requestStream, definition.responseStream, registered),
      )
      // Callers can mint paths nobody registered: remembering them would let them fill the memory.
      if (registered) plans.set(definition.path, plan)
    }
    gateResponses(call, maxMetadataBytes)
    const bare = plan.stack.length === 0 && plan.layers.length === 0 && contextStorage() === undefined
    const fused: unknown = bare ? call : openServerCall(plan, call, shared)
    // As on the client: grpc-js names its class and uses only the interface.
    return fused as grpc.ServerInterceptingCall
  }
}
