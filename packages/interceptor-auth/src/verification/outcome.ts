import type { Principal } from '../contract/principal.ts'
import type { Failure } from '../contract/verifier-errors.ts'

/** A credential was found valid. */
export interface Accepted {
  readonly principal: Principal
  /** The authenticator's name. */
  readonly by: string
}

/** Why a call is not let through. */
export type Refusal =
  /** It brings no credential of any kind that is asked for. */
  | 'missing'
  /** It brings one in a form that no authenticator may take: two values, other characters, too long. */
  | 'malformed'
  /** Its peer has had too many refused. */
  | 'limited'
  /** It ended while its credential was verified. */
  | 'cancelled'
  /** The verifier answered with something that is no principal, or a function of the set-up failed. The call ends with INTERNAL. */
  | 'internal'
  | Failure

/** A credential was not found valid. */
export interface Refused {
  readonly principal?: undefined
  readonly refusal: Refusal
  readonly by?: string
  /** The verifier said that this credential is not valid, so it may be remembered. */
  readonly definite?: boolean
  /** What the verifier threw. Stays in this process. */
  readonly cause?: unknown
}

export type Outcome = Accepted | Refused

export const MISSING: Refused = Object.freeze({ refusal: 'missing' })
export const MALFORMED: Refused = Object.freeze({ refusal: 'malformed' })

// What is told when several authenticators refuse for different reasons. One that could not answer might have said yes,
// so that comes first; then what says more about the call.
const RANK: readonly Refusal[] = [
  ...(['missing', 'malformed', 'invalid', 'limited', 'denied', 'internal', 'unavailable', 'cancelled'] as const),
]

/** The refusal that stands for both. */
export function worse(one: Refused, other: Refused): Refused {
  return RANK.indexOf(other.refusal) > RANK.indexOf(one.refusal) ? other : one
}
