import type { RateLimitOptions } from '@grpc-stack/interceptor-ratelimit'
import { redisStore } from '@grpc-stack/interceptor-ratelimit/redis'
import { Redis } from 'ioredis'

/** Where the limiter counts. */
export interface LimitStore {
  readonly name: 'memory' | 'redis'
  readonly options: Pick<RateLimitOptions, 'store' | 'onStoreError'>
  close(): void
}

/** In Redis, shared by every process that does the same, where `REDIS_URL` names one; else in this process. */
export function limitStore(url = process.env.REDIS_URL): LimitStore {
  if (!url) return { name: 'memory', options: {}, close() {} }
  // A command that cannot be sent must fail at once: the limiter has an answer for that, a waiting customer has not.
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 1 })
  return {
    name: 'redis',
    options: { store: redisStore(redis, { prefix: 'shop:' }), onStoreError: 'insurance' },
    close: () => redis.disconnect(),
  }
}
