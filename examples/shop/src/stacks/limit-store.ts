import cluster from 'node:cluster'
import type { RateLimitOptions } from '@grpc-stack/interceptor-ratelimit'
import type { IoredisClient } from '@grpc-stack/interceptor-ratelimit/redis'

/** Where the limiter counts. */
export interface LimitStore {
  readonly name: 'memory' | 'workers' | 'redis' | 'redis cluster' | 'redis sentinel'
  readonly options: Pick<RateLimitOptions, 'store' | 'storeTimeoutMs' | 'onStoreError' | 'insuranceShare'>
  close(): void
}

/**
 * In Redis, shared by every process that does the same, where the environment names one: `REDIS_URL`, nodes of a cluster as
 * `REDIS_CLUSTER`, or a name and the Sentinels that know its master as `REDIS_SENTINELS`. In the primary of its workers where it has some
 * (`SHOP_WORKERS`), else in this process.
 */
export async function openLimitStore(): Promise<LimitStore> {
  const redis = await connect()
  if (redis === undefined) return cluster.isWorker ? await byWorkers() : { name: 'memory', options: {}, close() {} }
  const { redisStore } = await import('@grpc-stack/interceptor-ratelimit/redis')
  return {
    name: redis.name,
    // Without Redis each process limits on its own, and there is one.
    options: { store: redisStore(redis.client, { prefix: 'shop:' }), onStoreError: 'insurance', insuranceShare: 1 },
    close: () => redis.client.disconnect(),
  }
}

async function byWorkers(): Promise<LimitStore> {
  const { clusterStore } = await import('@grpc-stack/interceptor-ratelimit/cluster')
  return {
    name: 'workers',
    // Everything runs on one machine, which may be busy: more than the default of 50 ms.
    options: { store: clusterStore(), storeTimeoutMs: 1000 },
    close() {},
  }
}

/** A command that cannot be sent must fail at once: the limiter has an answer for that, a waiting customer has not. */
const AT_ONCE = { enableOfflineQueue: false, maxRetriesPerRequest: 1 }

interface Connected {
  readonly name: Exclude<LimitStore['name'], 'memory' | 'workers'>
  readonly client: IoredisClient & { disconnect(): void }
}

async function connect(): Promise<Connected | undefined> {
  const { REDIS_URL, REDIS_CLUSTER, REDIS_SENTINELS } = process.env
  if (!REDIS_URL && !REDIS_CLUSTER && !REDIS_SENTINELS) return undefined
  // Loaded only where there is a Redis.
  const { Cluster, Redis } = await import('ioredis')
  if (REDIS_CLUSTER) {
    const options = { enableOfflineQueue: false, redisOptions: { maxRetriesPerRequest: 1 } }
    return { name: 'redis cluster', client: new Cluster(addressesIn(REDIS_CLUSTER), options) }
  }
  if (REDIS_SENTINELS) {
    const [name = '', sentinels = ''] = REDIS_SENTINELS.split('@')
    const client = new Redis({ name, sentinels: addressesIn(sentinels), ...AT_ONCE })
    return { name: 'redis sentinel', client }
  }
  return { name: 'redis', client: new Redis(REDIS_URL as string, AT_ONCE) }
}

function addressesIn(text: string): { host: string; port: number }[] {
  return text.split(',').map((address) => {
    const { hostname, port } = new URL(`redis://${address}`)
    return { host: hostname, port: Number(port) }
  })
}
