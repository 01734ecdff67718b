import { compileMatcher, type Matcher, type MethodInfo, type ServerCall } from '@grpc-stack/grpc-core'
import { checkNames, checkText, invalidAs, invalidText } from './option-checks.ts'
import {
  checkMetadataKey,
  claimDenies,
  claimMatches,
  compileDenyPatterns,
  compileMetadataTest,
  compilePatterns,
  scopesDeny,
  scopesMatch,
} from './policy-match.ts'
import type { Principal } from './principal.ts'
import type { Authorize } from './server-auth-options.ts'

/** One text or several, of which any may match: `*` any, `abc*` a prefix, `*abc` a suffix, else the text itself. */
export type Texts = string | readonly string[]

/** Matches a call when every member it has matches. */
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
   * for certificates.
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
  /** Puts another table in place for the calls to come. @throws TypeError if it is wrong; the last one stays. */
  replace(table: PolicyTable): void
  /** Which rule decides about a call; undefined when none matches, and it is denied. */
  explain(principal: Principal, call: ServerCall): { readonly allowed: boolean; readonly rule: string } | undefined
}

interface Rule {
  readonly name: string
  readonly applies: (method: MethodInfo) => boolean
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
  let rules = compileTable(table)
  let byMethod = new WeakMap<MethodInfo, Rules>()

  const rulesFor = (method: MethodInfo): Rules => {
    const known = byMethod.get(method)
    if (known !== undefined) return known
    const applying = (list: readonly Rule[]) => list.filter(({ applies }) => applies(method))
    const found = { deny: applying(rules.deny), allow: applying(rules.allow) }
    if (method.registered) byMethod.set(method, found)
    return found
  }

  const explain: Policy['explain'] = (principal, call) => {
    const { deny, allow } = rulesFor(call.method)
    const denied = deny.find((rule) => rule.matches(principal, call))
    if (denied !== undefined) return { allowed: false, rule: denied.name }
    const allowed = allow.find((rule) => rule.matches(principal, call))
    return allowed && { allowed: true, rule: allowed.name }
  }

  const authorize = (principal: Principal, call: ServerCall): boolean => explain(principal, call)?.allowed ?? false
  return Object.assign(authorize, {
    explain,
    replace: (next: PolicyTable) => {
      rules = compileTable(next)
      byMethod = new WeakMap()
    },
  })
}

function compileTable(table: PolicyTable): Rules {
  checkNames('policy', table, ['deny', 'allow'])
  const names = new Set<string>()
  const compile = (list: unknown, kind: 'deny' | 'allow'): readonly Rule[] => {
    if (!Array.isArray(list)) throw invalidText('policy', kind, 'a list of rules', list)
    return list.map((rule: PolicyRule, i) => {
      const compiled = compileRule(rule, `policy: ${kind}[${i}]`, kind === 'deny')
      if (names.has(compiled.name)) throw invalidText('policy', `${kind}[${i}].name`, 'unique', compiled.name)
      names.add(compiled.name)
      return compiled
    })
  }
  return { deny: compile(table.deny ?? [], 'deny'), allow: compile(table.allow, 'allow') }
}

const MEMBERS: readonly (keyof PolicyRule)[] = [
  ...(['name', 'methods', 'principals', 'authenticators', 'claims', 'scopes', 'metadata'] as const),
]

function compileRule(rule: PolicyRule, where: string, denies: boolean): Rule {
  checkNames(where, rule, MEMBERS)
  const tests: Rule['matches'][] = []
  if (rule.principals !== undefined) {
    const test = compilePatterns(where, 'principals', rule.principals)
    tests.push(({ subject }) => test(subject))
  }
  if (rule.authenticators !== undefined) {
    const test = compilePatterns(where, 'authenticators', rule.authenticators)
    tests.push(({ authenticator }) => (authenticator === undefined ? denies : test(authenticator)))
  }
  const compile = denies ? compileDenyPatterns : compilePatterns
  for (const [name, texts] of entries(where, 'claims', rule.claims)) {
    const test = compile(where, `claims.${name}`, texts)
    tests.push(({ claims }) => (denies ? claimDenies : claimMatches)(claims, name, test))
  }
  if (rule.scopes !== undefined) {
    const wanted = [rule.scopes].flat().map((scope) => compile(where, 'scopes', scope))
    if (wanted.length === 0) throw invalidAs(where, 'scopes', 'a text or a list of texts', 'an empty list')
    tests.push(({ claims }) => (denies ? scopesDeny : scopesMatch)(claims, wanted))
  }
  for (const [key, texts] of entries(where, 'metadata', rule.metadata)) {
    checkMetadataKey(where, 'metadata', key)
    const test = compileMetadataTest(where, `metadata.${key}`, texts, denies)
    tests.push((_principal, { metadata }) => test(metadata.get(key)))
  }
  return {
    name: checkText(where, 'name', rule.name),
    applies: rule.methods === undefined ? () => true : compileMatcher(rule.methods, `${where}.methods`),
    matches: (principal, call) => tests.every((test) => test(principal, call)),
  }
}

function entries(where: string, name: string, given: unknown): [string, unknown][] {
  if (given === undefined) return []
  if (typeof given !== 'object' || given === null || Array.isArray(given) || Object.keys(given).length === 0) {
    throw invalidText(where, name, 'an object with at least one member', given)
  }
  return Object.entries(given)
}
