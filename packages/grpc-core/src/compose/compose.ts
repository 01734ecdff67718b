import type { Call, ClientCall, Interceptor, Next, ServerCall } from '../contract/call.ts'
import { factoryName, ownFunction, setName } from '../contract/interceptor-marks.ts'
import type { MethodInfo } from '../contract/method.ts'
import { calledByGrpcJs } from '../grpc-js/called-by-grpc-js.ts'
import { adaptObject, type ClientObject, notAnInterceptor, type ServerObject } from '../objects/interceptor-object.ts'
import { checkCopy, markCopy } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'
import { type Branch, holdContents } from './contents.ts'
import { stackMaker } from './grpc-stacks.ts'
import { compileMatcher, type Matcher } from './match.ts'
import { checkSide, type Side } from './sides.ts'

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
  return composite('chain', [{ at: '', matches: () => true, list }])
}

/**
 * These interceptors for the methods that match, nothing for the others.
 * @throws TypeError for a matcher that is malformed or an empty list, and if there is no interceptor.
 */
export function select<C extends Call = Call>(
  matcher: Matcher,
  ...interceptors: readonly InterceptorLike<C>[]
): Interceptor<C> {
  if (interceptors.length === 0) {
    throw new TypeError('select: needs a matcher and at least one interceptor: select("shop.v1.*", serverAuth({ … }))')
  }
  if (Array.isArray(matcher) && matcher.length === 0) {
    throw new TypeError('select: matcher: an empty list matches no method, so that the interceptors would never run')
  }
  const matches = compileMatcher(matcher, 'select: matcher')
  return composite('select', [{ at: '', matches, list: validateInterceptors(interceptors, 'select') }])
}

/**
 * A stack per service. Exactly one entry applies to a method, the most specific: the method's path, its service, the
 * longest package wildcard, then `*`. A method that no entry names has no interceptors; a server of `createServer` refuses to
 * serve one, unless the table has `*`, or names it with `[]`.
 * @throws TypeError for what is no table, a key that is malformed, and two keys for the same methods.
 */
export function stacks<C extends Call = Call>(
  table: Readonly<Record<string, InterceptorLike<C> | readonly InterceptorLike<C>[]>>,
): Interceptor<C> {
  if (typeof table !== 'object' || table === null || Array.isArray(table)) {
    throw new TypeError(`stacks: expected a table such as { "*": [logging()] }, got ${show(table)}`)
  }
  const keys = new Map<string, string>()
  const entries = Object.entries(table).map(([key, value]) => {
    const matches = compileMatcher(key, 'stacks')
    const canonical = canonicalKey(key)
    const twin = keys.get(canonical)
    if (twin !== undefined) throw new TypeError(`stacks: "${twin}" and "${key}" are the same methods`)
    keys.set(canonical, key)
    const list = validateInterceptors(Array.isArray(value) ? value : [value], `stacks["${key}"]`)
    return { rank: specificity(canonical), branch: { at: `["${key}"] `, matches, list } }
  })
  entries.sort((a, b) => b.rank - a.rank)
  return composite(
    'stacks',
    entries.map(({ branch }) => branch),
  )
}

/** `/pkg.Service/Method`, or without slashes what stands for more than one method. */
function canonicalKey(key: string): string {
  const services = key.replace(/^\//, '').replace(/\/\*$/, '')
  return services.includes('/') ? key : services
}

function specificity(key: string): number {
  if (key === '*') return 0
  if (key.startsWith('/')) return 1e9
  return key.endsWith('.*') ? key.length : 1e6
}

/** The first branch that matches applies; of `chain` and `select` there is one. */
function composite(name: string, branches: readonly Branch[]): Interceptor {
  const resolve = (method: MethodInfo, side: Side): readonly Interceptor[] => {
    const branch = branches.find(({ matches }) => matches(method))
    return branch === undefined ? [] : resolveStack(branch.list, method, side)
  }
  // Called as a plain function only from inside a hand-written interceptor, and where it could not be flattened.
  const cache = new WeakMap<MethodInfo, Interceptor>()
  const run: Interceptor = (call, next) => {
    const answer = calledByGrpcJs([call, next])
    if (answer !== undefined) return answer(`${name}(…)`) as never // grpc-js takes its own kind of call
    let fused = cache.get(call.method)
    if (fused === undefined) {
      fused = fold(resolve(call.method, call.side))
      if (call.method.registered) cache.set(call.method, fused)
    }
    return fused(call, next)
  }
  setName(run, name)
  // A stack is flattened before any of its interceptors runs, where what a predicate throws would end the process. The
  // composite then stands for itself: it asks, and throws, where interceptors outside of it see that.
  const flatten = (method: MethodInfo, side: Side): readonly Interceptor[] => {
    try {
      return resolve(method, side)
    } catch {
      return [run]
    }
  }
  holdContents(run, { name, branches, exclusive: name === 'stacks' })
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
 * @throws TypeError naming the position of what is none, or is for the other side.
 */
export function validateInterceptors(given: readonly unknown[], where: string, side?: Side): readonly Interceptor[] {
  return given.map((item, i) => {
    const place = `${where}: interceptor ${i}`
    checkCopy(item, place)
    const factory = typeof item === 'function' ? factoryName(item) : undefined
    if (factory !== undefined) throw new TypeError(`${place} is the function ${factory}: call it, ${factory}({ … })`)
    const interceptor = typeof item === 'function' ? ownFunction(item as Interceptor) : adaptObject(item)
    if (interceptor === undefined) throw new TypeError(`${place} ${notAnInterceptor(item, side)}`)
    const maker = stackMaker(interceptor)
    if (maker !== undefined)
      throw new TypeError(`${place} was made by ${maker}() for grpc-js: pass what it was made of`)
    if (side !== undefined) checkSide(interceptor, side, place)
    return interceptor
  })
}
