import type { ServerCall } from '@grpc-stack/grpc-core'
import { accepts, contain, func, type OptionTable, readOptions, withMatchers } from '@grpc-stack/grpc-core/authoring'
import type { Principal } from '../contract/principal.ts'
import { hearsAuthenticators, tellAuthenticators } from './authenticator-names.ts'
import type { Authorize } from './authorize.ts'
import type { Policy } from './policy.ts'

/** Options of `dryRun`. */
export interface DryRunOptions {
  /** Decides about calls. */
  readonly policy: Policy
  /** Is asked about the same calls, and decides about none. */
  readonly candidate: Policy
  /**
   * Told of each call that the candidate would decide otherwise. What it throws changes nothing for the call; the process warns
   * once.
   */
  readonly onDifference: (difference: PolicyDifference) => void
}

/** What one of two policies says of a call. */
export interface PolicyVerdict {
  readonly allowed: boolean
  /** The rule that decides; undefined where none matches, and the call is denied. */
  readonly rule: string | undefined
}

/** A call that the candidate would decide otherwise. */
export interface PolicyDifference {
  readonly call: ServerCall
  readonly principal: Principal
  /** By the policy in force, as the call was decided. */
  readonly now: PolicyVerdict
  readonly candidate: PolicyVerdict
}

/** What a dry run has seen. */
export interface DryRunCounters {
  /** Calls that both were asked about. */
  readonly calls: number
  /** Denied, and the candidate would allow them. */
  readonly wouldAllow: number
  /** Allowed, and the candidate would deny them. */
  readonly wouldDeny: number
  /** The candidate threw, as a matcher of yours may. */
  readonly failed: number
}

/** What `dryRun` returns: an `authorize` function that decides as the policy in force does. */
export interface DryRun extends Authorize {
  (principal: Principal, call: ServerCall): boolean
  counters(): DryRunCounters
}

/**
 * Tries a policy beside the one in force, and tells which calls it would decide otherwise:
 *
 *     const authorize = dryRun({
 *       policy: policyFile('/etc/shop/policy.json'),
 *       candidate: policyFile('/etc/shop/next-policy.json'),
 *       onDifference: ({ call, principal, now, candidate }) =>
 *         log.info({ path: call.method.path, subject: principal.subject, now, candidate }, 'the next policy decides otherwise'),
 *     })
 *     serverAuth({ verify, authorize })
 *
 * The candidate must fit the server as the policy in force does: a server does not bind, and `serverAuth` is not made, where a rule of it
 * names no method or authenticator.
 *
 * @throws TypeError for a wrong option.
 */
export function dryRun(options: DryRunOptions): DryRun {
  const { policy, candidate, onDifference } = readOptions('dryRun', options, table)
  const contained = contain<'candidate' | 'onDifference'>('dryRun')
  const counters = { calls: 0, wouldAllow: 0, wouldDeny: 0, failed: 0 }

  const compare = (principal: Principal, call: ServerCall, now: PolicyVerdict): void => {
    counters.calls++
    const next = contained.run('candidate', () => verdictOf(candidate, principal, call), call)
    if (next === undefined) counters.failed++
    else if (next.allowed !== now.allowed) {
      counters[next.allowed ? 'wouldAllow' : 'wouldDeny']++
      contained.run('onDifference', () => onDifference({ call, principal, now, candidate: next }), call)
    }
  }
  const authorize = (principal: Principal, call: ServerCall): boolean => {
    const now = verdictOf(policy, principal, call)
    compare(principal, call, now)
    return now.allowed
  }
  withMatchers(authorize, { policy, candidate })
  hearsAuthenticators(authorize, (where, at, names) => {
    tellAuthenticators(policy, where, `${at}policy.`, names)
    tellAuthenticators(candidate, where, `${at}candidate.`, names)
  })
  return Object.assign(authorize, { counters: () => ({ ...counters }) })
}

const policyKind = accepts(
  'a policy, as policy() or policyFile() returns it',
  (value): value is Policy => typeof value === 'function' && typeof (value as Partial<Policy>).explain === 'function',
)

const table = {
  policy: policyKind,
  candidate: policyKind,
  onDifference: func<DryRunOptions['onDifference']>(),
} satisfies OptionTable<DryRunOptions>

function verdictOf(policy: Policy, principal: Principal, call: ServerCall): PolicyVerdict {
  const decided = policy.explain(principal, call)
  return { allowed: decided?.allowed ?? false, rule: decided?.rule }
}
