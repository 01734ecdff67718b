import { markFactory } from '../contract/interceptor-marks.ts'
import { show } from '../runtime/show.ts'

/**
 * Says that a function makes interceptors. Composition that is given it in the place of one, as in `clientInterceptors(retry)`, then
 * refuses it and says to call it; otherwise it would take calls for options. By a constant, because bundlers shorten names.
 *
 *     export function rateLimit(options: RateLimitOptions): Interceptor<ServerCall> { … }
 *     factory('rateLimit', rateLimit)
 *
 * @returns the function
 * @throws TypeError for a name that is empty and for what is no function.
 */
export function factory<T extends (...args: never[]) => unknown>(name: string, make: T): T {
  if (typeof name !== 'string' || name === '') {
    throw new TypeError(`factory: the first argument must be a name, got ${show(name)}`)
  }
  if (typeof make !== 'function') {
    throw new TypeError(`factory: the second argument must be a function, got ${show(make)}`)
  }
  markFactory(make, name)
  return make
}
