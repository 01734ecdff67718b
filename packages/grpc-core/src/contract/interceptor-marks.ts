// Facts about interceptors, under symbols of the process-wide registry, so that every copy of this package can read them.

/** That an interceptor is for one side only. */
export interface OneSided {
  readonly name: string
  readonly side: 'client' | 'server'
  /** What to write in its place on the other side: `throttle()`. */
  readonly instead?: string
}

const NAME: unique symbol = Symbol.for('@grpc-stack/grpc-core.name')
const SIDE: unique symbol = Symbol.for('@grpc-stack/grpc-core.side')
const OWN: unique symbol = Symbol.for('@grpc-stack/grpc-core.own')
const FACTORY: unique symbol = Symbol.for('@grpc-stack/grpc-core.factory')

/** Names a function; Node shows the name in stack traces, too. */
export function setName(interceptor: object, name: string): void {
  define(interceptor, typeof interceptor === 'function' ? 'name' : NAME, name)
}

/** The name that an interceptor object was given. */
export function nameOfObject(object: object): string | undefined {
  return (object as { [NAME]?: string })[NAME]
}

export function markOneSided(interceptor: object, mark: OneSided): void {
  define(interceptor, SIDE, Object.freeze(mark))
}

/** Undefined for an interceptor of both sides, and for one that says nothing. */
export function oneSided(interceptor: object): OneSided | undefined {
  return (interceptor as { [SIDE]?: OneSided })[SIDE]
}

/** Says that a function only stands in for another, which the engine calls. */
export function markStandIn(standIn: object, own: object): void {
  define(standIn, OWN, own)
}

/** The function behind a stand-in. */
export function ownFunction<T extends object>(interceptor: T): T {
  return (interceptor as { [OWN]?: T })[OWN] ?? interceptor
}

/** Says that a function makes interceptors and is none. */
export function markFactory(make: object, name: string): void {
  define(make, FACTORY, name)
}

/** The name of a function that makes interceptors. */
export function factoryName(interceptor: object): string | undefined {
  return (interceptor as { [FACTORY]?: string })[FACTORY]
}

function define(target: object, key: PropertyKey, value: unknown): void {
  Object.defineProperty(target, key, { value, configurable: true })
}
