import { importJWK, type JSONWebKeySet, SignJWT } from 'jose'

/** A key pair of this benchmark's own; it opens nothing. Both processes of a pair need the same one. */
const key = {
  kty: 'OKP',
  crv: 'Ed25519',
  d: 'StCtyyGLPAok5tF9BeHQgvHxMhImT8o1oVs28bxD5Hk',
  x: 'j23C1MYsPYLKa4klA8yBgV-b0rorkX7SdSpoW94di40',
}

export const ISSUER = 'https://issuer.example'
export const AUDIENCE = 'bench'
export const jwks: JSONWebKeySet = { keys: [{ kty: key.kty, crv: key.crv, x: key.x, kid: 'bench', alg: 'EdDSA' }] }

export const token: string = await new SignJWT({})
  .setProtectedHeader({ alg: 'EdDSA', kid: 'bench' })
  .setSubject('bench-client')
  .setIssuer(ISSUER)
  .setAudience(AUDIENCE)
  .setIssuedAt()
  .setExpirationTime('8h')
  .sign(await importJWK(key, 'EdDSA'))

export const WRONG_TOKEN: string = `${token.slice(0, -8)}AAAAAAAA`
