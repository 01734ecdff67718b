import { status as Code } from '@grpc/grpc-js'
import { runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { answerTo, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { apiKeys, bearer, clientAuth, mtls, policy, serverAuth } from '../index.ts'
import { jwt } from '../jwt.ts'
import { clientCredentials, introspection, tokenFile } from '../oauth2.ts'

const SECRET = 'hunter2secret'

describe('an option given wrong is not printed where it may be a secret', () => {
  const identity = { clientId: 'a', clientSecret: SECRET }
  const wrong: [string, () => unknown][] = [
    ['clientAuth: the token itself', () => clientAuth(SECRET as never)],
    ['clientAuth: a token with a space', () => clientAuth({ token: `Bearer ${SECRET}` })],
    ['clientAuth: a scheme with the token', () => clientAuth({ token: 'x', scheme: `Bearer ${SECRET}` })],
    ['clientAuth: a header with the token', () => clientAuth({ token: 'x', header: `authorization: ${SECRET}` })],
    ['clientAuth: a header that is a binary token', () => clientAuth({ token: 'x', header: `${SECRET}-bin` })],
    ['clientAuth: a number for the token', () => clientAuth({ token: 424242 as never, header: SECRET, scheme: '' })],
    ['clientAuth: callerHeader', () => clientAuth({ token: 'x', callerHeader: `Bearer ${SECRET}` as never })],
    ['apiKeys: the key itself', () => apiKeys(SECRET as never)],
    ['apiKeys: the key for the list', () => apiKeys({ keys: SECRET as never })],
    ['apiKeys: the key in the list', () => apiKeys({ keys: [SECRET as never] })],
    ['apiKeys: a header with the key', () => apiKeys({ keys: [], header: `x-api-key: ${SECRET}` })],
    ['jwt: an address for the options', () => jwt(`https://a:${SECRET}@id/` as never)],
    [
      'jwt: an issuer that is a number',
      () => jwt({ jwks: `https://a:${SECRET}@id/`, issuer: 1 as never, audience: 'a' }),
    ],
    ['introspection: a secret for the options', () => introspection(SECRET as never)],
    [
      'introspection: clientAuthentication',
      () => introspection({ endpoint: 'https://id/', ...identity, clientAuthentication: SECRET as never }),
    ],
    [
      'introspection: a list for the secret',
      () => introspection({ endpoint: 'https://id/', clientId: 'a', clientSecret: [SECRET] as never }),
    ],
    [
      'clientCredentials: a misspelt secret',
      () => clientCredentials({ tokenEndpoint: 'https://id/', clientId: '', clientSecret: SECRET }),
    ],
    [
      'clientCredentials: the secret for a field',
      () => clientCredentials({ tokenEndpoint: 'https://id/', ...identity, audienceField: SECRET as never }),
    ],
    ['serverAuth: a key for verify', () => serverAuth({ verify: SECRET as never })],
    ['serverAuth: a key in the list', () => serverAuth({ verify: [SECRET as never] })],
    ['bearer', () => serverAuth({ verify: bearer(() => null), scheme: `Bearer ${SECRET}` })],
    ['mtls', () => mtls(SECRET as never)],
    ['policy', () => policy(SECRET as never)],
    ['tokenFile: options', () => tokenFile('/x', SECRET as never)],
  ]
  for (const [what, make] of wrong) {
    it(what, () => {
      let thrown: unknown
      try {
        make()
      } catch (error) {
        thrown = error
      }
      expect(thrown).toBeInstanceOf(TypeError)
      expect((thrown as Error).message).not.toContain('hunter2')
      expect((thrown as Error).message).not.toContain('424242')
    })
  }
})

describe('an option given wrong is described all the same', () => {
  const wrong: [() => unknown, string][] = [
    [() => clientAuth({ token: 42 as never }), 'option "token" must be a string or a function, got a number'],
    [() => clientAuth({ token: 'a b' }), 'the bare token, got another text'],
    [() => apiKeys({ keys: {} as never }), 'option "keys" must be a list or a function, got an object'],
    [() => jwt({ jwks: 'https://id/', issuer: [], audience: 'a' }), 'a list of texts, got an empty list'],
    [() => policy({ allow: [{ name: 'a', principals: 'a*b' }] }), 'got "a*b"'],
    [() => serverAuth({ verify: () => null, timeoutMs: -1 }), 'got -1'],
    [() => serverAuth({ verify: 'jwt' as never }), 'must be a function or an authenticator, got another string'],
  ]
  for (const [make, message] of wrong) it(message, () => expect(make).toThrow(message))
})

describe('what a token provider returns or throws is not quoted', () => {
  const longToken = 'sk_live_4242424242424242424242'
  const jsonError = (): unknown => {
    try {
      return JSON.parse(`${SECRET}"}`)
    } catch (error) {
      return error
    }
  }
  const failures: [string, () => unknown][] = [
    ['a number', () => 424242],
    ['a number for the token', () => ({ token: 424242, expiresAt: Date.now() + 1e6 })],
    ['a text for the expiry', () => ({ token: 'a', expiresAt: SECRET })],
    ['a list', () => [SECRET]],
    ['a text with a space', () => `Bearer ${SECRET}`],
    [
      'an error of JSON.parse',
      () => {
        throw jsonError()
      },
    ],
    [
      'an error caused by JSON.parse',
      () => {
        throw new Error('bad answer', { cause: jsonError() })
      },
    ],
    [
      'an error that quotes a long token',
      () => {
        throw new Error(`cannot refresh ${longToken}`)
      },
    ],
    [
      'a text',
      () => {
        throw SECRET
      },
    ],
    [
      'an object',
      () => {
        throw { secret: SECRET }
      },
    ],
  ]
  for (const [what, fail] of failures) {
    for (const how of ['at once', 'later']) {
      it(`${what}, ${how}`, async () => {
        await using server = await startTestServer()
        const token = how === 'later' ? async () => fail() : () => fail()
        const rpc = await runRpc(server.client(clientAuth({ token: token as never, allowInsecure: true })), 'unary')
        expect([Code.UNAUTHENTICATED, Code.UNAVAILABLE]).toContain(rpc.status?.code)
        const texts: unknown[] = [rpc.status?.details]
        for (let error: unknown = rpc.error; error instanceof Error; error = error.cause) {
          texts.push(error.message, error.stack, JSON.stringify(error))
        }
        const all = texts.join('\n')
        for (const secret of ['hunter2', '424242']) expect(all).not.toContain(secret)
        expect(server.calls).toHaveLength(0)
      })
    }
  }
})

describe('what a verifier returns instead of a principal is not quoted', () => {
  const answers: [string, unknown][] = [
    ['the token', SECRET],
    ['the token as the claims', { subject: 'a', claims: SECRET }],
    ['the token as the expiry', { subject: 'a', expiresAt: SECRET }],
    ['a list as the subject', { subject: [SECRET] }],
  ]
  for (const [what, answer] of answers) {
    it(what, async () => {
      const causes: string[] = []
      const server = await startAuthServer({
        verify: () => answer as never,
        onDecision: ({ cause }) => causes.push((cause as Error).message),
      })
      expect(await answerTo(server, `Bearer ${SECRET}`)).toBe('INTERNAL: Internal error')
      await stopAuthServers()
      expect(causes).toHaveLength(1)
      expect(causes[0]).not.toContain('hunter2')
    })
  }
})
