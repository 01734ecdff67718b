import { runRpc } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { alice, good, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import {
  type Authenticator,
  apiKeys,
  bearer,
  hashApiKey,
  mtls,
  type PolicyRule,
  policy,
  principalVar,
  type ServerAuthOptions,
  serverAuth,
  shareable,
  type Verify,
} from '../index.ts'
import { jwt } from '../jwt.ts'
import { introspection } from '../oauth2.ts'

afterEach(stopAuthServers)

const checkSession: Verify = function checkSession() {
  return alice
}
const keys = [{ hash: hashApiKey('k3y'), subject: 'billing' }]
const issuer = { jwks: { keys: [] }, issuer: 'https://id.example/', audience: 'shop' }
const endpoint = { endpoint: 'https://id.example/', clientId: 'a', clientSecret: 'b' }

/** The names of authenticators, as handlers, audit logs and policies see them. */
async function namesOf(verify: Verify): Promise<readonly unknown[]> {
  const names: unknown[] = []
  const server = await startAuthServer(
    { verify, onDecision: ({ authenticator }) => names.push(authenticator) },
    {
      behaviour: (rpc) => {
        names.push(principalVar.get().authenticator)
        rpc.end()
      },
    },
  )
  await runRpc(server.client(), 'unary', good)
  return names
}

describe('the name of an authenticator is a constant, or what its option says, never the name of a function', () => {
  it.each<[string, Verify]>([
    ['a function', checkSession],
    ['an arrow', () => alice],
    ['a shareable function', shareable(() => alice)],
    ['a shareable function that has a name', shareable(checkSession as () => typeof alice)],
  ])('of %s: bearer', async (_what, verify) => {
    expect(await namesOf(verify)).toEqual(['bearer', 'bearer'])
    expect(bearer(verify).name).toBe('bearer')
    expect(bearer(verify, { scheme: 'DPoP' }).name).toBe('bearer')
    expect(bearer(verify, { name: 'sessions' }).name).toBe('sessions')
  })

  it('of a verifier that says it: that, also where what a factory returns is named otherwise', async () => {
    const sessions: Verify = Object.assign(() => alice, { authenticator: 'sessions' })
    expect(await namesOf(sessions)).toEqual(['sessions', 'sessions'])
    expect(await namesOf(shareable(sessions as () => typeof alice))).toEqual(['sessions', 'sessions'])
    expect(bearer(sessions, { name: 'tokens' }).name).toBe('tokens')
    expect(() => serverAuth({ verify: Object.assign(() => alice, { authenticator: '' }) })).toThrow(
      'bearer: option "verify.authenticator" must be a non-empty string',
    )
  })

  it('of each factory: its own, or its option "name"', () => {
    expect([mtls().name, mtls({ name: 'staff' }).name]).toEqual(['mtls', 'staff'])
    expect([apiKeys({ keys }).name, apiKeys({ keys, name: 'partners' }).name]).toEqual(['apiKeys', 'partners'])
    expect([bearer(jwt(issuer)).name, bearer(jwt({ ...issuer, name: 'users' })).name]).toEqual(['jwt', 'users'])
    const introspecting = [introspection(endpoint), introspection({ ...endpoint, name: 'opaque' })]
    expect(introspecting.map((verify) => bearer(verify).name)).toEqual(['introspection', 'opaque'])
    for (const name of ['', 7, null]) {
      const wrong = { name } as never
      for (const make of [
        () => mtls(wrong),
        () => apiKeys({ keys, name } as never),
        () => bearer(checkSession, wrong),
        () => jwt({ ...issuer, name } as never),
        () => introspection({ ...endpoint, name } as never),
      ])
        expect(make).toThrow(/option "name" must be a non-empty string/)
    }
  })

  it('of an authenticator of the application: its own, which it must have, as it was at set-up', async () => {
    const nameless = { credential: () => 'x', verify: () => alice, shareable: false } as unknown as Authenticator
    expect(() => serverAuth({ verify: [checkSession, nameless] })).toThrow(
      'serverAuth: option "verify[1].name" must be a non-empty string, got undefined',
    )
    expect(() => serverAuth({ verify: nameless })).toThrow('option "verify.name" must be')
    const mine = { ...nameless, name: 'tickets' }
    const names: unknown[] = []
    const options: ServerAuthOptions = { verify: mine, onDecision: ({ authenticator }) => names.push(authenticator) }
    const server = await startAuthServer(options)
    mine.name = 'guests'
    await runRpc(server.client(), 'unary', good)
    expect(names).toEqual(['tickets'])
  })
})

describe('a rule that names an authenticator is compared with those of serverAuth', () => {
  const tableOf = (kind: 'allow' | 'deny', authenticators: PolicyRule['authenticators']) => ({
    allow: [{ name: 'all', principals: '*' }],
    [kind]: [{ name: 'ops', authenticators }],
  })
  const verify = [mtls(), apiKeys({ keys }), checkSession]

  for (const kind of ['allow', 'deny'] as const) {
    const build = (authenticators: PolicyRule['authenticators']) => () =>
      serverAuth({ verify, authorize: policy(tableOf(kind, authenticators) as never) })

    it(`${kind}: one that there is not is refused, with the names that there are`, () => {
      for (const wrong of ['checkSession', 'mTLS', ['mtls', 'checkSession'], 'check*', '*session']) {
        expect(build(wrong)).toThrow(TypeError)
      }
      expect(build(['mtls', 'checkSession'])).toThrow(
        `serverAuth: option "authorize.${kind}["ops"].authenticators": "checkSession" is none of the authenticators, which are ` +
          'mtls, apiKeys, bearer; a function is named by bearer(verify, { name: "checkSession" })',
      )
      for (const right of ['mtls', ['apiKeys', 'bearer'], 'm*', '*Keys', '*']) expect(build(right)).not.toThrow()
    })

    it(`${kind}: one whose name two have is refused, since the rule could not tell them apart`, () => {
      const twice = (authenticators: string) => () =>
        serverAuth({
          verify: [checkSession, bearer(() => null, { scheme: 'DPoP' }), mtls()],
          authorize: policy(tableOf(kind, authenticators) as never),
        })
      expect(twice('bearer')).toThrow(
        `option "authorize.${kind}["ops"].authenticators": "bearer" is the name of several authenticators; give each a name of ` +
          'its own, such as by bearer(verify, { name })',
      )
      expect(twice('mtls')).not.toThrow()
      expect(twice('*')).not.toThrow()
    })
  }

  it('also in replace(), by every serverAuth that it decides for; the last table stays', () => {
    const rules = policy({ allow: [{ name: 'ops', authenticators: 'mtls' }] })
    serverAuth({ verify, authorize: rules })
    serverAuth({ verify: mtls(), authorize: rules })
    const call = { method: { path: '/a.B/C', service: 'a.B', name: 'C', registered: true } } as never
    const decisions = () => ['mtls', 'apiKeys'].map((authenticator) => rules({ subject: 'a', authenticator }, call))
    expect(() => rules.replace({ allow: [{ name: 'ops', authenticators: 'apiKeys' }] })).toThrow(
      'policy.replace: option "allow["ops"].authenticators": "apiKeys" is none of the authenticators, which are mtls',
    )
    expect(decisions()).toEqual([true, false])
    rules.replace({ allow: [{ name: 'any', authenticators: '*' }] })
    expect(decisions()).toEqual([true, true])
  })

  it('a policy and a serverAuth of two copies of this package, too', async () => {
    vi.resetModules()
    const there = await import('../index.ts')
    const rules = there.policy({ allow: [{ name: 'ops', authenticators: 'mlts' }] })
    expect(() => serverAuth({ verify: mtls(), authorize: rules })).toThrow('"mlts" is none of the authenticators')
  })
})
