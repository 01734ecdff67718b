export { type JwtOptions, jwt } from './authenticators/jwt-verifier.ts'
export type { RemoteKeySetOptions } from './authenticators/remote-key-set.ts'
export type { Fetch } from './identity-service/bounded-fetch.ts'
