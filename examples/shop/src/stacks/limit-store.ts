import type { RateLimitOptions } from '@grpc-stack/interceptor-ratelimit'

/** Where the limiter counts. */
export interface LimitStore {
  readonly name: 'memory' | 'redis'
  readonly options: Pick<RateLimitOptions, 'store' | 'onStoreError'>
  close(): void
}

/** In Redis, shared by every process that does the same, where `REDIS_URL` names one; else in this process. */
export async function openLimitStore(url = process.env.REDIS_URL): Promise<LimitStore> {
  if (!url) return { name: 'memory', options: {}, close() {} }
  // Loaded only where there is a Redis.
  const { Redis } = await import('ioredis')
  const { redisStore } = await import('@grpc-stack/interceptor-ratelimit/redis')
  // A command that cannot be sent must fail at once: the limiter has an answer for that, a waiting customer has not.
  const redis = new Redis(url, { enableOfflineQueue: false, maxRetriesPerRequest: 1 })
  return {
    name: 'redis',
    // Without Redis each process limits on its own.
    options: { store: redisStore(redis, { prefix: 'shop:' }), onStoreError: 'insurance' },
    close: () => redis.disconnect(),
  }
}
