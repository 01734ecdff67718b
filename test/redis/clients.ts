import type { RedisClient } from '@grpc-stack/interceptor-ratelimit/redis'
import type { RedisCluster } from '../../scripts/redis/cluster.mjs'
import type { WatchedRedis } from '../../scripts/redis/sentinel.mjs'

/** The libraries, each in the versions that people run. */
export const CLIENTS = ['ioredis 5', 'ioredis 6', 'node-redis 5', 'node-redis 6'] as const

export type ClientName = (typeof CLIENTS)[number]

/** A client of a library, with the library's own defaults. */
export interface Connection {
  readonly client: RedisClient
  close(): unknown
}

/** Names that the root package.json gives to older versions. What these tests use of them has the types of the newer ones. */
const ioredis = (name: ClientName): Promise<typeof import('ioredis')> =>
  import(name === 'ioredis 5' ? 'ioredis-5' : 'ioredis')
const nodeRedis = (name: ClientName): Promise<typeof import('redis')> =>
  import(name === 'node-redis 5' ? 'redis-5' : 'redis')

/** Connects to a cluster. */
export async function clusterClient(name: ClientName, { nodes, urls }: RedisCluster): Promise<Connection> {
  if (name.startsWith('ioredis')) {
    const { Cluster } = await ioredis(name)
    return connection(new Cluster(nodes.map(({ host, port }) => ({ host, port }))))
  }
  const { createCluster } = await nodeRedis(name)
  return connection(await createCluster({ rootNodes: urls.map((url) => ({ url })) }).connect())
}

/** Connects to the master that Sentinels name. */
export async function sentinelClient(name: ClientName, { sentinels, name: master }: WatchedRedis): Promise<Connection> {
  const addresses = sentinels.map(({ host, port }) => ({ host, port }))
  if (name.startsWith('ioredis')) {
    const { Redis } = await ioredis(name)
    return connection(new Redis({ sentinels: addresses, name: master }))
  }
  const { createSentinel } = await nodeRedis(name)
  return connection(await createSentinel({ name: master, sentinelRootNodes: addresses }).connect())
}

/** Connects through TLS, believing only certificates that a known authority signed. */
export async function tlsClient(name: ClientName, port: number): Promise<Connection> {
  if (name.startsWith('ioredis')) {
    const { Redis } = await ioredis(name)
    return connection(new Redis({ port, tls: {} }))
  }
  const { createClient } = await nodeRedis(name)
  const client = createClient({ url: `rediss://127.0.0.1:${port}` })
  // It goes on trying.
  void client.connect().catch(() => undefined)
  return connection(client)
}

interface Closable {
  on(event: 'error', listener: () => void): unknown
  disconnect?(): unknown
  destroy?(): unknown
}

function connection(client: RedisClient & Closable): Connection {
  // These tests break connections on purpose. The limiter tells what came of it.
  client.on('error', () => undefined)
  return { client, close: () => (client.destroy === undefined ? client.disconnect?.() : client.destroy()) }
}
