// Limits behind Sentinels, through the clients that people use, while the master dies and a replica takes over. Every client meets
// the same event at the same time, with a server and a limit of its own.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { sentinelMissing } from '../../scripts/redis/node.mjs'
import { startSentinel, type WatchedRedis } from '../../scripts/redis/sentinel.mjs'
import { Figures } from '../figures.ts'
import { CLIENTS, type ClientName, sentinelClient } from './clients.ts'
import { byCaller, LimitedServer, PER_DAY } from './limited-server.ts'

let redis: WatchedRedis
const servers: [ClientName, LimitedServer][] = []
const figures = new Figures('Sentinel', CLIENTS)

beforeAll(async () => {
  if (sentinelMissing !== undefined) return
  redis = await startSentinel()
  for (const name of CLIENTS) {
    const options = { ...PER_DAY, burst: 20, key: byCaller, name: 'day', storeTimeoutMs: 5000 }
    servers.push([name, await LimitedServer.start(await sentinelClient(name, redis), `${randomUUID()}:`, options)])
  }
}, 60_000)

beforeEach(({ skip }) => {
  if (sentinelMissing !== undefined) skip(sentinelMissing)
})

afterAll(async () => {
  for (const [, server] of servers) await server[Symbol.asyncDispose]()
  await redis?.stop()
  figures.print()
}, 30_000)

const each = (act: (server: LimitedServer, client: ClientName) => Promise<void>) =>
  Promise.all(servers.map(([client, server]) => act(server, client)))

describe('a master that Sentinels watch', () => {
  it('counts exactly', () =>
    each(async (server, client) => {
      const admitted = await server.burst('early', 30)
      figures.set('calls admitted in normal load, of 20 due', client, admitted)
      expect(admitted).toBe(20)
    }))

  it('that dies is back once a replica has taken over, which has all its counts', async () => {
    await each(async (server) => expect(await server.burst('spender', 30)).toBe(20))
    const begin = performance.now()
    await redis.killMaster()
    await redis.promoted()
    figures.set('dead master: a replica promoted after', 'all', seconds(begin))
    await each(async (server, client) => {
      const admitted = server.limit.counters().admitted
      while ((await server.call('spender')) === Code.UNAVAILABLE) await sleep(10)
      figures.set('dead master: decides again after', client, seconds(begin))
      await server.burst('spender', 30)
      const more = server.limit.counters().admitted - admitted
      figures.set('promoted in step: admitted beyond a spent burst of 20', client, more)
      expect.soft(more, client).toBe(0)
    })
  }, 60_000)
})

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`
