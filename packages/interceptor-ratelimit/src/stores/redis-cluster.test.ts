// A Redis Cluster of three masters, of which one dies.
import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import { metadataOf, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { Cluster, Redis } from 'ioredis'
import { createCluster } from 'redis'
import { beforeEach, describe, expect, it } from 'vitest'
import { RedisServer, redisMissing } from '../../test/redis-server.ts'
import { byMetadata } from '../keys/keys.ts'
import { rateLimit } from '../limit/rate-limit.ts'
import type { RedisClient } from './redis-client.ts'
import { nodeOf, slotOf } from './redis-cluster.ts'
import { redisStore } from './redis-store.ts'

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

/** Three masters, without replicas: what one of them owns is gone with it. */
async function startMasters(): Promise<{ nodes: RedisServer[]; stop(): Promise<void> }> {
  const args = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--cluster-node-timeout', '500']
  const nodes: RedisServer[] = []
  for (let i = 0; i < 3; i++) nodes.push(await RedisServer.start(...args, '--cluster-require-full-coverage', 'no'))
  const admins = nodes.map(({ port }) => new Redis(port))
  try {
    for (const [i, admin] of admins.entries()) {
      await admin.cluster('ADDSLOTSRANGE', Math.ceil((i * 16_384) / 3), Math.ceil(((i + 1) * 16_384) / 3) - 1)
      await admin.cluster('SET-CONFIG-EPOCH', i + 1)
      await admin.cluster('MEET', '127.0.0.1', nodes[0]?.port ?? 0)
    }
    for (const admin of admins) {
      while (!/cluster_state:ok[\s\S]*cluster_slots_ok:16384/.test(String(await admin.cluster('INFO')))) await sleep(20)
    }
  } finally {
    for (const admin of admins) admin.disconnect()
  }
  return {
    nodes,
    stop: async () => {
      for (const node of nodes) await node[Symbol.asyncDispose]()
    },
  }
}

const clients: [string, (node: RedisServer) => Promise<{ client: RedisClient; close(): unknown }>][] = [
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
      const client = createCluster({ rootNodes: [{ url }] })
      client.on('error', () => undefined)
      await client.connect()
      return { client, close: () => client.destroy() }
    },
  ],
]

describe('slotOf', () => {
  it('is what a server says', async () => {
    await using node = await RedisServer.start('--cluster-enabled', 'yes')
    const redis = new Redis(node.port)
    try {
      for (const key of ['123456789', 'foo', 'a{b}c', 'a{}b', '{x', 'x}{y}', 'ratelimit:1:{subject=ü}', '{%7b}', '']) {
        expect(slotOf(key)).toBe(await redis.cluster('KEYSLOT', key))
      }
    } finally {
      redis.disconnect()
    }
  })
})

describe('nodeOf', () => {
  it('is a run of slots where the client does not tell', () => {
    const client = { evalsha: () => Promise.resolve(), eval: () => Promise.resolve() }
    expect(slotOf('foo')).toBe(12_182)
    expect(nodeOf(client, 'foo')).toBe('slots 12032-12287')
    expect(nodeOf({ ...client, slots: [] } as RedisClient, 'foo')).toBe('slots 12032-12287')
  })
})

describe.each(clients)('with %s, a master that died', (_name, connect) => {
  it('closes the limiter for its own keys only', async () => {
    const { nodes, stop } = await startMasters()
    const [first, dying] = nodes as [RedisServer, RedisServer]
    try {
      const { client, close } = await connect(first)
      try {
        const key = byMetadata('x-tenant', { secret: false })
        const limit = rateLimit({ rate: 1e6, name: 'calls', key, store: redisStore(client), storeTimeoutMs: 200 })
        const down: string[] = []
        limit.on('storeDown', ({ partition }) => down.push(partition))
        await using server = await startTestServer({ interceptors: [limit] })
        const stub = server.client()
        const call = async (tenant: string): Promise<Code | undefined> =>
          (await runRpc(stub, 'unary', { metadata: metadataOf({ 'x-tenant': tenant }) })).status?.code

        const tenants = Array.from({ length: 30 }, (_, i) => `t${i}`)
        for (const tenant of tenants) {
          while ((await call(tenant)) !== Code.OK) await sleep(20)
        }
        const owner = (tenant: string): string => nodeOf(client, `{x-tenant=${tenant}}`)
        const owners = nodes.map(({ port }) => `127.0.0.1:${port}`)
        expect(new Set(tenants.map(owner))).toEqual(new Set(owners))
        const lost = `127.0.0.1:${dying.port}`
        const mine = tenants.filter((tenant) => owner(tenant) === lost)
        const others = tenants.filter((tenant) => owner(tenant) !== lost)

        await dying.stop()
        while (down.length === 0) await call(mine[0] as string)
        // Keys of healthy masters are decided about, before, while and after the dead one is found out.
        const codes: (Code | undefined)[] = []
        for (let i = 0; i < 5; i++) for (const tenant of others) codes.push(await call(tenant))
        expect(new Set(codes)).toEqual(new Set([Code.OK]))
        for (const tenant of mine) expect(await call(tenant)).toBe(Code.UNAVAILABLE)
        expect(new Set(down)).toEqual(new Set([lost]))
        const { up, partitions } = limit.state()
        expect(up).toBe(false)
        expect(partitions.filter((one) => !one.up).map(({ name }) => name)).toEqual([lost])
      } finally {
        close()
      }
    } finally {
      await stop()
    }
  }, 60_000)
})
