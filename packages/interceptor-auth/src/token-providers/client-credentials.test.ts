import { status as Code } from '@grpc/grpc-js'
import type { RpcError } from '@grpc-stack/grpc-core'
import { FakeClock, runRpc, settle, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, type HttpEndpoint, httpStatus, silence, startEndpoint } from '../../test/http-endpoint.ts'
import { clientAuth, serverAuth, type Token } from '../index.ts'
import { type ClientCredentialsOptions, clientCredentials } from '../oauth2.ts'

let endpoint: HttpEndpoint
let issued = 0
const issue: Answer = () => ({ access_token: `token-${++issued}`, token_type: 'Bearer', expires_in: 3600 })

beforeEach(async () => {
  issued = 0
  endpoint = await startEndpoint(issue)
})
afterEach(() => endpoint.close())

const provider = (options: Partial<ClientCredentialsOptions> = {}) =>
  clientCredentials({ tokenEndpoint: endpoint.url, clientId: 'shop', clientSecret: 's3cret', ...options })

const ask = (options: Partial<ClientCredentialsOptions> = {}, audience?: string): Promise<Token> =>
  provider(options)({ audience, signal: new AbortController().signal })

const failure = (asked: Promise<Token>): Promise<RpcError> =>
  asked.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: RpcError) => error,
  )

describe('clientCredentials asks', () => {
  it('with the grant of RFC 6749 §4.4, and Basic authentication', async () => {
    await ask()
    const { method, headers, form } = endpoint.requests[0]!
    expect(method).toBe('POST')
    expect(headers['content-type']).toBe('application/x-www-form-urlencoded')
    expect(headers.authorization).toBe(`Basic ${Buffer.from('shop:s3cret').toString('base64')}`)
    expect(Object.fromEntries(form)).toEqual({ grant_type: 'client_credentials' })
  })

  it('with id and secret encoded, so that a colon ends nothing', async () => {
    await ask({ clientId: 'a:b c', clientSecret: 'ä%' })
    const [, basic = ''] = endpoint.requests[0]!.headers.authorization!.split(' ')
    expect(Buffer.from(basic, 'base64').toString()).toBe('a%3Ab+c:%C3%A4%25')
  })

  it('with the secret in the form where the server wants it there', async () => {
    await ask({ clientAuthentication: 'post' })
    const { headers, form } = endpoint.requests[0]!
    expect(headers.authorization).toBeUndefined()
    expect(Object.fromEntries(form)).toMatchObject({ client_id: 'shop', client_secret: 's3cret' })
  })

  it('for scopes, audience and further fields', async () => {
    await ask({ scope: ['read', 'write'], fields: { tenant: 'a', grant_type: 'password' } }, 'https://shop')
    expect(Object.fromEntries(endpoint.requests[0]!.form)).toEqual({
      grant_type: 'client_credentials',
      scope: 'read write',
      audience: 'https://shop',
      tenant: 'a',
    })
    await ask({ audienceField: 'resource' }, 'https://shop')
    expect(endpoint.requests[1]!.form.get('resource')).toBe('https://shop')
  })
})

