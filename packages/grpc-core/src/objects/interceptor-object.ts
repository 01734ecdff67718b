import type { Interceptor } from '../contract/call.ts'
import { markOneSided, nameOfObject, oneSided, setName } from '../contract/interceptor-marks.ts'
import type { MethodInfo } from '../contract/method.ts'
import { markCopy } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'
import type { ClientInterceptor } from './client-interceptor.ts'
import type { ServerInterceptor } from './server-interceptor.ts'

export type ClientObject = ClientInterceptor
export type ServerObject = ServerInterceptor

/** An object with methods of the reference's interceptors. */
export type InterceptorObject = Partial<ClientInterceptor & ServerInterceptor>

const OBJECT: unique symbol = Symbol.for('@grpc-stack/grpc-core.object')

const CLIENT_HOOKS = {
  unary: 'interceptUnaryUnary',
  serverStream: 'interceptUnaryStream',
  clientStream: 'interceptStreamUnary',
  bidi: 'interceptStreamStream',
} as const

/** The method of a client object for the calls of a kind. */
export function clientHook(method: MethodInfo): (typeof CLIENT_HOOKS)[keyof typeof CLIENT_HOOKS] {
  if (method.requestStream) return method.responseStream ? CLIENT_HOOKS.bidi : CLIENT_HOOKS.clientStream
  return method.responseStream ? CLIENT_HOOKS.serverStream : CLIENT_HOOKS.unary
}

/**
 * An interceptor object as something that can stand in a list of interceptors. It cannot be called: an object takes the
 * place of all that is inside it, which a call to a single function does not know.
 * @returns undefined if the object has none of the methods
 */
export function adaptObject(item: unknown): Interceptor | undefined {
  if (typeof item !== 'object' || item === null) return undefined
  const object = item as InterceptorObject // whether it is one is what is looked at here
  const client = Object.values(CLIENT_HOOKS).filter((hook) => typeof object[hook] === 'function')
  const server = typeof object.interceptService === 'function'
  const hooks = [...client, ...(server ? ['interceptService'] : [])]
  if (hooks.length === 0) return undefined
  const own = item.constructor?.name
  const name = nameOfObject(item) ?? (own && own !== 'Object' ? own : (hooks[0] as string))
  const stand: Interceptor = () => {
    throw new Error(
      `${name} is an object with ${hooks.join(', ')}: it works in a list of interceptors of that side, on its own or in a ` +
        'chain(), and cannot be called',
    )
  }
  setName(stand, name)
  if (client.length === 0 || !server) {
    const side = server ? 'server' : 'client'
    markOneSided(stand, {
      side,
      instead: `an object with ${methodsFor(server ? 'client' : 'server')}`,
      ...oneSided(item),
      name,
    })
  }
  return markCopy(Object.assign(stand, { [OBJECT]: object }))
}

/** The interceptor object behind an interceptor made by `adaptObject`. */
export function objectOf(interceptor: Interceptor): InterceptorObject | undefined {
  return (interceptor as { [OBJECT]?: InterceptorObject })[OBJECT]
}

/** Whether an interceptor object serves any kind of call. */
export function isClientObject(object: InterceptorObject): boolean {
  return Object.values(CLIENT_HOOKS).some((hook) => typeof object[hook] === 'function')
}

/** Why a value cannot stand in a list of interceptors of this side. */
export function notAnInterceptor(item: unknown, side: 'client' | 'server' | undefined): string {
  return `must be a function, or an object with ${methodsFor(side)}, got ${show(item)}`
}

/** The methods of an interceptor object of this side. */
function methodsFor(side: 'client' | 'server' | undefined): string {
  const hooks = [
    ...(side === 'server' ? [] : Object.values(CLIENT_HOOKS)),
    ...(side === 'client' ? [] : ['interceptService']),
  ]
  return hooks.length === 1 ? hooks.join() : `${hooks.slice(0, -1).join(', ')} or ${hooks.at(-1)}`
}
