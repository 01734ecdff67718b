export { type ApiKey, type ApiKeysOptions, apiKeys, hashApiKey } from './authenticators/api-keys.ts'
export { type CertificateIdentity, type MtlsOptions, mtls } from './authenticators/mtls.ts'
export { clientAuth } from './client/client-auth.ts'
export type { ClientAuthOptions } from './client/client-auth-options.ts'
export type { Token, TokenProvider, TokenRequest } from './client/token.ts'
export {
  type Authenticator,
  type BearerOptions,
  bearer,
  type CallAuthenticator,
  type Shareable,
  type ShareableAuthenticator,
  shareable,
  type Verdict,
  type Verify,
} from './contract/authenticator.ts'
export { type Malformed, malformed } from './contract/authorization-header.ts'
export { type Principal, principalVar } from './contract/principal.ts'
export { InvalidTokenError, VerifierUnavailableError } from './contract/verifier-errors.ts'
export type { Backoff } from './identity-service/backoff.ts'
export type { Authorize } from './policy/authorize.ts'
export { type Policy, type PolicyRule, type PolicyTable, policy, type Texts } from './policy/policy.ts'
export { serverAuth } from './server/server-auth.ts'
export type { Decision, ServerAuthOptions } from './server/server-auth-options.ts'
export type { FailureLimitOptions } from './verification/failure-limit.ts'
export type { Refusal } from './verification/outcome.ts'
export type { CacheOptions } from './verification/verdict-cache.ts'
