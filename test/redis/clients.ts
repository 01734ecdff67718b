import type { RedisClient } from '@grpc-stack/interceptor-ratelimit/redis'
import { Cluster, Redis } from 'ioredis'
import { Cluster as Cluster5, Redis as Redis5 } from 'ioredis-5'
import { createCluster, createSentinel } from 'redis'
import { createCluster as createCluster5, createSentinel as createSentinel5 } from 'redis-5'
import type { RedisCluster, WatchedRedis } from '../../scripts/redis-nodes.mjs'

/** A client of a library, with the library's own defaults. */
export interface Connection {
  readonly client: RedisClient
  close(): unknown
}

/** The libraries, each in the versions that people run. */
export const CLIENTS = ['ioredis 5', 'ioredis 6', 'node-redis 5', 'node-redis 6'] as const

export type ClientName = (typeof CLIENTS)[number]

/** Connects to a cluster. */
export async function clusterClient(name: ClientName, { nodes, urls }: RedisCluster): Promise<Connection> {
  const addresses = nodes.map(({ host, port }) => ({ host, port }))
  const rootNodes = urls.map((url) => ({ url }))
  switch (name) {
    case 'ioredis 5':
      return connection(new Cluster5(addresses))
    case 'ioredis 6':
      return connection(new Cluster(addresses))
    case 'node-redis 5':
      return connection(await createCluster5({ rootNodes }).connect())
    case 'node-redis 6':
      return connection(await createCluster({ rootNodes }).connect())
  }
}

/** Connects to the master that Sentinels name. */
export async function sentinelClient(name: ClientName, { sentinels, name: master }: WatchedRedis): Promise<Connection> {
  const addresses = sentinels.map(({ host, port }) => ({ host, port }))
  const options = { name: master, sentinelRootNodes: addresses }
  switch (name) {
    case 'ioredis 5':
      return connection(new Redis5({ sentinels: addresses, name: master }))
    case 'ioredis 6':
      return connection(new Redis({ sentinels: addresses, name: master }))
    case 'node-redis 5':
      return connection(await createSentinel5(options).connect())
    case 'node-redis 6':
      return connection(await createSentinel(options).connect())
  }
}

function connection(client: RedisClient & ({ disconnect(): unknown } | { destroy(): unknown })): Connection {
  return { client, close: () => ('destroy' in client ? client.destroy() : client.disconnect()) }
}
