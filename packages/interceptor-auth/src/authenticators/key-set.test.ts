import { patterns, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  exportJWK,
  generateKeyPair,
  type JSONWebKeySet,
  SignJWT,
} from 'jose'
import { afterEach, describe, expect, it } from 'vitest'
import { answerTo, carrying, clientOf, REFUSED, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { startEndpoint } from '../../test/http-endpoint.ts'
import { AUDIENCE, ISSUER } from '../../test/issuer.ts'
import { type JwtOptions, jwt } from '../jwt.ts'

let server: TestServer
afterEach(stopAuthServers)

interface Key {
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}
const newKey = (): Promise<Key> => generateKeyPair('ES256', { extractable: true })
const newKeys = (n: number): Promise<Key[]> => Promise.all(Array.from({ length: n }, newKey))

const setOf = async (keys: readonly Key[], kid?: string): Promise<JSONWebKeySet> => ({
  keys: await Promise.all(
    keys.map(async ({ publicKey }) => ({ ...(await exportJWK(publicKey)), ...(kid !== undefined && { kid }) })),
  ),
})

function tokenBy({ privateKey }: Key, kid?: string, claims: object = {}): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', exp: now + 3600, ...claims })
    .setProtectedHeader({ alg: 'ES256', ...(kid !== undefined && { kid }) })
    .sign(privateKey)
}

const start = async (jwks: JwtOptions['jwks']) => {
  server = await startAuthServer({ verify: jwt({ jwks, issuer: ISSUER, audience: AUDIENCE }) })
}

describe('a token that several keys of the set match', () => {
  const kids: [string, string | undefined][] = [
    ['none has an id', undefined],
    ['all have the same id', 'shared'],
  ]
  for (const [what, kid] of kids) {
    it.each(patterns)(`is verified with each of them: ${what}, %s`, async (pattern) => {
      const keys = await newKeys(3)
      await start(await setOf(keys, kid))
      for (const key of keys) {
        const rpc = await runRpc(clientOf(server), pattern, carrying(`Bearer ${await tokenBy(key, kid)}`))
        expect(rpc.status?.code).toBe(0)
      }
      const forged = await runRpc(clientOf(server), pattern, carrying(`Bearer ${await tokenBy(await newKey(), kid)}`))
      expect(forged.status?.code).toBe(16)
    })

    it(`is checked in everything else: ${what}`, async () => {
      const keys = await newKeys(3)
      await start(await setOf(keys, kid))
      for (const claims of [{ aud: 'other' }, { iss: 'https://evil/' }, { exp: 1 }, { sub: '' }]) {
        expect(await answerTo(server, `Bearer ${await tokenBy(keys[2] as Key, kid, claims)}`)).toBe(REFUSED)
      }
    })

    it(`also when the set is fetched, or found by a function of jose's, or one key is broken: ${what}`, async () => {
      const keys = await newKeys(2)
      const set = await setOf(keys, kid)
      const broken = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', ...(kid !== undefined && { kid }) }
      const published = { keys: [broken, ...set.keys] }
      const endpoint = await startEndpoint(() => published)
      try {
        for (const jwks of [endpoint.url, createLocalJWKSet(published), published]) {
          await start(jwks)
          for (const key of keys) {
            expect(await answerTo(server, `Bearer ${await tokenBy(key, kid)}`)).toBe('OK: OK')
          }
        }
      } finally {
        await endpoint.close()
      }
    })
  }

  it('is tried with sixteen of them at most: a forged token costs no more', async () => {
    const keys = await newKeys(17)
    let given = 0
    await start(async () => {
      throw Object.assign(new errors.JWKSMultipleMatchingKeys(), {
        async *[Symbol.asyncIterator]() {
          for (const { publicKey } of keys) {
            given++
            yield publicKey
          }
        },
      })
    })
    expect(await answerTo(server, `Bearer ${await tokenBy(keys[15] as Key)}`)).toBe('OK: OK')
    given = 0
    expect(await answerTo(server, `Bearer ${await tokenBy(keys[16] as Key)}`)).toBe(REFUSED)
    expect(given).toBe(16)
  })
})

describe('what jwt says of a token it refuses', () => {
  it('quotes nothing of it, in texts and causes', async () => {
    const [key] = (await newKeys(1)) as [Key]
    const verify = jwt({ jwks: await setOf([key]), issuer: ISSUER, audience: AUDIENCE })
    const part = (text: string) => Buffer.from(text).toString('base64url')
    const [header, , signature] = (await tokenBy(key)).split('.')
    const tokens = [
      await tokenBy(key, undefined, { aud: 'hunter2' }),
      await tokenBy(key, undefined, { exp: 1, note: 'hunter2' }),
      `${part('hunter2')}.${part('{}')}.${signature}`,
      `${part('{"alg":"ES256","crit":["hunter2"],"hunter2":1}')}.${part('{}')}.${signature}`,
      `${part('{"alg":"hunter2"}')}.${part('{}')}.${signature}`,
      `${header}.${part('hunter2')}.${signature}`,
      'hunter2',
    ]
    for (const token of tokens) {
      const error: unknown = await verify(token).then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).toMatchObject({ name: 'InvalidTokenError' })
      const { message, stack, cause } = error as Error
      expect(cause).toBeUndefined()
      expect(`${message} ${stack} ${JSON.stringify(error)}`).not.toContain('hunter2')
    }
  })
})
