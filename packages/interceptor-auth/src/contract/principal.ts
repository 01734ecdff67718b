import { ContextVar } from '@grpc-stack/grpc-core'
import { kindOf } from '@grpc-stack/grpc-core/authoring'

/** Who makes a call, as a verifier established. */
export interface Principal {
  /** Unique among what the server's verifiers can return. */
  readonly subject: string
  /**
   * Name of the authenticator that vouches for this principal. Set by `serverAuth`, whatever the verifier returns. Policies
   * can ask for it, so that a name counts only from the authenticator that it was meant for.
   */
  readonly authenticator?: string
  /** What else is known: a token's claims, a certificate's names, the entry of an API key. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** When the credential stops being valid, epoch milliseconds. Nothing is kept and, on request, no stream runs beyond. */
  readonly expiresAt?: number
}

/**
 * The principal of the call being handled, set by `serverAuth`. `get()` throws on methods that are public; there
 * `get(undefined)` says undefined.
 */
export const principalVar: ContextVar<Principal> = ContextVar.shared('@grpc-stack/interceptor-auth/principal')

/**
 * A verifier's answer as calls share it: a frozen copy, since one handler's change would show in another's call.
 * @throws TypeError if it is no principal. Its text quotes nothing of the answer, which may be the credential.
 */
export function principalOf(given: unknown, authenticator: string): Principal {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError(`the verifier returned ${kindOf(given)} instead of { subject, claims } or null`)
  }
  const { subject, claims, expiresAt } = given as Partial<Principal>
  if (typeof subject !== 'string' || subject === '') {
    throw new TypeError(
      `the verifier returned a principal whose subject is ${subject === '' ? 'empty' : kindOf(subject)}`,
    )
  }
  if (claims !== undefined && (typeof claims !== 'object' || claims === null)) {
    throw new TypeError(`the verifier returned a principal whose claims are ${kindOf(claims)}`)
  }
  if (expiresAt !== undefined && (typeof expiresAt !== 'number' || Number.isNaN(expiresAt))) {
    throw new TypeError(
      `the verifier returned a principal whose expiresAt is ${Number.isNaN(expiresAt) ? 'NaN' : kindOf(expiresAt)}`,
    )
  }
  const copy = { ...(given as Principal), authenticator }
  return Object.freeze(claims === undefined ? copy : { ...copy, claims: frozenCopy(claims) })
}

/** Plain objects and arrays are copied and frozen all the way down; anything else stays what it is. */
function frozenCopy<T extends object>(value: T): T {
  const copies = new Map<object, object>()
  const pending: object[] = []
  const copyOf = (original: unknown): unknown => {
    if (!isPlain(original)) return original
    let copy = copies.get(original)
    if (copy === undefined) {
      copy = Array.isArray(original) ? [] : Object.create(Object.getPrototypeOf(original))
      copies.set(original, copy as object)
      pending.push(original)
    }
    return copy
  }
  const result = copyOf(value)
  // A list instead of recursion: claims nest as deep as their issuer likes.
  for (let original = pending.pop(); original !== undefined; original = pending.pop()) {
    const copy = copies.get(original) as object // put there when it became pending
    for (const [key, member] of Object.entries(original)) {
      // Not an assignment, which would run the setter of a claim called __proto__.
      Object.defineProperty(copy, key, { value: copyOf(member), enumerable: true })
    }
  }
  for (const copy of copies.values()) Object.freeze(copy)
  return result as T
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return true
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
