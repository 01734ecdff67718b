/** What is known of a key function without calling it. */
interface KeyTraits {
  /** It looks at addresses alone: of a call to an unregistered method, too, it can be asked. */
  readonly ofAddress: boolean
  /** The factory and what it was given. Key functions equal in these return the same key for the same call. */
  readonly countsBy: readonly unknown[]
}

/** A property of the function, in the process-wide registry: an application may hold several copies of this package. */
const TRAITS: unique symbol = Symbol.for('@grpc-stack/interceptor-ratelimit.key.1')

type Marked = Partial<{ readonly [TRAITS]: KeyTraits }>

/**
 * Says of a key function what it counts by.
 * @param countsBy the name of the factory and what it was given: values, or other key functions
 */
export function markKey<F extends object>(key: F, countsBy: readonly unknown[], ofAddress = false): F {
  const traits: KeyTraits = { ofAddress, countsBy }
  return Object.defineProperty(key, TRAITS, { value: traits })
}

export function isOfAddress(key: object): boolean {
  return (key as Marked)[TRAITS]?.ofAddress === true
}

/** Whether two key functions return the same key for the same call, always, as far as is known. */
export function sameKey(one: object, other: object): boolean {
  return samePart(one, other)
}

function samePart(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  if (typeof one !== 'function' || typeof other !== 'function') return false
  const [a, b] = [(one as Marked)[TRAITS]?.countsBy, (other as Marked)[TRAITS]?.countsBy]
  if (a === undefined || b === undefined || a.length !== b.length) return false
  return a.every((part, i) => samePart(part, b[i]))
}
