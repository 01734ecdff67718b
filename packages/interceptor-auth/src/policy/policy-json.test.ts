import { status as Code } from '@grpc/grpc-js'
import { metadataOf, patterns, runRpc } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { callOf } from '../../test/call-of.ts'
import { bearer, policy } from '../index.ts'
import { policyFromJson } from '../policy.ts'

afterEach(stopAuthServers)

const shop = {
  name: 'shop',
  deny_rules: [{ name: 'secret', request: { paths: ['*/Purge'] } }],
  allow_rules: [
    { name: 'operators', source: { principals: ['spiffe://example.org/ops/*'] } },
    {
      name: 'readers',
      request: {
        paths: ['/shop.v1.Catalog/Get', '/shop.v1.Search/*'],
        headers: [{ key: 'X-Region', values: ['eu-*'] }],
      },
    },
  ],
}

describe('policyFromJson', () => {
  it('makes a table for policy(), of a text or of what was parsed from it', () => {
    const table = {
      deny: [{ name: 'secret', methods: [/\/Purge$/] }],
      allow: [
        { name: 'operators', principals: ['spiffe://example.org/ops/*'] },
        {
          name: 'readers',
          methods: ['/shop.v1.Catalog/Get', '/shop.v1.Search/*'],
          metadata: { 'x-region': ['eu-*'] },
        },
      ],
    }
    expect(policyFromJson(shop)).toEqual(table)
    expect(policyFromJson(JSON.stringify(shop))).toEqual(table)
  })

  it('takes a rule with neither source nor request for one that always matches', () => {
    const open = policy(policyFromJson({ name: 'open', allow_rules: [{ name: 'all' }] }))
    expect(open({ subject: 'anybody' }, callOf('/a.B/C'))).toBe(true)
    const closed = policy(
      policyFromJson({ name: 'closed', deny_rules: [{ name: 'none' }], allow_rules: [{ name: 'all' }] }),
    )
    expect(closed({ subject: 'anybody' }, callOf('/a.B/C'))).toBe(false)
  })

  const paths: [string, string, boolean][] = [
    ['/a.B/C', '/a.B/C', true],
    ['/a.B/C', '/a.B/CD', false],
    ['/a.B/*', '/a.B/C', true],
    ['/a.B/*', '/a.BC/C', false],
    ['/a.*', '/a.B/C', true],
    ['/a.*', '/aXB/C', false],
    ['/a.B/G*', '/a.B/Get', true],
    ['/a.B/G*', '/a.B/Set', false],
    ['*/C', '/a.B/C', true],
    ['*/C', '/a.B/CD', false],
    ['*C', '/a.B/DC', true],
    ['*', '/a.B/C', true],
  ]
  it.each(paths)('the path %s and a call of %s: %s', (pattern, path, expected) => {
    const rules = policy(policyFromJson({ name: 'p', allow_rules: [{ name: 'r', request: { paths: [pattern] } }] }))
    expect(rules({ subject: 'a' }, callOf(path))).toBe(expected)
  })

  it('believes a name for an allow rule from these authenticators only, and for a deny rule from any', () => {
    const json = {
      name: 'p',
      deny_rules: [{ name: 'blocked', source: { principals: ['eve'] } }],
      allow_rules: [{ name: 'known', source: { principals: ['*'] } }],
    }
    const rules = policy(policyFromJson(json, { authenticators: 'mtls' }))
    expect(rules({ subject: 'ann', authenticator: 'mtls' }, callOf('/a.B/C'))).toBe(true)
    expect(rules({ subject: 'ann', authenticator: 'jwt' }, callOf('/a.B/C'))).toBe(false)
    expect(rules.explain({ subject: 'eve', authenticator: 'jwt' }, callOf('/a.B/C'))?.rule).toBe('blocked')
  })

  it.each(patterns)('decides about real calls: %s', async (pattern) => {
    const rules = policyFromJson({
      name: 'test',
      deny_rules: [{ name: 'region', request: { headers: [{ key: 'x-region', values: ['us'] }] } }],
      allow_rules: [
        { name: 'ann', source: { principals: ['ann'] }, request: { paths: ['/grpcstack.testing.Test/*'] } },
        { name: 'elsewhere', source: { principals: ['*'] }, request: { paths: ['/grpcstack.testing.Other*'] } },
      ],
    })
    const server = await startAuthServer({ verify: bearer((subject) => ({ subject })), authorize: policy(rules) })
    const codeOf = async (name: string, headers = {}) => {
      const metadata = metadataOf({ authorization: `Bearer ${name}`, ...headers })
      return (await runRpc(server.client(), pattern, { metadata })).status?.code
    }
    expect(await codeOf('ann')).toBe(Code.OK)
    expect(await codeOf('bob')).toBe(Code.PERMISSION_DENIED)
    expect(await codeOf('ann', { 'x-region': 'us' })).toBe(Code.PERMISSION_DENIED)
    expect(await codeOf('ann', { 'x-region': 'eu' })).toBe(Code.OK)
  })

  it('is refused by a server that has no method of a path', async () => {
    const rules = { name: 'p', allow_rules: [{ name: 'r', request: { paths: ['/grpcstack.testing.Test/Unarry'] } }] }
    const server = startAuthServer({ verify: () => ({ subject: 'a' }), authorize: policy(policyFromJson(rules)) })
    await expect(server).rejects.toThrow(/names none of its methods/)
  })
})

