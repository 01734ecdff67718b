import { status as Code } from '@grpc/grpc-js'
import type { ServerCall } from '@grpc-stack/grpc-core'
import { metadataOf, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { type PolicyRule, type PolicyTable, type Principal, policy } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

const SERVICE = 'grpcstack.testing.Test'

interface Given {
  readonly principal?: Partial<Principal>
  readonly metadata?: Readonly<Record<string, string>>
}

/** Whether the policy lets a real unary call through. */
async function allows(table: PolicyTable, { principal = {}, metadata = {} }: Given = {}): Promise<boolean> {
  await stopAuthServers()
  server = await startAuthServer({ verify: () => ({ subject: 'alice', ...principal }), authorize: policy(table) })
  const rpc = await runRpc(server.client(), 'unary', {
    metadata: metadataOf({ ...metadata, authorization: 'Bearer x' }),
  })
  expect([Code.OK, Code.PERMISSION_DENIED]).toContain(rpc.status?.code)
  return rpc.status?.code === Code.OK
}

const allow = (...rules: Omit<PolicyRule, 'name'>[]): PolicyTable => ({
  allow: rules.map((rule, i) => ({ name: `rule ${i}`, ...rule })),
})
const deny = (rule: Omit<PolicyRule, 'name'>): PolicyTable => ({
  deny: [{ name: 'denied', ...rule }],
  allow: [{ name: 'everybody', principals: '*' }],
})

describe('the order of decisions, as in gRFC A43', () => {
  it('denies what no rule allows', async () => {
    expect(await allows({ deny: [{ name: 'bob', principals: 'bob' }], allow: [] })).toBe(false)
    expect(await allows(allow({ principals: 'bob' }))).toBe(false)
  })
  it('allows what a rule allows', async () => {
    expect(await allows(allow({ principals: 'bob' }, { principals: 'alice' }))).toBe(true)
  })
  it('denies what a deny rule matches, whatever is allowed', async () => {
    expect(await allows(deny({ principals: 'alice' }))).toBe(false)
    expect(await allows(deny({ principals: 'bob' }))).toBe(true)
  })
  it("takes a rule with principals: '*' for every authenticated caller", async () => {
    expect(await allows(allow({ principals: '*' }))).toBe(true)
  })
  it('wants every condition of a rule', async () => {
    const rule = { principals: 'alice', claims: { role: 'admin' }, methods: SERVICE }
    expect(await allows(allow(rule), { principal: { claims: { role: 'admin' } } })).toBe(true)
    expect(await allows(allow(rule), { principal: { claims: { role: 'reader' } } })).toBe(false)
    expect(await allows(allow({ ...rule, methods: () => false }), { principal: { claims: { role: 'admin' } } })).toBe(
      false,
    )
  })
})

describe('conditions', () => {
  const texts: [string, string, boolean][] = [
    ['alice', 'alice', true],
    ['alice', 'Alice', false],
    ['*', 'anyone', true],
    ['spiffe://example.org/*', 'spiffe://example.org/shop', true],
    ['spiffe://example.org/*', 'spiffe://example.org.evil/shop', false],
    ['*.example.org', 'shop.example.org', true],
    ['*.example.org', 'shop.example.org.evil', false],
  ]
  for (const [pattern, subject, expected] of texts) {
    it(`principals ${JSON.stringify(pattern)} and ${JSON.stringify(subject)}: ${expected}`, async () => {
      expect(await allows(allow({ principals: pattern }), { principal: { subject } })).toBe(expected)
    })
  }

  const claims: [string, Record<string, unknown> | undefined, boolean][] = [
    ['a text', { role: 'admin' }, true],
    ['a list with it', { role: ['reader', 'admin'] }, true],
    ['a list without it', { role: ['reader'] }, false],
    ['a longer text', { role: 'administrator' }, false],
    ['nothing', {}, false],
    ['no claims', undefined, false],
    ['an object', { role: { admin: true } }, false],
    ['a nested list', { role: [['admin']] }, false],
    ['null', { role: null }, false],
  ]
  for (const [what, given, expected] of claims) {
    it(`a claim that is ${what}: ${expected}`, async () => {
      const principal = given === undefined ? {} : { claims: given }
      expect(await allows(allow({ claims: { role: 'admin' } }), { principal })).toBe(expected)
    })
  }

  it('claims are never found on the prototype', async () => {
    for (const name of ['constructor', 'toString', '__proto__']) {
      expect(await allows(allow({ claims: { [name]: '*' } }), { principal: { claims: {} } })).toBe(false)
    }
    const inherited = Object.create({ role: 'admin' }) as Record<string, unknown>
    expect(await allows(allow({ claims: { role: 'admin' } }), { principal: { claims: inherited } })).toBe(false)
  })

  it('numbers and booleans are compared as they are written', async () => {
    const principal = { claims: { level: 3, verified: true } }
    expect(await allows(allow({ claims: { level: '3', verified: 'true' } }), { principal })).toBe(true)
  })

  const scopes: [string | string[], Record<string, unknown>, boolean][] = [
    ['read', { scope: 'read write' }, true],
    ['read', { scope: 'readwrite' }, false],
    ['read', { scp: ['read'] }, true],
    [['read', 'write'], { scope: 'write read' }, true],
    [['read', 'write'], { scope: 'read' }, false],
    ['read', {}, false],
  ]
  for (const [wanted, given, expected] of scopes) {
    it(`scopes ${JSON.stringify(wanted)} of ${JSON.stringify(given)}: ${expected}`, async () => {
      expect(await allows(allow({ scopes: wanted }), { principal: { claims: given } })).toBe(expected)
    })
  }

  it('metadata allows only when every value matches', async () => {
    const table = allow({ metadata: { 'x-region': 'eu' } })
    expect(await allows(table, { metadata: { 'x-region': 'eu' } })).toBe(true)
    expect(await allows(table, { metadata: { 'x-region': 'eu, us' } })).toBe(false)
    expect(await allows(table)).toBe(false)
    const metadata = metadataOf({ 'x-region': 'eu' })
    metadata.add('x-region', 'us')
    expect(policy(table)({ subject: 'alice' }, { ...CALL, metadata } as ServerCall)).toBe(false)
  })

  it('metadata denies when any value matches, also one that HTTP has joined to others', async () => {
    const table = deny({ metadata: { 'x-region': 'us' } })
    for (const value of ['us', 'eu, us', 'us,eu', 'eu , us , eu']) {
      expect(await allows(table, { metadata: { 'x-region': value } })).toBe(false)
    }
    expect(await allows(table, { metadata: { 'x-region': 'eu' } })).toBe(true)
  })

  it('any pattern means what it says', () => {
    const text = fc.string({ maxLength: 6 }).filter((value) => !value.includes('*'))
    fc.assert(
      fc.property(text, text, (part, subject) => {
        const ask = (pattern: string) => decide(policy(allow({ principals: pattern })), { subject: subject || 'x' })
        const name = subject || 'x'
        if (part === '') expect(() => ask(part)).toThrow(/not empty/)
        else expect(ask(part)).toBe(name === part)
        expect(ask(`${part}*`)).toBe(name.startsWith(part))
        expect(ask(`*${part}`)).toBe(name.endsWith(part))
      }),
    )
  })
})

describe('a policy in use', () => {
  it('says which rule decides', () => {
    const table: PolicyTable = {
      deny: [{ name: 'suspended', claims: { status: 'suspended' } }],
      allow: [{ name: 'staff', claims: { role: 'staff' } }],
    }
    const decision = (claims: Record<string, unknown>) => policy(table).explain({ subject: 'a', claims }, CALL)
    expect(decision({ role: 'staff' })).toEqual({ allowed: true, rule: 'staff' })
    expect(decision({ role: 'staff', status: 'suspended' })).toEqual({ allowed: false, rule: 'suspended' })
    expect(decision({})).toBeUndefined()
  })

  it('can be replaced, and keeps the last good table when the next one is wrong', () => {
    const rules = policy(allow({ principals: 'alice' }))
    expect([decide(rules, { subject: 'alice' }), decide(rules, { subject: 'bob' })]).toEqual([true, false])
    rules.replace(allow({ principals: 'bob' }))
    expect([decide(rules, { subject: 'alice' }), decide(rules, { subject: 'bob' })]).toEqual([false, true])
    expect(() => rules.replace({ allow: 'everybody' } as unknown as PolicyTable)).toThrow(TypeError)
    expect([decide(rules, { subject: 'alice' }), decide(rules, { subject: 'bob' })]).toEqual([false, true])
  })
})

describe('a wrong table', () => {
  const wrong: [string, unknown, RegExp][] = [
    ['no table', undefined, /policy: options must be an object/],
    ['no allow rules', {}, /option "allow" must be a list/],
    ['an unknown member', { allow: [], permit: [] }, /unknown option "permit"/],
    [
      'a rule with an unknown member',
      allow({ principal: 'a' } as never),
      /allow\[0\] "rule 0": unknown option "principal"/,
    ],
    ['a rule without a name', { allow: [{}] }, /option "name"/],
    [
      'two rules of one name',
      {
        allow: [
          { name: 'a', principals: 'a' },
          { name: 'a', principals: 'b' },
        ],
      },
      /must be unique/,
    ],
    ['a star in the middle', allow({ principals: 'a*b' }), /one \* at its beginning or end/],
    ['two stars', allow({ principals: '*a*' }), /one \*/],
    ['an empty list', allow({ principals: [] }), /option "principals"/],
    ['no claims', allow({ claims: {} }), /option "claims"/],
    ['no scopes', allow({ scopes: [] }), /option "scopes"/],
    ['a header of the transport', allow({ metadata: { te: '*' } }), /option "metadata"/],
    ['a header of gRPC', allow({ metadata: { 'grpc-timeout': '*' } }), /option "metadata"/],
    ['a pseudo header', allow({ metadata: { ':path': '*' } }), /option "metadata"/],
    ['upper case', allow({ metadata: { 'X-Region': '*' } }), /option "metadata"/],
    ['a matcher that is none', allow({ methods: '/x' }), /allow\[0\] "rule 0": option "methods"/],
  ]
  for (const [what, table, message] of wrong) {
    it(`with ${what} throws`, () => {
      expect(() => policy(table as PolicyTable)).toThrow(TypeError)
      expect(() => policy(table as PolicyTable)).toThrow(message)
    })
  }
})

// As much of a call as rules about principals look at.
const CALL = {
  method: {
    path: `/${SERVICE}/Unary`,
    service: SERVICE,
    name: 'Unary',
    pattern: 'unary',
    requestStream: false,
    responseStream: false,
    registered: true,
  },
} as unknown as ServerCall

function decide(rules: ReturnType<typeof policy>, principal: Principal): boolean {
  return rules(principal, CALL)
}
