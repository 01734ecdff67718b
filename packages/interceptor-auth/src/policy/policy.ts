import type { Matcher, MethodInfo, ServerCall } from '@grpc-stack/grpc-core'
import {
  anything,
  checkMatchers,
  invalidOption,
  listOf,
  type OptionKind,
  type OptionTable,
  perMethod,
  quoted,
  readOptions,
  text,
  withMatchers,
} from '@grpc-stack/grpc-core/authoring'
import type { Principal } from '../contract/principal.ts'
import { membersOf, methods } from '../option-kinds.ts'
import { type AuthenticatorNaming, checkAuthenticatorNames, hearsAuthenticators } from './authenticator-names.ts'
import type { Authorize } from './authorize.ts'
import {
  checkMetadataKey,
  claimDenies,
  claimMatches,
  claimPatterns,
  type ListedPattern,
  listedPatterns,
  metadataPatterns,
  patterns,
  scopePatterns,
  scopesDeny,
  scopesMatch,
} from './policy-match.ts'

/** One text or several, of which any may match: `*` any, `abc*` a prefix, `*abc` a suffix, else the text itself. */
export type Texts = string | readonly string[]

/**
 * Matches a call when every member it has matches. It has at least one beside its name; `principals: '*'` says that every
 * authenticated caller is meant. A member that is `undefined` is refused, because without it the rule matches more.
 */
export interface PolicyRule {
  /** Says in errors and audit logs which rule it was. */
  readonly name: string
  /** Which methods. Default: all. */
  readonly methods?: Matcher
  /** Subjects of principals. Default: all. */
  readonly principals?: Texts
  /**
   * Names of the authenticators that vouch for principals, such as `mtls`. Default: any. Without it, a subject is believed
   * whichever authenticator says it: a user's token with the subject `spiffe://example.org/ops/x` passes a rule that was meant
   * for certificates. `serverAuth` refuses a policy with one that is not among its own, and one whose name two of them have.
   */
  readonly authenticators?: Texts
  /**
   * Claims by name; of a claim that is a list, one member must match. A deny rule also matches a claim whose shape says
   * nothing it can compare (an object, a list in a list), whatever the spaces around a text, and numbers by value.
   */
  readonly claims?: Readonly<Record<string, Texts>>
  /** Words that must all be in the claim `scope` or `scp`, as OAuth 2.0 writes them. */
  readonly scopes?: Texts
  /** Request metadata by key. Of several values, also joined by commas, an allow rule wants all to match, a deny rule one. */
  readonly metadata?: Readonly<Record<string, Texts>>
}

/** A policy: denied if a deny rule matches, else allowed if an allow rule matches, else denied. Source: gRFC A43. */
export interface PolicyTable {
  readonly deny?: readonly PolicyRule[]
  readonly allow: readonly PolicyRule[]
}

/** What `policy` returns: an `authorize` function with controls. */
export interface Policy extends Authorize {
  (principal: Principal, call: ServerCall): boolean
  /**
   * Puts another table in place for the calls to come.
   * @throws TypeError if it is wrong, names no method of a server that has bound with this policy, or an authenticator that a
   *   `serverAuth` with it does not have; the last one stays.
   */
  replace(table: PolicyTable): void
  /** Which rule decides about a call; undefined when none matches, and it is denied. */
  explain(principal: Principal, call: ServerCall): { readonly allowed: boolean; readonly rule: string } | undefined
}

interface Rule {
  readonly name: string
  readonly applies: (method: MethodInfo) => boolean
  readonly authenticators: readonly ListedPattern[]
  readonly matches: (principal: Principal, call: ServerCall) => boolean
}

interface Rules {
  readonly deny: readonly Rule[]
  readonly allow: readonly Rule[]
}

/**
 * A policy table for `serverAuth({ authorize })`:
 *
 *     policy({
 *       deny: [{ name: 'suspended', claims: { status: 'suspended' } }],
 *       allow: [
 *         { name: 'readers', methods: 'shop.v1.Catalog', scopes: 'catalog.read' },
 *         { name: 'operators', principals: 'spiffe://example.org/ops/*', authenticators: 'mtls' },
 *       ],
 *     })
 *
 * @throws TypeError for a wrong table, an unknown member included: a rule that is half understood protects nothing.
 */
export function policy(table: PolicyTable): Policy {
  let compiled = compileTable(table)

  const explain: Policy['explain'] = (principal, call) => {
    const { deny, allow } = compiled.rulesFor(call.method)
    const denied = deny.find((rule) => rule.matches(principal, call))
    if (denied !== undefined) return { allowed: false, rule: denied.name }
    const allowed = allow.find((rule) => rule.matches(principal, call))
    return allowed && { allowed: true, rule: allowed.name }
  }

  const authorize = (principal: Principal, call: ServerCall): boolean => explain(principal, call)?.allowed ?? false
  withMatchers(authorize, () => compiled.matchers)
  // Of each `serverAuth` that asks this policy. A few texts, once each.
  const known = new Map<string, readonly string[]>()
  hearsAuthenticators(authorize, (where, at, names) => {
    checkAuthenticatorNames(where, at, compiled.authenticators, names)
    known.set(JSON.stringify(names), names)
  })
  return Object.assign(authorize, {
    explain,
    replace: (table: PolicyTable) => {
      const next = compileTable(table)
      for (const names of known.values()) checkAuthenticatorNames('policy.replace', '', next.authenticators, names)
      checkMatchers('policy.replace', authorize, next.matchers)
      compiled = next
    },
  })
}

