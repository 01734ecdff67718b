export type { IoredisClient, NodeRedisClient, RedisClient } from './stores/redis-client.ts'
export type { WaitReplicas } from './stores/redis-replicas.ts'
export { type RedisStoreOptions, redisStore } from './stores/redis-store.ts'
