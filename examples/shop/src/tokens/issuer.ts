import type { Token } from '@grpc-stack/interceptor-auth'
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose'

export const ISSUER = 'shop-login'
export const AUDIENCE = 'shop'

export type Role = 'customer' | 'staff' | 'operator'

/** Where customers and staff log in: hands out tokens that the services can verify with the public keys alone. */
export interface Issuer {
  readonly publicKeys: JSONWebKeySet
  /** How long tokens issued from now on are valid. */
  lifetimeMs: number
  /** How many were issued so far. */
  readonly issued: number
  /** How many of them to this subject. */
  issuedTo(subject: string): number
  issue(subject: string, role: Role): Promise<Token>
}

export async function createIssuer(lifetimeMs = 600_000): Promise<Issuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const key = { ...(await exportJWK(publicKey)), kid: 'shop-1', alg: 'ES256', use: 'sig' }
  let issued = 0
  const bySubject = new Map<string, number>()
  const issuer: Issuer = {
    publicKeys: { keys: [key] },
    lifetimeMs,
    get issued() {
      return issued
    },
    issuedTo: (subject) => bySubject.get(subject) ?? 0,
    async issue(subject, role) {
      issued++
      bySubject.set(subject, issuer.issuedTo(subject) + 1)
      const expiresAt = Date.now() + issuer.lifetimeMs
      const token = await new SignJWT({ role })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid })
        .setSubject(subject)
        .setIssuer(ISSUER)
        .setAudience(AUDIENCE)
        .setIssuedAt()
        .setExpirationTime(Math.floor(expiresAt / 1000))
        .sign(privateKey)
      // Whole seconds, as the token says.
      return { token, expiresAt: Math.floor(expiresAt / 1000) * 1000 }
    },
  }
  return issuer
}
