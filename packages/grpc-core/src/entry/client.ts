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
import { isMetadata } from '../contract/given-status.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { toEpochMs } from '../runtime/deadline.ts'
import { show } from '../runtime/show.ts'
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
 * @throws TypeError if the definition or the channel is not one.
 */
export function createClient<D extends ServiceDefinition>(
  definition: D,
  channel: Channel | ChannelInterface,
): ServiceClient<D> {
  if (typeof definition !== 'object' || definition === null) {
    throw new TypeError(`createClient: the first argument must be a service definition, got ${show(definition)}`)
  }
  if (!isChannel(channel)) {
    throw new TypeError(`createClient: the second argument must be a channel, got ${show(channel)}`)
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
  if (!isMetadata(metadata)) {
    throw new TypeError(`${method.path}: option "metadata" must be a grpc-js Metadata, got ${show(metadata)}`)
  }
  const options: CallOptions = rest
  const end = earliest(method.path, timeoutMs, deadline)
  if (end !== Number.POSITIVE_INFINITY) options.deadline = end
  if (interceptors !== undefined) options.interceptors = forGrpc(interceptors)
  return openCall(stub, method, input, metadata, options, signal)
}

const OPTIONS = new Set([
  'metadata',
  'timeoutMs',
  'deadline',
  'signal',
  'interceptors',
  // grpc-js: CallOptions
  'host',
  'parent',
  'propagate_flags',
  'credentials',
])

/** A stock stub takes metadata and a callback in places of their own: what is meant for one must not get lost here. */
function checkArguments(path: string, options: unknown, more: readonly unknown[]): void {
  if (isMetadata(options)) throw new TypeError(`${path}: pass metadata as an option: { metadata }`)
  if (typeof options === 'function' || more.some((argument) => typeof argument === 'function')) {
    throw new TypeError(`${path}: takes no callback: await the call, or iterate it where responses stream`)
  }
  if (more.length > 0) throw new TypeError(`${path}: takes a request and options, got ${2 + more.length} arguments`)
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new TypeError(`${path}: options must be an object such as { timeoutMs: 500 }, got ${show(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (OPTIONS.has(name)) continue
    const hint = name === 'timeout' ? '; did you mean "timeoutMs"?' : ''
    throw new TypeError(`${path}: unknown option "${name}"${hint} Known are ${[...OPTIONS].join(', ')}`)
  }
}

function earliest(path: string, timeoutMs: number | undefined, deadline: Date | number | undefined): number {
  if (timeoutMs !== undefined && (typeof timeoutMs !== 'number' || Number.isNaN(timeoutMs))) {
    throw new TypeError(`${path}: option "timeoutMs" must be a number of milliseconds, got ${show(timeoutMs)}`)
  }
  if (deadline !== undefined && Number.isNaN(deadline instanceof Date ? deadline.getTime() : deadline)) {
    throw new TypeError(`${path}: option "deadline" must be a Date or epoch milliseconds, got ${show(deadline)}`)
  }
  const at = toEpochMs(deadline)
  return Math.min(at, timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs)
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
