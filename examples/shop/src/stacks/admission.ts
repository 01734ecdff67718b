import type { Interceptor, ServerCall } from '@grpc-stack/grpc-core'
import { serverAuth } from '@grpc-stack/interceptor-auth'
import { jwt } from '@grpc-stack/interceptor-auth/jwt'
import type { JSONWebKeySet } from 'jose'
import { AUDIENCE, ISSUER, type Role } from '../tokens/issuer.ts'

/** Lets in callers with a token of the shop's and one of these roles. */
export type Admit = (...roles: readonly Role[]) => Interceptor<ServerCall>

export function admission(keys: JSONWebKeySet): Admit {
  // Everything runs on one machine, so there is one clock and nothing to tolerate.
  const verify = jwt({ jwks: keys, issuer: ISSUER, audience: AUDIENCE, clockToleranceMs: 0 })
  return (...roles) =>
    serverAuth({
      verify,
      authorize: ({ claims }) => roles.some((role) => role === claims?.role),
    })
}