const withRule = (rule: object) => ({
  name: 'p',
  deny_rules: [{ name: 'd' }, { name: 'r', ...rule }],
  allow_rules: [{ name: 'a' }],
})
const withHeader = (header: object) => withRule({ request: { headers: [header] } })

describe('a wrong policy', () => {
  const wrong: [string, unknown, string][] = [
    ['no JSON', '{', 'policyFromJson: a policy must be JSON: '],
    ['nothing', undefined, 'policyFromJson: options must be an object, got undefined'],
    ['a list', '[]', 'policyFromJson: options must be an object, got an empty list'],
    ['null', 'null', 'policyFromJson: options must be an object, got null'],
    ['no name', { allow_rules: [{ name: 'a' }] }, 'option "name" must be a non-empty string'],
    ['an empty name', { name: '', allow_rules: [{ name: 'a' }] }, 'option "name" must be a non-empty string'],
    ['no allow rules', { name: 'p' }, 'option "allow_rules" must be a list of at least one rule'],
    ['an empty list of them', { name: 'p', allow_rules: [] }, 'option "allow_rules" must be a list of at least one'],
    ['deny rules that are null', { ...withRule({}), deny_rules: null }, 'option "deny_rules" must be a list of rules'],
    ['an unknown member', { ...withRule({}), audit: {} }, 'policyFromJson: unknown option "audit"'],
    [
      'a misspelt member',
      withRule({ sources: {} }),
      'option "deny_rules[1]": unknown option "sources"; did you mean "source"?',
    ],
    ['__proto__', '{"name":"p","allow_rules":[{"name":"a","__proto__":{"source":{}}}]}', 'unknown option "__proto__"'],
    ['a rule that is none', { name: 'p', allow_rules: ['a'] }, 'option "allow_rules[0]" must be an object, got "a"'],
    ['a rule without a name', { name: 'p', allow_rules: [{}] }, 'option "allow_rules[0].name" must be a non-empty'],
    [
      'one name for two rules',
      withRule({ name: 'd' }),
      'option "deny_rules[1].name" must be unique in the policy, got "d"',
    ],
    ['one name in both lists', withRule({ name: 'a' }), 'option "allow_rules[0].name" must be unique in the policy'],
    ['a source that was not found', withRule({ source: undefined }), 'got undefined; leave it out for every caller'],
    [
      'an empty source',
      withRule({ source: {} }),
      'option "deny_rules[1].source.principals" must be a list of at least',
    ],
    ['no principals', withRule({ source: { principals: [] } }), 'got an empty list'],
    [
      'an empty principal',
      withRule({ source: { principals: ['a', ''] } }),
      'option "deny_rules[1].source.principals[1]" must be',
    ],
    [
      'a star amid',
      withRule({ source: { principals: ['a*b'] } }),
      'option "deny_rules[1].source.principals[0]" must be',
    ],
    ['an empty request', withRule({ request: {} }), 'option "deny_rules[1].request" must have paths or headers'],
    [
      'no paths',
      withRule({ request: { paths: [] } }),
      'option "deny_rules[1].request.paths" must be a list of at least one path',
    ],
    [
      'a path that is none',
      withRule({ request: { paths: ['/a', 'b'] } }),
      'option "deny_rules[1].request.paths[0]" must be "/pack',
    ],
    [
      'a prefix that no path has',
      withRule({ request: { paths: ['a.B/*'] } }),
      'request.paths[0]" must be "/package.Service/Meth',
    ],
    ['two stars', withRule({ request: { paths: ['*/a*'] } }), 'request.paths[0]" must be'],
    ['a header without values', withHeader({ key: 'a' }), 'option "deny_rules[1].request.headers[0].values" must be'],
    [
      'no value',
      withHeader({ key: 'a', values: [] }),
      'headers[0].values" must be a list of at least one value, got an empty list',
    ],
    [
      'a value that is none',
      withHeader({ key: 'a', values: [1] }),
      'option "deny_rules[1].request.headers[0].values[0]" must be',
    ],
    [
      'a header twice',
      withRule({
        request: {
          headers: [
            { key: 'a', values: ['1'] },
            { key: 'A', values: ['2'] },
          ],
        },
      }),
      'option "deny_rules[1].request.headers[1].key" must be unique in the rule',
    ],
    [
      'a member twice',
      '{"name":"p","allow_rules":[{"name":"a"}],"deny_rules":[{"name":"d"}],"deny_rules":[]}',
      '"deny_rules" stands twice',
    ],
    ['too many characters', ' '.repeat(1_048_577), 'has at most 1048576 characters, this one has 1048577'],
    [
      'a hundred thousand lists in one another',
      '['.repeat(100_000) + ']'.repeat(100_000),
      'must be an object, got a list',
    ],
    [
      'as many objects',
      `${'{"name":'.repeat(100_000)}1${'}'.repeat(100_000)}`,
      'option "name" must be a non-empty string',
    ],
  ]
  it.each(wrong)('%s: says where', (_what, json, message) => {
    expect(() => policyFromJson(json as object)).toThrow(TypeError)
    expect(() => policyFromJson(json as object)).toThrow(message)
  })

  const forbidden = [
    ':path',
    'grpc-timeout',
    'GRPC-Encoding',
    'host',
    'Host',
    'connection',
    'keep-alive',
    'proxy-authorization',
  ]
  it.each([
    ...forbidden,
    'te',
    'content-type',
    'Accept-Encoding',
    'trailer',
    'transfer-encoding',
    'upgrade',
    '',
    'a b',
    '\u212aey',
  ])('the header %j says nothing about the caller', (key) => {
    expect(() => policyFromJson(withHeader({ key, values: ['*'] }))).toThrow(
      'option "deny_rules[1].request.headers[0].key" must be the name of a header, none of the transport',
    )
  })
})

