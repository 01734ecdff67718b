import { status as Code, Metadata } from '@grpc/grpc-js'
import type { ServerCall } from '@grpc-stack/grpc-core'
import { metadataOf, patterns, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { apiKeys, bearer, hashApiKey, type PolicyRule, type PolicyTable, policy } from '../index.ts'

let server: TestServer
afterEach(stopAuthServers)

type Conditions = Omit<PolicyRule, 'name'>
const allow = (rule: Conditions): PolicyTable => ({ allow: [{ name: 'allowed', ...rule }] })
const deny = (rule: Conditions): PolicyTable => ({
  deny: [{ name: 'denied', ...rule }],
  allow: [{ name: 'all', principals: '*' }],
})

/** What a policy says about metadata with these values of one key. */
function decides(table: PolicyTable, values: readonly string[]): boolean {
  const metadata = new Metadata()
  for (const value of values) metadata.add('x-region', value)
  return policy(table)({ subject: 'alice' }, { ...CALL, metadata } as unknown as ServerCall)
}

describe('an allow rule on metadata holds for every value of the key', () => {
  const cases: [string | string[], string[], boolean][] = [
    ['eu-*', ['eu-1'], true],
    ['eu-*', ['eu-1, eu-2'], true],
    ['eu-*', ['eu-1', 'eu-2'], true],
    ['eu-*', ['eu-1, us-1'], false],
    ['eu-*', ['eu-1,us-1'], false],
    ['eu-*', ['eu-1 , , eu-2'], false],
    ['eu-*', ['eu-1,'], false],
    ['eu-*', ['eu-1', 'us-1'], false],
    ['eu-*', ['eu-1, eu-2', 'us-1'], false],
    ['*-eu', ['1-us, 1-eu'], false],
    ['*-eu', ['1-eu, 2-eu'], true],
    ['*', ['a, b'], true],
    ['*', ['a,,b'], false],
    ['eu', ['eu, eu'], true],
    ['eu', ['eu, us'], false],
    [['eu-*', 'us-1'], ['eu-1, us-1'], true],
    [['eu-*', 'us-1'], ['eu-1, us-2'], false],
    // The rule itself names a text with a comma.
    ['a, b', ['a, b'], true],
    ['a, b', ['a'], false],
    ['eu-*', [], false],
  ]
  for (const [pattern, values, expected] of cases) {
    it(`${JSON.stringify(pattern)} and ${JSON.stringify(values)}: ${expected}`, () => {
      expect(decides(allow({ metadata: { 'x-region': pattern } }), values)).toBe(expected)
    })
  }

  for (const stock of [false, true]) {
    it.each(patterns)(`as the calls of a ${stock ? 'stock server' : 'server'} bring it: %s`, async (pattern) => {
      const authorize = policy(allow({ metadata: { 'x-region': 'eu-*' } }))
      server = await startAuthServer({ verify: () => ({ subject: 'alice' }), authorize }, { stock })
      const codeFor = async (...regions: string[]) => {
        const metadata = metadataOf({ authorization: 'Bearer x' })
        for (const region of regions) metadata.add('x-region', region)
        return (await runRpc(server.client(), pattern, { metadata })).status?.code
      }
      expect(await codeFor('eu-1')).toBe(Code.OK)
      expect(await codeFor('eu-1', 'eu-2')).toBe(Code.OK)
      expect(await codeFor('eu-1', 'us-1')).toBe(Code.PERMISSION_DENIED)
      expect(await codeFor('eu-1, us-1')).toBe(Code.PERMISSION_DENIED)
    })
  }

  it('whatever the values: allowed means that a deny rule for one of the others would not match', () => {
    const value = fc.string({ unit: fc.constantFrom('e', 'u', '-', ',', ' '), maxLength: 8 })
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), (values) => {
        const allowed = decides(allow({ metadata: { 'x-region': 'eu*' } }), values)
        const parts = values.flatMap((text) => text.split(',')).map((text) => text.trim())
        expect(allowed).toBe(parts.every((text) => text.startsWith('eu')))
      }),
    )
  })
})

describe('a deny rule on metadata sees several values as gRFC A43 does, too: as one text', () => {
  const cases: [string, string[], boolean][] = [
    ['eu,us', ['eu', 'us'], false],
    ['*,us', ['eu', 'us'], false],
    ['eu,u*', ['eu', 'us'], false],
    ['us,eu', ['eu', 'us'], true],
    ['eu,us', ['eu'], true],
  ]
  it.each(cases)('%j and %j: %s', (pattern, values, expected) => {
    expect(decides(deny({ metadata: { 'x-region': pattern } }), values)).toBe(expected)
  })
})

describe('metadata that grpc-js takes out of a call', () => {
  it.each(['accept-encoding', 'content-type'])('is in no rule: %s', async (key) => {
    let seen: unknown[] = ['nothing was called']
    const authorize = (_principal: unknown, call: ServerCall) => {
      seen = call.metadata.get(key)
      return true
    }
    server = await startAuthServer({ verify: () => ({ subject: 'alice' }), authorize })
    await runRpc(server.client(), 'unary', { metadata: metadataOf({ authorization: 'Bearer x', [key]: 'identity' }) })
    expect(seen).toEqual([])
    expect(() => policy(deny({ metadata: { [key]: '*' } }))).toThrow(/option "metadata" must be keyed by lower-case/)
  })
})

