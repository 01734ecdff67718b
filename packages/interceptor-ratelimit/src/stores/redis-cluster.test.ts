import { Redis } from 'ioredis'
import { beforeEach, describe, expect, it } from 'vitest'
import { RedisServer, redisMissing } from '../../test/redis-server.ts'
import type { RedisClient } from './redis-client.ts'
import { nodeOf, slotOf } from './redis-cluster.ts'

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

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
