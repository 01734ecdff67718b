export type { Fetch } from './bounded-fetch.ts'
export { type JwtOptions, jwt } from './jwt-verifier.ts'
export type { RemoteKeySetOptions } from './remote-key-set.ts'
