import { createHmac, generateKeyPairSync } from 'node:crypto'
import { status as Code } from '@grpc/grpc-js'
import { echo, metadataOf, patterns, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import {
  base64url,
  createLocalJWKSet,
  createRemoteJWKSet,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  type JWTPayload,
  type JWTVerifyGetKey,
  SignJWT,
} from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { answerTo, DOWN, REFUSED, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { type Principal, principalVar } from '../index.ts'
import { type JwtOptions, jwt } from '../jwt.ts'

let issuer: Issuer
beforeAll(async () => {
  issuer = await startIssuer('RS256')
})
afterAll(() => issuer.endpoint.close())

let server: TestServer
afterEach(stopAuthServers)

const start = async (options: Partial<JwtOptions> = {}) => {
  server = await startAuthServer({
    verify: jwt({ jwks: issuer.endpoint.url, issuer: ISSUER, audience: AUDIENCE, ...options }),
  })
}

const now = () => Math.floor(Date.now() / 1000)
const part = (value: unknown) => base64url.encode(JSON.stringify(value))
const usual = () => ({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now(), exp: now() + 3600 })

describe('jwt accepts', () => {
  for (const alg of ['RS256', 'PS384', 'ES256', 'ES512', 'EdDSA']) {
    it(`a token signed with ${alg}`, async () => {
      const other = await startIssuer(alg)
      try {
        await start({ jwks: other.endpoint.url })
        expect(await answerTo(server, `Bearer ${await other.token()}`)).toBe('OK: OK')
      } finally {
        await other.endpoint.close()
      }
    })
  }

  for (const pattern of patterns) {
    it(`calls of every pattern, and shows the claims to the handler: ${pattern}`, async () => {
      let principal: Principal | undefined
      await start()
      server.behaviour = (rpc) => {
        principal = principalVar.get()
        return echo(rpc)
      }
      const authorization = `Bearer ${await issuer.token({ scope: 'read', exp: 2_000_000_000 })}`
      const rpc = await runRpc(server.client(), pattern, { metadata: metadataOf({ authorization }) })
      expect(rpc.status?.code).toBe(Code.OK)
      expect(principal).toMatchObject({
        subject: 'alice',
        claims: { iss: ISSUER, aud: AUDIENCE, scope: 'read' },
        expiresAt: 2_000_000_005_000,
      })
    })
  }

  it('one of several audiences, one of several issuers', async () => {
    await start({ audience: ['other', AUDIENCE], issuer: ['https://other/', ISSUER] })
    expect(await answerTo(server, `Bearer ${await issuer.token({ aud: ['x', AUDIENCE] })}`)).toBe('OK: OK')
  })

  it('any audience when told not to look', async () => {
    await start({ audience: false })
    const { aud: _, ...claims } = usual()
    expect(await answerTo(server, `Bearer ${await issuer.token({ ...claims, aud: undefined as never })}`)).toBe(
      'OK: OK',
    )
  })

  it('a clock that differs by seconds', async () => {
    await start()
    expect(await answerTo(server, `Bearer ${await issuer.token({ exp: now() - 3, nbf: now() + 3 })}`)).toBe('OK: OK')
  })

  it('another claim for the subject', async () => {
    await start({ subject: (claims) => claims.client_id as string | undefined })
    expect(await answerTo(server, `Bearer ${await issuer.token({ client_id: 'billing' })}`)).toBe('OK: OK')
    expect(await answerTo(server, `Bearer ${await issuer.token()}`)).toBe(REFUSED)
  })

  it('keys given as a set, without a request', async () => {
    const before = issuer.endpoint.requests.length
    await start({ jwks: await issuer.jwks() })
    expect(await answerTo(server, `Bearer ${await issuer.token()}`)).toBe('OK: OK')
    expect(issuer.endpoint.requests).toHaveLength(before)
  })
})

describe('jwt refuses', () => {
  it('what a function that finds keys does not find, and tells when it is down', async () => {
    let keys: JWTVerifyGetKey = createLocalJWKSet(await issuer.jwks())
    await start({ jwks: (header, token) => keys(header, token) })
    expect(await answerTo(server, `Bearer ${await issuer.token()}`)).toBe('OK: OK')
    expect(await answerTo(server, `Bearer ${await issuer.token({}, { kid: 'other' })}`)).toBe(REFUSED)
    keys = createRemoteJWKSet(new URL('http://127.0.0.1:9/'))
    expect(await answerTo(server, `Bearer ${await issuer.token({ jti: 'new' })}`)).toBe(DOWN)
  })

  const claims: [string, () => JWTPayload][] = [
    ['a token that has expired', () => ({ exp: now() - 10 })],
    ['a token from the future', () => ({ nbf: now() + 60 })],
    ['a token without an expiry', () => ({ exp: undefined as never })],
    ['an expiry that is a text', () => ({ exp: '9999999999' as never })],
    ['another issuer', () => ({ iss: 'https://evil.example/' })],
    ['no issuer', () => ({ iss: undefined as never })],
    ['an issuer that only begins alike', () => ({ iss: `${ISSUER}evil` })],
    ['another audience', () => ({ aud: 'other' })],
    ['no audience', () => ({ aud: undefined as never })],
    ['no subject', () => ({ sub: undefined as never })],
    ['an empty subject', () => ({ sub: '' })],
    ['a subject that is no text', () => ({ sub: { toString: 'alice' } as never })],
  ]
  for (const [what, change] of claims) {
    it(what, async () => {
      await start()
      expect(await answerTo(server, `Bearer ${await issuer.token(change())}`)).toBe(REFUSED)
    })
  }

  it('algorithm none, in every spelling', async () => {
    await start()
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      for (const signature of ['', 'x']) {
        const token = `${part({ alg, kid: 'key-1' })}.${part(usual())}.${signature}`
        expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
      }
    }
  })

  it("key confusion: an HMAC made with the issuer's public key", async () => {
    await start()
    const { publicKey } = issuer.keys[0]!
    const secrets = [await exportSPKI(publicKey), JSON.stringify(await exportJWK(publicKey)), '']
    for (const alg of ['HS256', 'HS384', 'HS512']) {
      for (const secret of secrets) {
        const content = `${part({ alg, kid: 'key-1' })}.${part(usual())}`
        const digest = createHmac(alg.replace('HS', 'sha'), secret).update(content).digest('base64url')
        expect(await answerTo(server, `Bearer ${content}.${digest}`)).toBe(REFUSED)
      }
    }
  })

  it('a symmetric key in the published set', async () => {
    const k = base64url.encode('0'.repeat(32))
    const jwks = { keys: [{ kty: 'oct', k, kid: 'shared', alg: 'HS256' }] }
    await start({ jwks })
    const token = await new SignJWT(usual())
      .setProtectedHeader({ alg: 'HS256', kid: 'shared' })
      .sign(base64url.decode(k))
    expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
  })

  it('a key the token brings along', async () => {
    await start()
    const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
    const own = { kid: 'own', alg: 'RS256', publicKey, privateKey }
    const jwk = await exportJWK(publicKey)
    const before = issuer.endpoint.requests.length
    for (const header of [{ jwk }, { jku: `${issuer.endpoint.url}evil` }, { x5u: `${issuer.endpoint.url}evil` }]) {
      for (const kid of ['own', 'key-1', undefined]) {
        const token = await issuer.token({}, { ...header, kid: kid as string }, own)
        expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
      }
    }
    expect(issuer.endpoint.requests.slice(before).map(({ path }) => path)).not.toContain('/evil')
  })

  it('a signature by another key, under a known key id', async () => {
    await start()
    const { publicKey, privateKey } = await generateKeyPair('RS256')
    const forged = { ...issuer.keys[0]!, publicKey, privateKey }
    expect(await answerTo(server, `Bearer ${await issuer.token({}, {}, forged)}`)).toBe(REFUSED)
  })

  it('a changed payload, and a signature cut short', async () => {
    await start()
    const [header, , signature = ''] = (await issuer.token()).split('.')
    expect(await answerTo(server, `Bearer ${header}.${part({ ...usual(), sub: 'admin' })}.${signature}`)).toBe(REFUSED)
    expect(await answerTo(server, `Bearer ${header}.${part(usual())}.${signature.slice(4)}`)).toBe(REFUSED)
  })

  it('an algorithm that is not on the list', async () => {
    await start({ algorithms: ['ES256'] })
    expect(await answerTo(server, `Bearer ${await issuer.token()}`)).toBe(REFUSED)
  })

  it('RSA keys too short to be safe', async () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    await start({ jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'short', alg: 'RS256' }] } })
    const { createSign } = await import('node:crypto')
    const content = `${part({ alg: 'RS256', kid: 'short' })}.${part(usual())}`
    const signature = createSign('sha256').update(content).sign(privateKey, 'base64url')
    expect(await answerTo(server, `Bearer ${content}.${signature}`)).toBe(REFUSED)
  })

  it('critical headers that are not understood', async () => {
    await start()
    const { privateKey } = issuer.keys[0]!
    const header = { alg: 'RS256', kid: 'key-1', crit: ['exp'], exp: 1 }
    const token = await new SignJWT(usual())
      .setProtectedHeader(header as never)
      .sign(privateKey, { crit: { exp: true } })
    expect(await answerTo(server, `Bearer ${token}`)).toBe(REFUSED)
  })

  it('another type of token, when one is asked for', async () => {
    await start({ typ: 'at+jwt' })
    expect(await answerTo(server, `Bearer ${await issuer.token()}`)).toBe(REFUSED)
    expect(await answerTo(server, `Bearer ${await issuer.token({}, { typ: 'at+jwt' })}`)).toBe('OK: OK')
  })

  it('tokens that are too old, or lack a claim, when asked to', async () => {
    await start({ maxTokenAgeMs: 60_000, requiredClaims: ['tenant'] })
    expect(await answerTo(server, `Bearer ${await issuer.token({ tenant: 'a', iat: now() - 120 })}`)).toBe(REFUSED)
    expect(await answerTo(server, `Bearer ${await issuer.token()}`)).toBe(REFUSED)
    expect(await answerTo(server, `Bearer ${await issuer.token({ tenant: 'a' })}`)).toBe('OK: OK')
  })

  it('what is no token at all', async () => {
    await start()
    const [header, payload, signature] = (await issuer.token()).split('.')
    const rubbish = [
      ...['a', 'a.b', 'a.b.c', 'a.b.c.d', 'a.b.c.d.e', '.', '..', '....', `${header}..${signature}`],
      ...[`${header}.${payload}.`, `.${payload}.${signature}`, `${header}.${payload}.${signature}.`],
      ...[`${part('text')}.${payload}.${signature}`, `${part(null)}.${payload}.${signature}`],
      ...[`${part({ alg: 'RS256', kid: {} })}.${payload}.${signature}`, `${part([])}.${payload}.${signature}`],
    ]
    for (const token of rubbish) expect([token, await answerTo(server, `Bearer ${token}`)]).toEqual([token, REFUSED])
  })
})

