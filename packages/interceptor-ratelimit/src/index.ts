export type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'
export type { AdaptiveThrottleOptions, AdaptiveThrottleState } from './adaptive-throttle.ts'
export {
  type ConcurrencyEvents,
  type ConcurrencyLimitInterceptor,
  type ConcurrencyLimitOptions,
  type ConcurrencyState,
  concurrencyLimit,
} from './concurrency-limit.ts'
export {
  type AdaptiveLimit,
  type AimdOptions,
  aimdLimit,
  type ConcurrencySample,
  type GradientOptions,
  gradientLimit,
} from './concurrency-policy.ts'
export type { Quota } from './gcra.ts'
export {
  type ByMetadataOptions,
  type ByPeerOptions,
  byEach,
  byMetadata,
  byMethod,
  byPeer,
  byPrincipal,
  type FallbackOptions,
  type KeyFunction,
  peerAddress,
  unlimited,
} from './keys.ts'
export type { LimitOptions, QuotaOptions } from './limit-options.ts'
export { type MemoryStore, type MemoryStoreOptions, memoryStore } from './memory-store.ts'
export type { PerMessageOptions } from './message-limit.ts'
export type { PacingOptions } from './pacer.ts'
export {
  type RateLimitCounters,
  type RateLimitEvents,
  type RateLimitInterceptor,
  type RefusedEvent,
  rateLimit,
} from './rate-limit.ts'
export type { RateLimitOptions } from './rate-limit-options.ts'
export type { Decision, Limiter, LimitState, Store, StoredLimit, SyncLimiter } from './store.ts'
export {
  type AdaptiveThrottleInterceptor,
  type PacingInterceptor,
  type ThrottleOptions,
  throttle,
} from './throttle.ts'
