import { ownFunction } from '../contract/interceptor-marks.ts'
import type { MethodInfo } from '../contract/method.ts'

/** A matcher made ready: asked once per method path, never per call. */
export type MethodPredicate = (method: MethodInfo) => boolean

/** What a matcher names by text. If no method of a server is meant by it, it is misspelt. */
export interface Naming {
  /** As it was written, for errors. */
  readonly text: string
  /** The name in it, for a suggestion; empty where there is no single one. */
  readonly name: string
  /** The member of a matcher object that it is; undefined for a matcher in text. */
  readonly member?: 'service' | 'method'
  readonly matches: MethodPredicate
}

const NAMINGS: unique symbol = Symbol.for('@grpc-stack/grpc-core.namings')
const MATCHERS: unique symbol = Symbol.for('@grpc-stack/grpc-core.matchers')

export function withNamings(predicate: MethodPredicate, namings: readonly Naming[]): MethodPredicate {
  return Object.defineProperty(predicate, NAMINGS, { value: namings, configurable: true })
}

/** What a predicate made of matchers names, by any copy of this package. None is known of a predicate of the application. */
export function namingsOf(value: unknown): readonly Naming[] {
  return (value as { [NAMINGS]?: readonly Naming[] } | null | undefined)?.[NAMINGS] ?? []
}

/**
 * Says which matchers an interceptor, or a function in its options, has been given, so that a server can refuse to bind where one
 * names none of its methods.
 *
 *     return named('serverAuth', withMatchers(interceptor, { public: isPublic, authorize }), { side: 'server' })
 *
 * @param matchers by the name of the option: what `compileMatcher` or the option kind `matcher()` returned, or a function with
 *   matchers of its own. Others, and undefined, are passed over. A function is asked for them when a server binds.
 */
export function withMatchers<T extends object>(holder: T, matchers: Matchers | (() => Matchers)): T {
  // What a server is given is unwrapped, and then the stand-in that `named` made is gone.
  Object.defineProperty(ownFunction(holder), MATCHERS, { value: matchers, configurable: true })
  return holder
}

export type Matchers = Readonly<Record<string, unknown>>

/** All that the matchers of an interceptor name, by the path of the option. */
export function heldNamings(holder: unknown, path = ''): readonly (Naming & { readonly option: string })[] {
  if ((typeof holder !== 'object' && typeof holder !== 'function') || holder === null) return []
  const held = (holder as { [MATCHERS]?: Matchers | (() => Matchers) })[MATCHERS]
  const matchers = typeof held === 'function' ? held() : (held ?? {})
  return Object.entries(matchers).flatMap(([name, value]) => {
    const option = path === '' ? name : `${path}.${name}`
    return [...namingsOf(value).map((naming) => ({ ...naming, option })), ...heldNamings(value, option)]
  })
}