describe('jwt: wrong options', () => {
  const right: JwtOptions = { jwks: 'https://id.example.com/keys', issuer: ISSUER, audience: AUDIENCE }
  const wrong: [string, object, RegExp][] = [
    ['no keys', { jwks: undefined }, /option "jwks" must be a URL, a key set or a function/],
    ['a set that is none', { jwks: {} }, /a key set must be an object with a list "keys"/],
    ['an address that is none', { jwks: '/keys' }, /option "jwks" must be an absolute URL/],
    ['keys over plaintext', { jwks: 'http://id.example.com/keys' }, /must be an https URL/],
    ['a name that only looks local', { jwks: 'http://127.0.0.1.evil.example/keys' }, /must be an https URL/],
    ['no issuer', { issuer: undefined }, /option "issuer"/],
    ['no audience', { audience: undefined }, /option "audience"/],
    ['an empty list', { audience: [] }, /option "audience"/],
    ['algorithm none', { algorithms: ['none'] }, /option "algorithms\[0\]" must be the name of an asymmetric/],
    ['a symmetric algorithm', { algorithms: ['RS256', 'HS256'] }, /asymmetric/],
    ['a negative tolerance', { clockToleranceMs: -1 }, /option "clockToleranceMs"/],
    ['a misspelt option', { aud: 'x' }, /unknown option "aud"/],
    ['a misspelt option of fetching', { remote: { timeout: 1 } }, /option "remote": unknown option "timeout"/],
    ['a bound that is none', { remote: { maxBytes: 0 } }, /option "remote.maxBytes"/],
  ]
  for (const [what, change, message] of wrong) {
    it(`${what}: throws at once`, () => {
      expect(() => jwt({ ...right, ...change })).toThrow(TypeError)
      expect(() => jwt({ ...right, ...change })).toThrow(message)
    })
  }
  it('http to another machine is an explicit choice', () => {
    expect(() => jwt({ ...right, jwks: 'http://id.internal/keys', allowInsecure: true })).not.toThrow()
  })
})
