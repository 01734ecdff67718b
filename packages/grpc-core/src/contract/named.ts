import { checkCopy, markCopy } from '../runtime/copies.ts'
import { show } from '../runtime/show.ts'

/** What `named` says of an interceptor beside its name. */
export interface NamedSettings {
  /** The side it is for. Composition for the other side refuses it. Default: both. */
  readonly side?: 'client' | 'server'
  /** What stands in its place on the other side, such as `throttle()`, for the error. Default: nothing does. */
  readonly instead?: string
}

/** An interceptor that is for one side only. */
export interface OneSided extends NamedSettings {
  readonly name: string
  readonly side: 'client' | 'server'
}

const NAME: unique symbol = Symbol.for('@grpc-stack/grpc-core.name')
const SIDE: unique symbol = Symbol.for('@grpc-stack/grpc-core.side')

/**
 * Gives an interceptor, a function or an interceptor object, its name, which `status.refusedBy` and errors tell. By a constant, because
 * bundlers shorten the names of functions and classes. Changes what it is given, so give it what was made for this.
 *
 *     return named('rateLimit', (call, next) => …)
 *     return named('rateLimit', (call, next) => …, { side: 'server', instead: 'throttle()' })
 *
 * The interceptor also says from then on which version of this package it was made with, so that composition refuses it where the
 * versions cannot work together.
 *
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
  Object.defineProperty(interceptor, typeof interceptor === 'function' ? 'name' : NAME, {
    value: name,
    configurable: true,
  })
  if (side !== undefined) {
    const mark: OneSided = Object.freeze({ name, side, ...(instead !== undefined && { instead }) })
    Object.defineProperty(interceptor, SIDE, { value: mark, configurable: true })
  }
  return markCopy(interceptor)
}

/** The name that `named` gave an interceptor object. */
export function nameOfObject(object: object): string | undefined {
  return (object as { [NAME]?: string })[NAME]
}

/** What `named` said of the side of this interceptor. */
export function oneSided(interceptor: object): OneSided | undefined {
  return (interceptor as { [SIDE]?: OneSided })[SIDE]
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