describe('clientCredentials gets', () => {
  it('a token and its expiry, counted from before the request', async () => {
    const clock = new FakeClock(1_800_000_000_000)
    endpoint.answer = async (request, response) => {
      await clock.advance(5000)
      return issue(request, response)
    }
    expect(await ask({ clock })).toEqual({ token: 'token-1', expiresAt: 1_800_003_600_000 })
  })

  const lifetimes: [string, unknown, number][] = [
    ['a text', '60', 60_000],
    ['nothing', undefined, 300_000],
    ['rubbish', 'soon', 300_000],
    ['a negative number', -1, 300_000],
    ['zero', 0, 0],
  ]
  for (const [what, expires_in, expected] of lifetimes) {
    it(`a lifetime that is ${what}`, async () => {
      const clock = new FakeClock(1_800_000_000_000)
      endpoint.answer = () => ({ access_token: 'a', token_type: 'bearer', expires_in })
      expect((await ask({ clock })).expiresAt - clock.now()).toBe(expected)
    })
  }

  const refusals: [string, Answer, Code, string][] = [
    ['400', httpStatus(400, { error: 'invalid_scope' }), Code.UNAUTHENTICATED, 'invalid_scope'],
    ['401', httpStatus(401, { error: 'invalid_client' }), Code.UNAUTHENTICATED, 'invalid_client'],
    ['401 with hostile text', httpStatus(401, { error: 'x\r\ny' }), Code.UNAUTHENTICATED, '401'],
    ['401 with a page', httpStatus(401, '<html>'), Code.UNAUTHENTICATED, '401'],
    ['429', httpStatus(429), Code.UNAVAILABLE, '429'],
    ['503', httpStatus(503), Code.UNAVAILABLE, '503'],
    ['no JSON', httpStatus(200, '<html>'), Code.UNAVAILABLE, 'without an access token'],
    ['no token', () => ({ token_type: 'Bearer' }), Code.UNAVAILABLE, 'without an access token'],
    ['a token that is no text', () => ({ access_token: 7, token_type: 'Bearer' }), Code.UNAVAILABLE, 'without'],
    ['no type', () => ({ access_token: 'a' }), Code.UNAUTHENTICATED, 'not of type Bearer'],
    ['another type', () => ({ access_token: 'a', token_type: 'DPoP' }), Code.UNAUTHENTICATED, 'not of type Bearer'],
  ]
  for (const [what, answer, code, details] of refusals) {
    it(`${Code[code]} for ${what}`, async () => {
      endpoint.answer = answer
      const error = await failure(ask())
      expect(error.code).toBe(code)
      expect(error.details).toContain(details)
      expect(error.message).not.toContain('s3cret')
    })
  }

  it('nothing from a redirect, which would carry the secret elsewhere', async () => {
    endpoint.answer = (_request, response) => {
      response.writeHead(307, { location: '/elsewhere' })
      response.end()
    }
    await failure(ask())
    expect(endpoint.requests).toHaveLength(1)
  })

  it('nothing from an answer larger than maxBytes', async () => {
    endpoint.answer = () => ({ access_token: 'a', token_type: 'Bearer', padding: 'x'.repeat(100_000) })
    await failure(ask())
    expect((await ask({ maxBytes: 200_000 })).token).toBe('a')
  })

  it('nothing from a server that is silent, after timeoutMs', async () => {
    endpoint.answer = silence
    const clock = new FakeClock(Date.now())
    const asked = failure(ask({ clock, timeoutMs: 700 }))
    expect(await clock.timerSet()).toBe(700)
    await clock.advance(700)
    expect((await asked).message).toContain('700 ms')
    expect(clock.pending).toBe(0)
  })

  it('nothing once no call waits any more', async () => {
    endpoint.answer = silence
    const controller = new AbortController()
    const asked = failure(provider()({ audience: undefined, signal: controller.signal }))
    while (endpoint.requests.length === 0) await settle()
    controller.abort(new Error('given up'))
    expect((await asked).message).toBe('given up')
  })
})

describe('clientCredentials in use', () => {
  let server: TestServer
  afterEach(() => server?.stop())

  it('one token for many calls, another when it is revoked, UNAVAILABLE while the endpoint is down', async () => {
    let valid = 'token-1'
    server = await startTestServer({
      interceptors: [serverAuth({ verify: (token) => (token === valid ? { subject: 'shop' } : null), cache: false })],
    })
    const client = server.client(clientAuth({ token: provider(), allowInsecure: true }))
    const codes = async () => (await Promise.all(Array.from({ length: 20 }, () => runRpc(client, 'unary')))).map(codeOf)
    const codeOf = (rpc: { status?: { code: Code } | undefined }) => Code[rpc.status?.code ?? -1]
    expect(new Set(await codes())).toEqual(new Set(['OK']))
    expect(issued).toBe(1)
    valid = 'token-2'
    expect(new Set(await codes())).toEqual(new Set(['OK']))
    expect(issued).toBe(2)

    await endpoint.close()
    const other = server.client(clientAuth({ token: provider(), allowInsecure: true }))
    expect(codeOf(await runRpc(other, 'unary'))).toBe('UNAVAILABLE')
    endpoint = await startEndpoint(issue)
  })
})

describe('clientCredentials: wrong options', () => {
  const wrong: [string, object, RegExp][] = [
    ['no endpoint', { tokenEndpoint: undefined }, /option "tokenEndpoint"/],
    ['an endpoint over plaintext', { tokenEndpoint: 'http://id.example.com/' }, /must be an https URL/],
    ['no id', { clientId: '' }, /option "clientId"/],
    ['a secret that is none', { clientSecret: undefined }, /option "clientSecret"/],
    ['another way to authenticate', { clientAuthentication: 'jwt' }, /option "clientAuthentication"/],
    ['another field', { audienceField: 'aud' }, /option "audienceField"/],
    ['a misspelt option', { scopes: 'a' }, /unknown option "scopes"/],
  ]
  for (const [what, change, message] of wrong) {
    it(`${what}: throws at once`, () => {
      const options = { tokenEndpoint: 'https://id.example.com/', clientId: 'a', clientSecret: 'b' }
      expect(() => clientCredentials({ ...options, ...change })).toThrow(message)
    })
  }
})