describe('a deny rule takes a claim in an odd shape for a match', () => {
  const status: [string, unknown, boolean][] = [
    ['another text', 'active', true],
    ['the text', 'suspended', false],
    ['the text between spaces', ' suspended ', false],
    ['a list with it', ['active', 'suspended'], false],
    ['an object', { value: 'suspended' }, false],
    ['any other object', {}, false],
    ['a nested list', [['suspended']], false],
    ['a list with an object', ['active', { is: 'suspended' }], false],
    ['null', null, true],
    ['an empty list', [], true],
    ['a list of others', ['active', 'paid'], true],
  ]
  for (const [what, claim, allowed] of status) {
    it(`${what}: ${allowed ? 'no match' : 'a match'}`, async () => {
      const authorize = policy(deny({ claims: { status: 'suspended' } }))
      server = await startAuthServer({ verify: () => ({ subject: 'a', claims: { status: claim } }), authorize })
      const { status: end } = await runRpc(server.client(), 'unary', {
        metadata: metadataOf({ authorization: 'Bearer x' }),
      })
      expect(end?.code).toBe(allowed ? Code.OK : Code.PERMISSION_DENIED)
    })
  }

  const says = (rule: Conditions, claims: Record<string, unknown>) =>
    policy(deny(rule))({ subject: 'a', claims }, CALL as unknown as ServerCall)

  const numbers: [unknown, boolean][] = [
    [7, false],
    ['7', false],
    ['7.0', false],
    ['07', false],
    [' 7', false],
    ['7e0', false],
    [7n, false],
    [8, true],
    ['', true],
    ['seven', true],
  ]
  for (const [claim, allowed] of numbers) {
    it(`a number however it is written: ${typeof claim} ${claim}`, () => {
      expect(says({ claims: { level: '7' } }, { level: claim })).toBe(allowed)
      // The allow rule stays exact.
      const exact = policy(allow({ claims: { level: '7' } }))
      expect(exact({ subject: 'a', claims: { level: claim } }, CALL as unknown as ServerCall)).toBe(
        [7, '7', 7n].includes(claim as never),
      )
    })
  }

  const scopes: [unknown, boolean][] = [
    ['admin', false],
    ['read,admin', false],
    ['read\tadmin', false],
    [['read admin'], false],
    [[['admin']], false],
    [{ admin: true }, false],
    ['read', true],
    [undefined, true],
  ]
  for (const [scope, allowed] of scopes) {
    it(`scopes, held as ${JSON.stringify(scope)}`, () => {
      expect(says({ scopes: 'admin' }, { scope })).toBe(allowed)
      expect(says({ scopes: 'admin' }, { scp: scope })).toBe(allowed)
    })
  }

  it('an allow rule takes none of them for a match', () => {
    for (const role of [{ admin: true }, [['admin']], ' admin', null]) {
      const rule = policy(allow({ claims: { role: 'admin' } }))
      expect(rule({ subject: 'a', claims: { role } }, CALL as unknown as ServerCall)).toBe(false)
    }
  })

  it('and finds claims that the principal inherits, but none of Object itself', () => {
    class Claims {
      get status(): string {
        return 'suspended'
      }
    }
    const inherited = new Claims() as unknown as Record<string, unknown>
    expect(says({ claims: { status: 'suspended' } }, inherited)).toBe(false)
    expect(says({ claims: { constructor: '*' } }, {})).toBe(true)
    expect(says({ claims: { toString: '*' } }, inherited)).toBe(true)
  })
})

describe('a rule can ask which authenticator vouches for the principal', () => {
  const NAME = 'spiffe://example.org/ops'
  const key = 'k3y'

  /** The code of a call by somebody who has this name by bearer token, or by API key. */
  async function codeOf(authorize: ReturnType<typeof policy>, metadata: Record<string, string>) {
    server = await startAuthServer({
      verify: [
        apiKeys({ keys: [{ hash: hashApiKey(key), subject: NAME }] }),
        // Says that it is another.
        bearer(() => ({ subject: NAME, authenticator: 'apiKeys' }), { name: 'tokens' }),
      ],
      authorize,
    })
    return (await runRpc(server.client(), 'unary', { metadata: metadataOf(metadata) })).status?.code
  }

  it('an allow rule: the same name by another authenticator does not pass, whatever the verifier says of itself', async () => {
    const rules = policy(allow({ principals: 'spiffe://example.org/*', authenticators: 'apiKeys' }))
    expect(await codeOf(rules, { 'x-api-key': key })).toBe(Code.OK)
    expect(await codeOf(rules, { authorization: 'Bearer x' })).toBe(Code.PERMISSION_DENIED)
    // Without it the name is enough.
    const careless = policy(allow({ principals: 'spiffe://example.org/*' }))
    expect(await codeOf(careless, { authorization: 'Bearer x' })).toBe(Code.OK)
  })

  it('a deny rule matches, and one about a principal of no authenticator, too', async () => {
    const rules = policy(deny({ authenticators: 'tokens' }))
    expect(await codeOf(rules, { 'x-api-key': key })).toBe(Code.OK)
    expect(await codeOf(rules, { authorization: 'Bearer x' })).toBe(Code.PERMISSION_DENIED)
    expect(rules({ subject: 'a' }, CALL as unknown as ServerCall)).toBe(false)
    expect(policy(allow({ authenticators: '*' }))({ subject: 'a' }, CALL as unknown as ServerCall)).toBe(false)
  })
})

// As much of a call as rules look at.
const CALL = { method: { path: '/a.B/C', service: 'a.B', name: 'C', registered: true }, metadata: new Metadata() }
