import type { Interceptor } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import { show } from '../contract/status.ts'
import type { ClientInterceptor } from './client-contract.ts'
import type { ServerInterceptor } from './server-contract.ts'

export type ClientContract = ClientInterceptor
export type ServerContract = ServerInterceptor

/** An object with methods of the reference's contracts. */
export type Contract = Partial<ClientInterceptor & ServerInterceptor>

const CONTRACT: unique symbol = Symbol('grpc-stack.contract')

const CLIENT_HOOKS = {
  unary: 'interceptUnaryUnary',
  serverStream: 'interceptUnaryStream',
  clientStream: 'interceptStreamUnary',
  bidi: 'interceptStreamStream',
} as const

/** The method of a client contract for the calls of a kind. */
export function clientHook(method: MethodInfo): (typeof CLIENT_HOOKS)[keyof typeof CLIENT_HOOKS] {
  if (method.requestStream) return method.responseStream ? CLIENT_HOOKS.bidi : CLIENT_HOOKS.clientStream
  return method.responseStream ? CLIENT_HOOKS.serverStream : CLIENT_HOOKS.unary
}

/**
 * A contract object as something that can stand in a list of interceptors. It cannot be called: a contract takes the
 * place of all that is inside it, which a call to a single function does not know.
 * @param side where the list is for one side only, the side
 * @returns undefined if the object has none of the methods, or none for this side
 */
export function adaptContract(item: unknown, side?: 'client' | 'server'): Interceptor | undefined {
  if (typeof item !== 'object' || item === null) return undefined
  const contract = item as Contract // whether it is one is what is looked at here
  const client = Object.values(CLIENT_HOOKS).filter((hook) => typeof contract[hook] === 'function')
  const server = typeof contract.interceptService === 'function'
  const hooks = [...(side === 'server' ? [] : client), ...(server && side !== 'client' ? ['interceptService'] : [])]
  if (hooks.length === 0) return undefined
  const own = item.constructor?.name
  const name = own && own !== 'Object' ? own : (hooks[0] as string)
  const stand: Interceptor = () => {
    throw new Error(
      `${name} is an object with ${hooks.join(', ')}: it works in a list of interceptors of that side, on its own or in a ` +
        'chain(), and cannot be called',
    )
  }
  Object.defineProperty(stand, 'name', { value: name })
  return Object.assign(stand, { [CONTRACT]: contract })
}

/** The contract object behind an interceptor made by `adaptContract`. */
export function contractOf(interceptor: Interceptor): Contract | undefined {
  return (interceptor as { [CONTRACT]?: Contract })[CONTRACT]
}

/** Whether a contract object serves any kind of call. */
export function isClientContract(contract: Contract): boolean {
  return Object.values(CLIENT_HOOKS).some((hook) => typeof contract[hook] === 'function')
}

/** Why a value cannot stand in a list of interceptors of this side. */
export function notAnInterceptor(item: unknown, side: 'client' | 'server' | undefined): string {
  const hooks = [
    ...(side === 'server' ? [] : Object.values(CLIENT_HOOKS)),
    ...(side === 'client' ? [] : ['interceptService']),
  ]
  const methods = hooks.length === 1 ? hooks[0] : `${hooks.slice(0, -1).join(', ')} or ${hooks.at(-1)}`
  return `must be a function, or an object with ${methods}, got ${show(item)}`
}