const rules = listOf(anything(), { expected: 'a list of rules' })

const table = {
  deny: rules.default([]).refusingUndefined('leave it out if no rule denies'),
  allow: rules,
} satisfies OptionTable<PolicyTable>

interface CompiledTable {
  readonly rulesFor: (method: MethodInfo) => Rules
  /** By the rule that has it. */
  readonly matchers: Readonly<Record<string, unknown>>
  readonly authenticators: readonly AuthenticatorNaming[]
}

function compileTable(given: PolicyTable): CompiledTable {
  const { deny, allow } = readOptions('policy', given, table)
  if (deny.length + allow.length === 0) {
    throw new TypeError(
      'policy: a policy without rules denies every call; write a rule in "allow", or { name: \'closed\', principals: \'*\' } in "deny"',
    )
  }
  const names = new Set<string>()
  const compile = (list: readonly unknown[], kind: 'deny' | 'allow'): readonly Rule[] =>
    list.map((rule, i) => {
      const compiled = compileRule(rule, `policy: ${kind}[${i}]`, kind === 'deny')
      const { name } = compiled
      if (names.has(name)) throw invalidOption('policy', `${kind}[${i}].name`, 'unique', name, quoted)
      names.add(name)
      return compiled
    })
  const compiled = { deny: compile(deny, 'deny'), allow: compile(allow, 'allow') }
  const matchersOf = (kind: 'deny' | 'allow') =>
    compiled[kind].map(({ name, applies }) => [`${kind}["${name}"].methods`, applies])
  const authenticatorsOf = (kind: 'deny' | 'allow') =>
    compiled[kind].flatMap(({ name, authenticators }) =>
      authenticators.map((pattern) => ({ ...pattern, option: `${kind}["${name}"].authenticators` })),
    )
  return {
    rulesFor: perMethod((method) => ({
      deny: compiled.deny.filter(({ applies }) => applies(method)),
      allow: compiled.allow.filter(({ applies }) => applies(method)),
    })),
    matchers: Object.fromEntries([...matchersOf('deny'), ...matchersOf('allow')]),
    authenticators: [...authenticatorsOf('deny'), ...authenticatorsOf('allow')],
  }
}

const HINT =
  "leave it out only if the rule is meant without it; principals: '*' says that every authenticated caller is meant"

/** A member of a rule. Without it the rule matches more, so `undefined` is a condition that was not found. */
function condition<T>(kind: OptionKind<T>): OptionKind<T | undefined> {
  return kind.optional().refusingUndefined(HINT)
}

function ruleTable(denies: boolean) {
  return {
    name: text(),
    methods: condition(methods),
    principals: condition(patterns()),
    authenticators: condition(listedPatterns()),
    claims: condition(membersOf(claimPatterns(denies))),
    scopes: condition(scopePatterns(denies)),
    metadata: condition(membersOf(metadataPatterns(denies), checkMetadataKey)),
  } satisfies OptionTable<PolicyRule>
}

const ALLOW = ruleTable(false)
const DENY = ruleTable(true)

function compileRule(given: unknown, place: string, denies: boolean): Rule {
  const where = placeOf(given, place)
  const rule = readOptions(where, given, denies ? DENY : ALLOW)
  const { name, methods: applies, principals, authenticators, claims, scopes, metadata } = rule
  const listed = (given as PolicyRule).methods
  if (Array.isArray(listed) && listed.length === 0) {
    throw invalidOption(where, 'methods', 'a matcher that matches a method', listed)
  }
  if ([applies, principals, authenticators, claims, scopes, metadata].every((condition) => condition === undefined)) {
    throw new TypeError(
      `${where}: a rule without a condition matches every call; write principals: '*' if that is meant`,
    )
  }
  const tests: Rule['matches'][] = []
  if (principals !== undefined) tests.push(({ subject }) => principals(subject))
  if (authenticators !== undefined) {
    const vouches = (by: string) => authenticators.some(({ matches }) => matches(by))
    tests.push(({ authenticator }) => (authenticator === undefined ? denies : vouches(authenticator)))
  }
  for (const [claim, test] of claims ?? []) {
    tests.push((principal) => (denies ? claimDenies : claimMatches)(principal.claims, claim, test))
  }
  if (scopes !== undefined) tests.push((principal) => (denies ? scopesDeny : scopesMatch)(principal.claims, scopes))
  for (const [key, test] of metadata ?? []) tests.push((_principal, call) => test(call.metadata.get(key)))
  return {
    name,
    applies: applies ?? (() => true),
    authenticators: authenticators ?? [],
    matches: (principal, call) => tests.every((test) => test(principal, call)),
  }
}

/** With the rule's name if it has one, since rules are found by it. */
function placeOf(given: unknown, place: string): string {
  const name = (given as Partial<PolicyRule> | null | undefined)?.name
  return typeof name === 'string' && name !== '' ? `${place} ${quoted(name)}` : place
}