describe('whatever the text', () => {
  const word = fc.oneof(
    fc.constantFrom(
      '*',
      '',
      'a',
      'a*',
      '*a',
      'a*b',
      '/a.B/C',
      '/a.B/*',
      '*/C',
      '/a.*',
      'x-a',
      'host',
      '__proto__',
      'é',
    ),
    fc.string({ maxLength: 4 }),
  )
  /** JSON in which the members of a policy stand in any place. */
  const { json: anyJson } = fc.letrec((tie) => ({
    json: fc.oneof(
      { maxDepth: 5 },
      word,
      fc.constantFrom(null, 0, true),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.dictionary(
        fc.constantFrom(
          'name',
          'deny_rules',
          'allow_rules',
          'source',
          'request',
          'principals',
          'paths',
          'headers',
          '__proto__',
        ),
        tie('json'),
      ),
    ),
  }))
  const orLeftOut = <T>(member: fc.Arbitrary<T>) => fc.option(member, { nil: undefined, freq: 3 })
  const rule = fc.record(
    {
      name: fc.string({ minLength: 1, maxLength: 3 }),
      source: orLeftOut(fc.record({ principals: fc.array(word, { maxLength: 2 }) })),
      request: orLeftOut(
        fc.record(
          {
            paths: fc.array(word, { maxLength: 2 }),
            headers: fc.array(fc.record({ key: word, values: fc.array(word, { maxLength: 2 }) }), { maxLength: 2 }),
          },
          { requiredKeys: [] },
        ),
      ),
    },
    { requiredKeys: ['name'] },
  )
  const nearly = fc.record(
    { name: word, deny_rules: fc.array(rule, { maxLength: 2 }), allow_rules: fc.array(rule, { maxLength: 2 }) },
    { requiredKeys: ['name', 'allow_rules'] },
  )
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    anyJson.map((value) => JSON.stringify(value)),
    nearly.map((value) => JSON.stringify(value)),
  )

  it('throws nothing but a TypeError, and what it returns is a table that policy() takes', () => {
    let taken = 0
    fc.assert(
      fc.property(texts, (json) => {
        let table: ReturnType<typeof policyFromJson>
        try {
          table = policyFromJson(json)
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError)
          return
        }
        taken++
        policy(table)
      }),
      { numRuns: 3000 },
    )
    expect(taken).toBeGreaterThan(0)
  })

  it('decides as gRFC A43 says, for headers that have one value', () => {
    const name = fc.constantFrom('ann', 'bob', 'eve')
    const matching = (of: fc.Arbitrary<string>) => fc.array(of, { minLength: 1, maxLength: 2 })
    const part = fc.constantFrom('a', 'b', 'an*', '*b', '*', 'bob')
    const path = fc.constantFrom('/a.B/C', '/a.B/*', '/a.B/D*', '/a.*', '*/C', '*')
    const header = fc.record({ key: fc.constantFrom('x-a'), values: matching(part) })
    const valid = fc.record(
      {
        source: fc.record({ principals: matching(part) }),
        request: fc.oneof(
          fc.record({ paths: matching(path) }),
          fc.record({ headers: fc.tuple(header) }),
          fc.record({ paths: matching(path), headers: fc.tuple(header) }),
        ),
      },
      { requiredKeys: [] },
    )
    const list = (kind: string, minLength: number) =>
      fc
        .array(valid, { minLength, maxLength: 2 })
        .map((rules) => rules.map((rule, i) => ({ name: `${kind}${i}`, ...rule })))
    const call = fc.record({
      subject: name,
      path: fc.constantFrom('/a.B/C', '/a.B/D', '/b.B/C'),
      value: fc.option(fc.constantFrom('', 'a', 'ann', 'bob')),
    })
    fc.assert(
      fc.property(list('deny', 0), list('allow', 1), call, (deny_rules, allow_rules, { subject, path, value }) => {
        const rules = policy(policyFromJson({ name: 'p', deny_rules, allow_rules }))
        const headers = value === null ? {} : { 'x-a': value }
        const applies = (rule: JsonRule) => matchesByA43(rule, subject, path, headers)
        const expected = !deny_rules.some(applies) && allow_rules.some(applies)
        expect(rules({ subject }, callOf(path, headers))).toBe(expected)
      }),
      { numRuns: 2000 },
    )
  })
})

interface JsonRule {
  readonly source?: { readonly principals: readonly string[] }
  readonly request?: {
    readonly paths?: readonly string[]
    readonly headers?: readonly { key: string; values: string[] }[]
  }
}

/** The proposal in a few lines, to compare with. */
function matchesByA43(
  { source, request }: JsonRule,
  subject: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): boolean {
  const text = (pattern: string, value: string | undefined): boolean => {
    if (value === undefined) return false
    if (pattern === '*') return value !== ''
    if (pattern.endsWith('*')) return value.startsWith(pattern.slice(0, -1))
    return pattern.startsWith('*') ? value.endsWith(pattern.slice(1)) : value === pattern
  }
  return (
    (source?.principals.some((pattern) => text(pattern, subject)) ?? true) &&
    (request?.paths?.some((pattern) => text(pattern, path)) ?? true) &&
    (request?.headers?.every(({ key, values }) => values.some((pattern) => text(pattern, headers[key]))) ?? true)
  )
}
