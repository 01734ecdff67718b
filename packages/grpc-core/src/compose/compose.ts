import type { Call, ClientCall, Interceptor, Next, ServerCall } from '../contract/call.ts'
import type { MethodInfo } from '../contract/method.ts'
import { adaptObject, type ClientObject, notAnInterceptor, type ServerObject } from '../objects/interceptor-object.ts'
import { checkCopy, markCopy } from '../runtime/copies.ts'
import { compileMatcher, type Matcher } from './match.ts'

export type Side = 'client' | 'server'

/**
 * What composition functions take: a plain interceptor or an object with the reference's methods. An interceptor of any
 * `Call` is one of either side too. One function type each, so that the compiler knows the parameters of one written in place.
 */
export type ClientInterceptorLike = Interceptor<ClientCall> | ClientObject
export type ServerInterceptorLike = Interceptor<ServerCall> | ServerObject
export type InterceptorLike<C extends Call = Call> = Interceptor<C> | ClientObject | ServerObject

/** A composite answers this with what it comes to for one method; the engine asks once per method. */
const RESOLVE: unique symbol = Symbol.for('@grpc-stack/grpc-core.resolve')

interface Composite extends Interceptor {
  [RESOLVE](method: MethodInfo, side: Side): readonly Interceptor[]
}

/** Several interceptors as one, first outermost. */
export function chain<C extends Call = Call>(...interceptors: readonly InterceptorLike<C>[]): Interceptor<C> {
  const list = validateInterceptors(interceptors, 'chain')
  return composite('chain', (method, side) => resolveStack(list, method, side))
}

/** These interceptors for the methods that match, nothing for the others. */
export function select<C extends Call = Call>(
  matcher: Matcher,
  ...interceptors: readonly InterceptorLike<C>[]
): Interceptor<C> {
  const matches = compileMatcher(matcher, 'select: matcher')
  const list = validateInterceptors(interceptors, 'select')
  return composite('select', (method, side) => (matches(method) ? resolveStack(list, method, side) : []))
}

/**
 * A stack per service. Exactly one entry applies to a method, the most specific: the method's path, its service, the
 * longest package wildcard, then `*`. A method that no entry names has no interceptors.
 */
export function stacks<C extends Call = Call>(
  table: Readonly<Record<string, InterceptorLike<C> | readonly InterceptorLike<C>[]>>,
): Interceptor<C> {
  const entries = Object.entries(table).map(([key, value]) => ({
    matches: compileMatcher(key, 'stacks'),
    rank: specificity(key),
    list: validateInterceptors(Array.isArray(value) ? value : [value], `stacks["${key}"]`),
  }))
  entries.sort((a, b) => b.rank - a.rank)
  return composite('stacks', (method, side) => {
    const entry = entries.find(({ matches }) => matches(method))
    return entry ? resolveStack(entry.list, method, side) : []
  })
}

function specificity(key: string): number {
  if (key === '*' || key === '/*/*') return 0
  const method = key.startsWith('/') && !key.endsWith('/*')
  if (method) return 1e9
  const service = key.startsWith('/') ? key.slice(1, -2) : key
  return service.endsWith('.*') ? service.length : 1e6
}

function composite(name: string, resolve: (method: MethodInfo, side: Side) => readonly Interceptor[]): Interceptor {
  // Called as a plain function only from inside a hand-written interceptor, and where it could not be flattened.
  const cache = new WeakMap<MethodInfo, Interceptor>()
  const run: Interceptor = (call, next) => {
    let fused = cache.get(call.method)
    if (fused === undefined) {
      fused = fold(resolve(call.method, call.side))
      if (call.method.registered) cache.set(call.method, fused)
    }
    return fused(call, next)
  }
  Object.defineProperty(run, 'name', { value: name })
  // A stack is flattened before any of its interceptors runs, where what a predicate throws would end the process. The
  // composite then stands for itself: it asks, and throws, where interceptors outside of it see that.
  const flatten = (method: MethodInfo, side: Side): readonly Interceptor[] => {
    try {
      return resolve(method, side)
    } catch {
      return [run]
    }
  }
  return markCopy(Object.assign(run, { [RESOLVE]: flatten }))
}

/** Several plain interceptors as one function, without an engine around them. */
export function fold(list: readonly Interceptor[]): Interceptor {
  return list.reduceRight<Interceptor>(
    (inner, outer) => (call, next) =>
      outer(call, async () => {
        const status = await inner(call, next)
        return status
      }),
    (_call, next: Next) => next(),
  )
}

/**
 * The interceptors that apply to one method, outermost first: composites flattened. Interceptor objects are still among
 * them.
 */
export function resolveStack(list: readonly Interceptor[], method: MethodInfo, side: Side): readonly Interceptor[] {
  return list.flatMap((interceptor) =>
    RESOLVE in interceptor ? (interceptor as Composite)[RESOLVE](method, side) : [interceptor],
  )
}

/**
 * Checks what a composition function was given and turns interceptor objects into interceptors.
 * @param side where the list is for one side only, the side
 * @throws TypeError naming the culprit's position.
 */
export function validateInterceptors(given: readonly unknown[], where: string, side?: Side): readonly Interceptor[] {
  return given.map((item, i) => {
    // An Interceptor<ClientCall> on a server, or the reverse, is a mistake the types catch at composition.
    checkCopy(item, `${where}: interceptor ${i}`)
    if (typeof item === 'function') return item as Interceptor
    const adapted = adaptObject(item, side)
    if (adapted !== undefined) return adapted
    throw new TypeError(`${where}: interceptor ${i} ${notAnInterceptor(item, side)}`)
  })
}
