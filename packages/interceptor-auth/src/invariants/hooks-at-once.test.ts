import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { carrying } from '../../test/auth-server.ts'
import { createAuthority } from '../../test/certificates.ts'
import { type HttpEndpoint, startEndpoint } from '../../test/http-endpoint.ts'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { type Authenticator, bearer, mtls, type ServerAuthOptions, serverAuth } from '../index.ts'
import { jwt } from '../jwt.ts'
import { introspection } from '../oauth2.ts'

const escaped: unknown[] = []
const catchEscaped = (error: unknown): void => void escaped.push(error)
beforeEach(() => void process.on('unhandledRejection', catchEscaped))
afterEach(() => {
  process.removeListener('unhandledRejection', catchEscaped)
  expect(escaped.splice(0)).toEqual([])
})

let issuer: Issuer
let endpoint: HttpEndpoint
let token: string
beforeAll(async () => {
  issuer = await startIssuer()
  endpoint = await startEndpoint(() => ({ active: true, sub: 'alice' }))
  token = await issuer.token()
})
afterAll(async () => {
  await issuer.endpoint.close()
  await endpoint.close()
})

const authority = createAuthority()
const machine = authority.issue({ commonName: 'localhost', dns: ['localhost'], ip: ['127.0.0.1'] })
const caller = authority.issue({ commonName: 'shop', uri: ['spiffe://example.org/shop'] })

const promises: Record<string, () => unknown> = {
  'a promise': async () => true,
  'a promise of nothing': async () => undefined,
  'a promise that rejects': () => Promise.reject(new Error('secret')),
  // biome-ignore lint/suspicious/noThenProperty: an odd promise is what the test is about
  'a promise of its own make': () => ({ then: () => undefined }),
}
const noBooleans: Record<string, () => unknown> = {
  nothing: () => undefined,
  'a text': () => 'yes',
  one: () => 1,
  null: () => null,
  'a list': () => [],
}

/** How a call ends, for its caller and for the audit log, where a hook answers so. */
async function callUnder(verify: ServerAuthOptions['verify']) {
  const decisions: { readonly reason: string; readonly cause: string }[] = []
  await using server = await startTestServer({
    interceptors: [
      serverAuth({ verify, onDecision: ({ reason, cause }) => decisions.push({ reason, cause: String(cause) }) }),
    ],
    credentials: ServerCredentials.createSsl(
      authority.cert,
      [{ cert_chain: machine.cert, private_key: machine.key }],
      true,
    ),
    channelCredentials: credentials.createSsl(authority.cert, caller.key, caller.cert),
  })
  const { status } = await runRpc(server.client(), 'unary', carrying(`Bearer ${token}`))
  return { status: `${Code[status?.code ?? -1]}: ${status?.details}`, decisions }
}

const hooks: Record<string, (answer: () => never) => ServerAuthOptions['verify']> = {
  'mtls: option "accept" must return true or false': (accept) => mtls({ accept }),
  'jwt: option "subject" must return a text or undefined at once': (subject) =>
    jwt({ jwks: issuer.endpoint.url, issuer: ISSUER, audience: AUDIENCE, allowInsecure: true, subject }),
  'introspection: option "subject" must return a text or undefined at once': (subject) =>
    introspection({ endpoint: endpoint.url, clientId: 'a', clientSecret: 'b', allowInsecure: true, subject }),
  'serverAuth: credential() of the authenticator "mine" must return a text or undefined at once': (credential) =>
    ({ name: 'mine', credential, verify: () => ({ subject: 'alice' }), shareable: false }) as Authenticator,
}

for (const [hook, verify] of Object.entries(hooks)) {
  const answers = hook.includes('accept') ? { ...promises, ...noBooleans } : promises
  describe(`a hook that has to answer at once ends its call with INTERNAL: ${hook}`, () => {
    it.each(Object.entries(answers))('that returns %s', async (_what, answer) => {
      const { status, decisions } = await callUnder(verify(answer as () => never))
      expect(status).toBe('INTERNAL: Internal error')
      expect(decisions).toHaveLength(1)
      expect(decisions[0]?.reason).toBe('internal')
      expect(decisions[0]?.cause).toContain(`${hook}, got `)
    })
  })
}

it('another authenticator may still accept the call, and one that refuses it does not hide the mistake', async () => {
  const wrong = mtls({ accept: (async () => true) as never })
  const right = bearer(() => ({ subject: 'alice' }))
  expect((await callUnder([wrong, right])).status).toBe('OK: OK')
  const none = bearer(() => null)
  expect((await callUnder([wrong, none])).status).toBe('INTERNAL: Internal error')
  expect((await callUnder([none, wrong])).status).toBe('INTERNAL: Internal error')
})

it('a subject that a token does not name in text refuses the token, since that is the token’s doing', async () => {
  for (const subject of [undefined, '', 7, null, {}]) {
    expect(
      (
        await callUnder(
          hooks['jwt: option "subject" must return a text or undefined at once']!((() => subject) as never),
        )
      ).status,
    ).toBe('UNAUTHENTICATED: No valid credentials')
  }
})
