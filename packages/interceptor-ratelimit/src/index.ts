export type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'
export {
  type ConcurrencyEvents,
  type ConcurrencyLimitInterceptor,
  type ConcurrencyLimitOptions,
  type ConcurrencyState,
  concurrencyLimit,
} from './concurrency/concurrency-limit.ts'
export {
  type AdaptiveLimit,
  type AimdOptions,
  aimdLimit,
  type ConcurrencySample,
  type GradientOptions,
  gradientLimit,
} from './concurrency/concurrency-policy.ts'
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
} from './keys/keys.ts'
export type { StoreCounters } from './limit/guarded-limiter.ts'
export type { LeaseOptions } from './limit/leases.ts'
export type { LimitOptions } from './limit/limit-options.ts'
export type { PerMessageOptions } from './limit/message-limit.ts'
export {
  type RateLimitCounters,
  type RateLimitEvents,
  type RateLimitInterceptor,
  type RefusedEvent,
  rateLimit,
} from './limit/rate-limit.ts'
export type { RateLimitOptions } from './limit/rate-limit-options.ts'
export type { StoreState } from './limit/store-health.ts'
export type { StorePartitionState } from './limit/store-partition.ts'
export type { Quota } from './quota/gcra.ts'
export type { QuotaOptions } from './quota/quota-options.ts'
export { type MemoryStore, type MemoryStoreOptions, memoryStore } from './stores/memory-store.ts'
export type { Decision, Limiter, LimitState, Store, StoredLimit, SyncLimiter } from './stores/store.ts'
export type { AdaptiveThrottleOptions, AdaptiveThrottleState } from './throttle/adaptive-throttle.ts'
export type { PacingOptions } from './throttle/pacer.ts'
export {
  type AdaptiveThrottleInterceptor,
  type PacingInterceptor,
  type ThrottleOptions,
  throttle,
} from './throttle/throttle.ts'
