import type * as grpc from '@grpc/grpc-js'
import { type ClientInterceptorLike, validateInterceptors } from '../compose/compose.ts'
import { markedStack, markStack } from '../compose/grpc-stacks.ts'
import type { Interceptor } from '../contract/call.ts'
import { describeMethod } from '../contract/method.ts'
import { InterceptedClientCall } from '../engine/client/client-call.ts'
import { endCall, isServerCall } from '../grpc-js/called-by-grpc-js.ts'
import { type ChannelFacts, UNKNOWN_CHANNEL } from '../grpc-js/channel-facts.ts'
import type { ClientPlan } from '../objects/client-plan.ts'
import { openPlanned } from '../objects/object-call.ts'
import { checkCopy, markCopy } from '../runtime/copies.ts'
import { toEpochMs } from '../runtime/deadline.ts'
import { planClient } from './plan-client.ts'

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
    if (isServerCall(nextCall)) {
      const text =
        'clientInterceptors(…) is for stubs: write serverInterceptors(…), with the interceptors of this server'
      return endCall(nextCall, text) as unknown as grpc.InterceptingCall // a server's, which takes its own kind
    }
    const definition = options.method_definition
    let plan = plans.get(definition.path)
    if (plan === undefined) {
      plan = planClient(list, describeMethod(definition.path, definition.requestStream, definition.responseStream))
      plans.set(definition.path, plan)
    }
    // grpc-js asks for its class, whose private members a type of ours cannot have; it uses only the interface.
    return openCall(plan, withOwnDeadline(options), nextCall, facts) as grpc.InterceptingCall
  }
  return markCopy(markStack(fused, 'clientInterceptors', list))
}

/** As a number that grpc-js can send. A caller may move its `Date` on for the next call, and grpc-js reads it at each attempt. */
function withOwnDeadline(options: grpc.InterceptorOptions): grpc.InterceptorOptions {
  if (options.deadline === undefined) return options
  const deadline = toEpochMs(options.deadline)
  return deadline === options.deadline ? options : { ...options, deadline }
}

/**
 * The interceptors behind a grpc-js interceptor of this library, so that stacks can be joined instead of nested.
 * @throws TypeError for one that an incompatible copy made.
 */
export function stackOf(interceptor: grpc.Interceptor): readonly Interceptor[] | undefined {
  checkCopy(interceptor, 'interceptors of a call: the first')
  return markedStack(interceptor, 'clientInterceptors')
}

function openCall(
  plan: ClientPlan,
  options: grpc.InterceptorOptions,
  nextCall: grpc.NextCall,
  facts: ChannelFacts,
): unknown {
  if (plan.layer !== undefined) return openPlanned(plan, options, nextCall, facts)
  if (plan.stack.length === 0) return nextCall(options)
  return new InterceptedClientCall(options, nextCall, plan.method, plan.stack, facts)
}
