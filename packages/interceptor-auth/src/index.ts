export { type ApiKey, type ApiKeysOptions, apiKeys, hashApiKey } from './api-keys.ts'
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
} from './authenticator.ts'
export { type Malformed, malformed } from './authorization-header.ts'
export type { Backoff } from './backoff.ts'
export { clientAuth } from './client-auth.ts'
export type { ClientAuthOptions } from './client-auth-options.ts'
export type { FailureLimitOptions } from './failure-limit.ts'
export { type CertificateIdentity, type MtlsOptions, mtls } from './mtls.ts'
export type { Refusal } from './outcome.ts'
export { type Policy, type PolicyRule, type PolicyTable, policy, type Texts } from './policy.ts'
export { type Principal, principalVar } from './principal.ts'
export { serverAuth } from './server-auth.ts'
export type { Authorize, Decision, ServerAuthOptions } from './server-auth-options.ts'
export type { Token, TokenProvider, TokenRequest } from './token.ts'
export type { CacheOptions } from './verdict-cache.ts'
export { InvalidTokenError, VerifierUnavailableError } from './verifier-errors.ts'
