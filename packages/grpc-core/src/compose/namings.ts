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
  const own = ownFunction(holder)
  Object.defineProperty(own, MATCHERS, { value: matchers, configurable: true })
  if (typeof matchers === 'function') Object.defineProperty(own, WATCHERS, { value: new Set(), configurable: true })
  return holder
}

export type Matchers = Readonly<Record<string, unknown>>

/**
 * For a holder whose matchers can be replaced: compares those that are to be its next ones with the methods of every server that has
 * bound with it and still serves. Replace them if it returns.
 *
 *     replace: (table) => {
 *       const next = compile(table)
 *       checkMatchers('policy.replace', authorize, next.matchers)
 *       current = next
 *     }
 *
 * @param holder what `withMatchers` was given with a function
 * @throws TypeError where a matcher names none of the methods of a server, unless that server only warns (`unmatched: 'warn'`)
 */
export function checkMatchers(where: string, holder: object, matchers: Matchers): void {
  for (const watcher of watchersOf(holder) ?? []) watcher(where, matchers)
}

/** Compares matchers with the methods of a server. */
export type MatchersWatcher = (where: string, matchers: Matchers) => void

const WATCHERS: unique symbol = Symbol.for('@grpc-stack/grpc-core.matchers-watchers')

function watchersOf(holder: object): Set<MatchersWatcher> | undefined {
  return (holder as { [WATCHERS]?: Set<MatchersWatcher> })[WATCHERS]
}

/** Has an interceptor, and what it holds, ask before its matchers are replaced. Returns what ends that. */
export function watchMatchers(holder: object, watcher: MatchersWatcher): () => void {
  const watched = [...holdersIn(holder)].flatMap((each) => watchersOf(each) ?? [])
  for (const watchers of watched) watchers.add(watcher)
  return () => {
    for (const watchers of watched) watchers.delete(watcher)
  }
}

function* holdersIn(value: unknown): Generator<object> {
  const matchers = heldBy(value)
  if (matchers === undefined) return
  yield value as object // it holds matchers
  for (const inner of Object.values(matchers)) yield* holdersIn(inner)
}

function heldBy(holder: unknown): Matchers | undefined {
  if ((typeof holder !== 'object' && typeof holder !== 'function') || holder === null) return undefined
  const held = (holder as { [MATCHERS]?: Matchers | (() => Matchers) })[MATCHERS]
  return typeof held === 'function' ? held() : held
}

/** A naming and the path of its option. */
export interface HeldNaming extends Naming {
  readonly option: string
}

/** All that the matchers of an interceptor name. */
export function heldNamings(holder: unknown, path = ''): readonly HeldNaming[] {
  return namingsIn(heldBy(holder) ?? {}, path)
}

export function namingsIn(matchers: Matchers, path = ''): readonly HeldNaming[] {
  return Object.entries(matchers).flatMap(([name, value]) => {
    const option = path === '' ? name : `${path}.${name}`
    return [...namingsOf(value).map((naming) => ({ ...naming, option })), ...heldNamings(value, option)]
  })
}
