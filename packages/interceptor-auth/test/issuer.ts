import {
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  type JSONWebKeySet,
  type JWTHeaderParameters,
  type JWTPayload,
  SignJWT,
} from 'jose'
import { type Answer, type HttpEndpoint, startEndpoint } from './http-endpoint.ts'

export const ISSUER = 'https://id.example.com/'
export const AUDIENCE = 'shop'

interface IssuerKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: CryptoKey
  readonly publicKey: CryptoKey
}

/** An identity provider: signs tokens, and serves its keys over HTTP. */
export interface Issuer {
  readonly endpoint: HttpEndpoint
  readonly keys: IssuerKey[]
  /** Adds a key, which signs from now on. */
  rotate(alg?: string): Promise<IssuerKey>
  /** The set as it is published now. */
  jwks(): Promise<JSONWebKeySet>
  /** A token by the latest key; what is given replaces the usual claims, undefined removes one. */
  token(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>, key?: IssuerKey): Promise<string>
  readonly publish: Answer
}

export async function startIssuer(alg = 'ES256'): Promise<Issuer> {
  const keys: IssuerKey[] = []
  const issuer: Omit<Issuer, 'endpoint'> = {
    keys,
    rotate: async (algorithm = alg) => {
      const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true })
      const key = { kid: `key-${keys.length + 1}`, alg: algorithm, publicKey, privateKey }
      keys.push(key)
      return key
    },
    jwks: async () => ({
      keys: await Promise.all(
        keys.map(async ({ kid, alg, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' })),
      ),
    }),
    token: async (claims = {}, header = {}, key = keys.at(-1)) => {
      if (key === undefined) throw new Error('the issuer has no key')
      const now = Math.floor(Date.now() / 1000)
      const usual: JWTPayload = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 3600 }
      return new SignJWT({ ...usual, ...claims })
        .setProtectedHeader({ alg: key.alg, kid: key.kid, ...header })
        .sign(key.privateKey)
    },
    publish: () => issuer.jwks(),
  }
  await issuer.rotate()
  return { ...issuer, endpoint: await startEndpoint(issuer.publish) }
}
