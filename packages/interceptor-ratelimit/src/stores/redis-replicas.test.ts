// Charges that replicas have before a call goes on: a master, its replica, and a node of a cluster without any.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { createClient, createClientPool, createCluster } from 'redis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { RedisServer, redisMissing } from '../../test/redis-server.ts'
import { quotaOf } from '../quota/gcra.ts'
import type { RedisClient } from './redis-client.ts'
import { redisStore } from './redis-store.ts'
import type { Limiter } from './store.ts'

let master: RedisServer
let replica: RedisServer
let node: RedisServer
let admin: Redis

beforeAll(async () => {
  if (redisMissing !== undefined) return
  master = await RedisServer.start('--repl-diskless-sync-delay', '0')
  replica = await RedisServer.start('--replicaof', '127.0.0.1', String(master.port))
  node = await RedisServer.start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1')
  admin = new Redis(node.port)
  await admin.cluster('ADDSLOTSRANGE', 0, 16_383)
  while (!String(await admin.cluster('INFO')).includes('cluster_state:ok')) await sleep(10)
})

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

afterAll(async () => {
  admin?.disconnect()
  for (const server of [master, replica, node]) await server?.[Symbol.asyncDispose]()
})

const quota = quotaOf(1, 86_400_000, 20) ?? expect.unreachable()
const strict = (client: RedisClient, timeoutMs: number): Limiter =>
  redisStore(client, { waitReplicas: { count: 1, timeoutMs } }).open([{ name: 'day', quota, sameKeyAsFirst: true }])

type Connect = (server: RedisServer) => Promise<{ client: RedisClient; close(): unknown }>

const single: [string, Connect][] = [
  [
    'ioredis',
    async ({ port }) => {
      const client = new Redis(port)
      return { client, close: () => client.disconnect() }
    },
  ],
  [
    'node-redis',
    async ({ url }) => {
      const client = await createClient({ url }).connect()
      return { client, close: () => client.destroy() }
    },
  ],
]

const clusters: [string, Connect][] = [
  [
    'ioredis',
    async ({ port }) => {
      const client = new Cluster([{ host: '127.0.0.1', port }])
      return { client, close: () => client.disconnect() }
    },
  ],
  [
    'node-redis',
    async ({ url }) => {
      const client = await createCluster({ rootNodes: [{ url }] }).connect()
      return { client, close: () => client.destroy() }
    },
  ],
]

describe.each(single)('with %s', (_name, connect) => {
  it('a call goes on once the replica has its charge, and not without', async () => {
    const { client, close } = await connect(master)
    const direct = new Redis(replica.port)
    try {
      const limiter = strict(client, 5000)
      const caller = randomUUID()
      for (let i = 1; i <= 5; i++) {
        expect(await limiter.take([caller], [1])).toMatchObject({ admitted: true })
        const [, , debt] = (await direct.get(`ratelimit:1:{${caller}}`))?.split(' ') ?? []
        expect(Number(debt)).toBeGreaterThan((i - 0.5) * quota.unitsPerCall)
      }
      replica.hang()
      try {
        await expect(strict(client, 50).take([caller], [1])).rejects.toThrow(
          '0 of 1 replicas have the charge after 50 ms',
        )
        // Nothing was written, so there is nothing to wait for.
        expect(await strict(client, 50).take([caller], [20])).toMatchObject({ admitted: false })
      } finally {
        replica.resume()
      }
    } finally {
      direct.disconnect()
      close()
    }
  }, 30_000)
})

describe.each(clusters)('with %s on a cluster', (_name, connect) => {
  it('asks the node that was written to', async () => {
    const { client, close } = await connect(node)
    try {
      await expect(strict(client, 10).take([randomUUID()], [1])).rejects.toThrow('0 of 1 replicas')
    } finally {
      close()
    }
  })
})

describe('option "waitReplicas"', () => {
  it.each<[string, () => RedisClient]>([
    ['a pool', () => createClientPool({ url: 'redis://127.0.0.1:1' })],
    ['a client without other commands', () => ({ evalsha: async () => 0, eval: async () => 0 })],
  ])('refuses %s', (_what, client) => {
    expect(() => redisStore(client(), { waitReplicas: { count: 1, timeoutMs: 10 } })).toThrow(
      'redisStore: option "waitReplicas" needs a client with one connection',
    )
  })

  it.each([
    [{ count: 0, timeoutMs: 10 }],
    [{ count: 1 }],
    [{ count: 1, timeoutMs: 0.5 }],
    [{ count: 1, timeoutMs: 10, replicas: 1 }],
    [1],
    [undefined],
  ])('refuses %j', (waitReplicas) => {
    const client = { evalsha: async () => 0, eval: async () => 0 }
    expect(() => redisStore(client, { waitReplicas } as object)).toThrow('redisStore: option "waitReplicas"')
  })
})
