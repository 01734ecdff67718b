import { markOneSided, markStandIn, ownFunction, setName } from '../contract/interceptor-marks.ts'
import { calledByGrpcJs } from '../grpc-js/called-by-grpc-js.ts'
import { checkCopy, markCopy } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'

/** What `named` says of an interceptor beside its name. */
export interface NamedSettings {
  /** The side it is for: composition for the other side refuses it. Default: both. */
  readonly side?: 'client' | 'server'
  /** What to write in its place on the other side, for the error: `throttle()`. Default: nothing takes its place there. */
  readonly instead?: string
}

/**
 * Gives an interceptor, a function or an interceptor object, its name, which `status.refusedBy` and errors tell. By a constant, because
 * bundlers shorten the names of functions and classes. The name is set on what is given, so give it what was made for this.
 *
 *     return named('rateLimit', (call, next) => …)
 *     return named('rateLimit', (call, next) => …, { side: 'server', instead: 'throttle()' })
 *
 * The interceptor also says from then on which version of this package it was made with, so that composition refuses it where the
 * versions cannot work together. Given to grpc-js in the place of an interceptor of its own, a named function says what to write.
 *
 * @returns an object as it is; for a function one that does the same and has its properties
 * @throws TypeError for a name that is empty, something that is neither function nor object, or a wrong setting.
 */
export function named<T extends object>(name: string, interceptor: T, settings: NamedSettings = {}): T {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`named: the first argument must be a name, got ${show(name)}`)
  }
  if ((typeof interceptor !== 'function' && typeof interceptor !== 'object') || interceptor === null) {
    throw new TypeError(`named: the second argument must be an interceptor, got ${show(interceptor)}`)
  }
  const { side, instead } = checkSettings(settings)
  checkCopy(interceptor, `named: "${name}"`)
  const own = ownFunction(interceptor)
  setName(own, name)
  if (side !== undefined) markOneSided(own, { name, side, ...(instead !== undefined && { instead }) })
  markCopy(own)
  if (typeof own !== 'function') return interceptor
  const guarded = own === interceptor ? guard(name, own as (...args: unknown[]) => unknown) : interceptor
  setName(guarded, name)
  return guarded as T // a stand-in for it, with its properties
}

/** Does what `own` does, and answers where grpc-js calls it. The engine calls `own` itself, which costs a call nothing. */
function guard(name: string, own: (...args: unknown[]) => unknown): object {
  const guarded = (...args: unknown[]): unknown => {
    const answer = calledByGrpcJs(args)
    return answer === undefined ? own(...args) : answer(`${name}()`)
  }
  markStandIn(guarded, own)
  return Object.setPrototypeOf(guarded, own)
}

function checkSettings(settings: NamedSettings): NamedSettings {
  if (typeof settings !== 'object' || settings === null) {
    throw new TypeError(`named: settings must be an object such as { side: 'client' }, got ${show(settings)}`)
  }
  const { side, instead, ...others } = settings
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new TypeError(`named: unknown setting "${unknown}"; known are side, instead`)
  if (side !== undefined && side !== 'client' && side !== 'server') {
    throw new TypeError(`named: setting "side" must be "client" or "server", got ${show(side)}`)
  }
  if (instead !== undefined && typeof instead !== 'string') {
    throw new TypeError(`named: setting "instead" must be a text such as "throttle()", got ${show(instead)}`)
  }
  return settings
}
