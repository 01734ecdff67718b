import {
  accepts,
  group,
  invalidOption,
  listOf,
  type OptionKind,
  type OptionTable,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { duplicateMember } from './duplicate-member.ts'
import type { PolicyRule, PolicyTable, Texts } from './policy.ts'
import { isMetadataKey, isPattern, listedPatterns } from './policy-match.ts'

/** Options of `policyFromJson`. */
export interface PolicyJsonOptions {
  /**
   * Names of the authenticators whose principals the allow rules mean, such as `mtls`. Default: any. The JSON has no member for
   * it, since gRFC A43 knows certificates only; without it a token whose subject is written like a certificate's name passes as
   * well. A deny rule matches the name whichever authenticator vouches for it.
   */
  readonly authenticators?: Texts
}

const WHERE = 'policyFromJson'

/**
 * Reads a policy as gRFC A43 writes it into a table for `policy`:
 *
 *     policy(policyFromJson(`{
 *       "name": "shop",
 *       "deny_rules": [{ "name": "internal", "request": { "paths": ["/shop.v1.Catalog/Purge"] } }],
 *       "allow_rules": [{ "name": "readers", "source": { "principals": ["spiffe://example.org/*"] } }]
 *     }`))
 *
 * @param json the text, of at most 1 048 576 characters, or what was parsed from it
 * @throws TypeError for what is no such policy, with the path of what is wrong. Nothing that is not understood is passed over, a
 *   member that stands twice included.
 */
export function policyFromJson(json: string | object, options: PolicyJsonOptions = {}): PolicyTable {
  const { authenticators } = readOptions(WHERE, options, optionTable)
  const { deny_rules, allow_rules } = readOptions(WHERE, parsed(json), policyTable, { show: quoted })
  checkNames({ deny_rules, allow_rules })
  const vouching = authenticators && { authenticators: authenticators.map(({ text }) => text) }
  return {
    deny: deny_rules.map((rule, i) => tableRule(rule, `deny_rules[${i}]`)),
    allow: allow_rules.map((rule, i) => tableRule(rule, `allow_rules[${i}]`, vouching)),
  }
}

const MOST_CHARACTERS = 1_048_576

/** What a text says, or what was said already. Lists and other values are refused where members are read. */
function parsed(json: unknown): unknown {
  if (typeof json !== 'string') return json
  if (json.length > MOST_CHARACTERS) {
    throw new TypeError(`${WHERE}: a policy has at most ${MOST_CHARACTERS} characters, this one has ${json.length}`)
  }
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (error) {
    const { message } = error as SyntaxError // what JSON.parse throws
    throw new TypeError(`${WHERE}: a policy must be JSON: ${message.replace(/\s+/g, ' ')}`, { cause: error })
  }
  const twice = duplicateMember(json)
  if (twice === undefined) return value
  throw new TypeError(
    `${WHERE}: the member ${quoted(twice)} stands twice in one object, and only one of them would count`,
  )
}

/** One text with at most one `*`, at its beginning or end. */
function pattern(expected: string, fits: (text: string) => boolean): OptionKind<string> {
  return accepts(expected, (value): value is string => typeof value === 'string' && isPattern(value) && fits(value))
}

const principal = pattern('the name of a caller, with at most one * at its beginning or end', (text) => text !== '')

const path = pattern('"/package.Service/Method", "/prefix*", "*suffix" or "*"', (text) =>
  text.includes('*') ? /^[/*]/.test(text) : METHOD.test(text),
)

const METHOD = /^\/[^/*\s]+\/[^/*\s]+$/

const header = {
  key: accepts(
    'the name of a header, none of the transport or of gRPC itself',
    (value): value is string =>
      typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) && isMetadataKey(value.toLowerCase()),
  ),
  values: listOf(
    pattern('a text with at most one * at its beginning or end', () => true),
    { min: 1, expected: 'a list of at least one value' },
  ),
} satisfies OptionTable

type Header = { readonly key: string; readonly values: readonly string[] }

// Where a condition is left out the rule matches more, so an empty one is taken for one that was not filled in.
const source = {
  principals: listOf(principal, {
    min: 1,
    expected: 'a list of at least one name; leave "source" out for every caller',
  }),
} satisfies OptionTable

const request = {
  paths: listOf(path, { min: 1, expected: 'a list of at least one path; leave it out for every method' }).optional(),
  headers: listOf(group(header), {
    min: 1,
    expected: 'a list of at least one header; leave it out for any',
  }).optional(),
} satisfies OptionTable

const rule = {
  name: text(),
  source: group(source).optional().refusingUndefined('leave it out for every caller'),
  request: group(request).optional().refusingUndefined('leave it out for every call'),
} satisfies OptionTable

const policyTable = {
  name: text(),
  deny_rules: listOf(group(rule), { expected: 'a list of rules' })
    .default([])
    .refusingUndefined('leave it out if no rule denies'),
  // gRFC A43 requires it; grpc-go takes an empty one for none.
  allow_rules: listOf(group(rule), { min: 1, expected: 'a list of at least one rule' }),
} satisfies OptionTable

const optionTable = {
  authenticators: listedPatterns().optional().refusingUndefined('leave it out if any of them may vouch'),
} satisfies OptionTable<PolicyJsonOptions>

interface JsonRule {
  readonly name: string
  readonly source: { readonly principals: readonly string[] } | undefined
  readonly request:
    | { readonly paths: readonly string[] | undefined; readonly headers: readonly Header[] | undefined }
    | undefined
}

/** Decisions are told of by the name of the rule, so that one name means one rule. */
function checkNames(lists: Readonly<Record<string, readonly JsonRule[]>>): void {
  const names = new Set<string>()
  for (const [list, rules] of Object.entries(lists)) {
    for (const [i, { name }] of rules.entries()) {
      if (names.has(name)) throw invalidOption(WHERE, `${list}[${i}].name`, 'unique in the policy', name, quoted)
      names.add(name)
    }
  }
}

/** @param vouching what is added where a rule names principals */
function tableRule(
  { name, source, request }: JsonRule,
  at: string,
  vouching?: Pick<PolicyRule, 'authenticators'>,
): PolicyRule {
  // gRFC A43: without either, a rule always matches.
  if (source === undefined && request === undefined) return { name, principals: '*' }
  const { paths, headers } = request ?? {}
  if (request !== undefined && paths === undefined && headers === undefined) {
    throw new TypeError(`${WHERE}: option "${at}.request" must have paths or headers; leave it out for every call`)
  }
  return {
    name,
    ...(source && { principals: source.principals, ...vouching }),
    ...(paths && { methods: paths.map(matcherOf) }),
    ...(headers && { metadata: metadataOf(headers, `${at}.request.headers`) }),
  }
}

/** In text where a matcher in text means the same, so that a server refuses to bind where it names none of its methods. */
function matcherOf(path: string): string | RegExp {
  if (!path.includes('*') || path === '*' || METHOD.test(path.replace(/\/\*$/, '/all'))) return path
  const fixed = path.replace('*', '').replace(/[\\^$.|?+()[\]{}/]/g, '\\$&')
  return new RegExp(path.startsWith('*') ? `${fixed}$` : `^${fixed}`)
}

function metadataOf(headers: readonly Header[], at: string): Readonly<Record<string, readonly string[]>> {
  const byKey = new Map<string, readonly string[]>()
  for (const [i, { key, values }] of headers.entries()) {
    const name = key.toLowerCase()
    if (byKey.has(name)) throw invalidOption(WHERE, `${at}[${i}].key`, 'unique in the rule', key, quoted)
    byKey.set(name, values)
  }
  return Object.fromEntries(byKey)
}
