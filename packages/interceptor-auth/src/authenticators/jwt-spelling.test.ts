import { patterns, runRpc, type TestServer } from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { answerTo, carrying, clientOf, REFUSED, startAuthServer, stopAuthServers } from '../../test/auth-server.ts'
import { AUDIENCE, ISSUER, type Issuer, startIssuer } from '../../test/issuer.ts'
import { jwt } from '../jwt.ts'
import { isCanonical } from './jwt-spelling.ts'

let issuer: Issuer
let server: TestServer
beforeAll(async () => {
  issuer = await startIssuer('RS256')
})
afterAll(() => issuer.endpoint.close())
afterEach(stopAuthServers)

/** The last character of a part, changed in the bits that decode to nothing. */
function withOtherTrailingBits(part: string): string | undefined {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(part.at(-1) ?? '')
  return part.length % 4 === 0 ? undefined : part.slice(0, -1) + alphabet[last ^ 1]
}

/** A token whose parts all have bits that decode to nothing, and whose signature has both special characters. */
async function tokenWithAllSpellings(): Promise<[string, string, string]> {
  for (let n = 0; ; n++) {
    const parts = (await issuer.token({ jti: 'x'.repeat(n % 3), n })).split('.') as [string, string, string]
    if (parts[1].length % 4 !== 0 && /-/.test(parts[2]) && /_/.test(parts[2])) return parts
  }
}

describe('jwt takes a token in one spelling only', () => {
  for (const stock of [false, true]) {
    it.each(patterns)(`on ${stock ? 'a stock server' : 'a server'}, for all patterns: %s`, async (pattern) => {
      const verify = jwt({ jwks: await issuer.jwks(), issuer: ISSUER, audience: AUDIENCE })
      server = await startAuthServer({ verify }, { stock })
      const token = (await tokenWithAllSpellings()).join('.')
      const codeOf = async (text: string) =>
        (await runRpc(clientOf(server), pattern, carrying(`Bearer ${text}`))).status?.code
      expect([await codeOf(token), await codeOf(`${token}==`), await codeOf(`${token}=`)]).toEqual([0, 16, 16])
    })
  }

  const spellings: [string, (part: string) => string | undefined][] = [
    ['padded', (part) => `${part}=`],
    ['padded twice', (part) => `${part}==`],
    ['with the other trailing bits', withOtherTrailingBits],
    ['in the other alphabet', (part) => part.replaceAll('-', '+').replaceAll('_', '/')],
    ['percent-encoded', (part) => part.replaceAll('-', '%2D')],
    ['with a character after it', (part) => `${part}A`],
  ]
  for (const [what, respell] of spellings) {
    for (const n of [0, 1, 2]) {
      it(`part ${n + 1} ${what} is refused, and asked of the verifier itself`, async () => {
        const verify = jwt({ jwks: await issuer.jwks(), issuer: ISSUER, audience: AUDIENCE })
        server = await startAuthServer({ verify })
        const parts = await tokenWithAllSpellings()
        expect(await answerTo(server, `Bearer ${parts.join('.')}`)).toBe('OK: OK')
        const other = [...parts]
        other[n] = respell(parts[n] as string) ?? ''
        if (other.join('.') === parts.join('.')) return // this part has no such spelling
        expect(await answerTo(server, `Bearer ${other.join('.')}`)).toBe(REFUSED)
        await expect(verify(other.join('.'))).rejects.toThrow(/^jwt: /)
        await expect(verify(` ${parts.join('.')}`)).rejects.toThrow(/^jwt: /)
        await expect(verify(`${parts.join('.')}\n`)).rejects.toThrow(/^jwt: /)
      })
    }
  }

  it('isCanonical: exactly what base64url without padding writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
        const part = Buffer.from(bytes).toString('base64url')
        expect(isCanonical(`${part}.${part}.${part}`)).toBe(true)
        const other = withOtherTrailingBits(part)
        if (other !== undefined) expect(isCanonical(`${part}.${part}.${other}`)).toBe(false)
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('A', 'B', 'Q', '_', '-', '=', '+'), maxLength: 8 }), (part) => {
        const written = part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part
        expect(isCanonical(`AA.${part}.AA`)).toBe(written)
      }),
    )
  })
})
