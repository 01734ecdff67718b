import {
  type CallOptions,
  type ChannelInterface,
  Client,
  type Interceptor as GrpcInterceptor,
  type MethodDefinition,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import type { StreamCall, UnaryCall } from '../calls/call-handle.ts'
import { openCall } from '../calls/open-call.ts'
import type { ClientInterceptorLike } from '../compose/compose.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { show } from '../runtime/show.ts'
import { checkArguments, endOf } from './call-arguments.ts'
import { type Channel, isChannel, wrapChannel } from './channel.ts'
import { clientInterceptors } from './client-interceptors.ts'
import type { ClientCallOptions, ServiceClient } from './client-types.ts'

type AnyMethod = MethodDefinition<unknown, unknown>

/**
 * A client with promises and async iterables, typed from any grpc-js service definition: ts-proto's, grpc-tools',
 * proto-loader's, a hand-written one.
 *
 *     const greeter = createClient(GreeterService, channel)
 *     const reply = await greeter.sayHello({ name: 'world' }, { timeoutMs: 500 })
 *     for await (const tick of greeter.watch({})) console.log(tick)
 *
 * Calls end with an `RpcError`. Leaving a response stream early cancels its call.
 *
 * @throws TypeError if the definition or the channel is not one, and for what stands behind them.
 */
export function createClient<D extends ServiceDefinition>(
  definition: D,
  channel: Channel | ChannelInterface,
): ServiceClient<D>
export function createClient<D extends ServiceDefinition>(
  definition: D,
  channel: Channel | ChannelInterface,
  ...more: readonly unknown[]
): ServiceClient<D> {
  if (typeof definition !== 'object' || definition === null) {
    throw new TypeError(`createClient: the first argument must be a service definition, got ${show(definition)}`)
  }
  if (!isChannel(channel)) {
    throw new TypeError(`createClient: the second argument must be a channel, got ${show(channel)}`)
  }
  if (more.length > 0) {
    throw new TypeError(
      'createClient: takes a definition and a channel; interceptors go to interceptChannel(channel, …)',
    )
  }
  const stub = wrapChannel(channel, 'createClient: the channel').client(Client)
  const methods: Record<string, unknown> = {}
  for (const [name, method] of Object.entries(definition) as [string, AnyMethod][]) {
    if (typeof method?.path !== 'string' || typeof method.requestSerialize !== 'function') {
      throw new TypeError(`createClient: "${name}" is not a method definition`)
    }
    const call = (input: unknown, options: ClientCallOptions = {}, ...more: unknown[]) => {
      checkArguments(method.path, options, more)
      return start(stub, method, input, options)
    }
    methods[name] = call
    methods[name.charAt(0).toLowerCase() + name.slice(1)] = call
  }
  // Built from the definition, method by method, as the type says.
  return methods as ServiceClient<D>
}

function start(
  stub: Client,
  method: AnyMethod,
  input: unknown,
  given: ClientCallOptions,
): UnaryCall<unknown> | StreamCall<unknown> {
  const { metadata = newMetadata(), timeoutMs, deadline, signal, interceptors, ...rest } = given
  const options: CallOptions = rest
  const end = endOf(timeoutMs, deadline)
  if (end !== Number.POSITIVE_INFINITY) options.deadline = end
  if (interceptors !== undefined) options.interceptors = forGrpc(interceptors)
  return openCall(stub, method, input, metadata, options, signal)
}

// A list given again and again is resolved once per method, like a channel's.
const fused = new WeakMap<readonly ClientInterceptorLike[], GrpcInterceptor[]>()

function forGrpc(interceptors: readonly ClientInterceptorLike[]): GrpcInterceptor[] {
  let list = fused.get(interceptors)
  if (list === undefined) {
    list = clientInterceptors(...interceptors)
    fused.set(interceptors, list)
  }
  return list
}
