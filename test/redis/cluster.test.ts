// Limits in a real Redis Cluster of six nodes, through the clients that people use, while its nodes move slots, lose their scripts,
// stop and die. Every client meets the same event at the same time, with a server and a limit of its own.
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { status as Code } from '@grpc/grpc-js'
import type { RateLimitOptions } from '@grpc-stack/interceptor-ratelimit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type RedisCluster, startCluster } from '../../scripts/redis/cluster.mjs'
import { type RedisNode, redisMissing } from '../../scripts/redis/node.mjs'
import { Figures } from '../figures.ts'
import { CLIENTS, type ClientName, clusterClient } from './clients.ts'
import { byCaller, LimitedServer, PER_DAY, share } from './limited-server.ts'

let cluster: RedisCluster
const figures = new Figures('Redis Cluster', CLIENTS)

beforeAll(async () => {
  if (redisMissing === undefined) cluster = await startCluster()
}, 30_000)

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

afterAll(async () => {
  await cluster?.stop()
  figures.print()
})

/** Which of these servers are of one client. */
type Servers = readonly (readonly [ClientName, LimitedServer])[]

/** Runs it with a server for every client, all behind limits of these options that they do not share. */
async function withEach(options: RateLimitOptions, play: (servers: Servers) => Promise<void>): Promise<void> {
  const test = randomUUID()
  const servers: [ClientName, LimitedServer][] = []
  try {
    for (const name of CLIENTS) {
      const connection = await clusterClient(name, cluster)
      servers.push([name, await LimitedServer.start(connection, `${test}:${name}:`, options)])
    }
    await play(servers)
  } finally {
    for (const [, server] of servers) await server[Symbol.asyncDispose]()
  }
}

/** So many callers whose counters a master has. */
async function callersOn(master: RedisNode, count: number): Promise<string[]> {
  const callers: string[] = []
  for (let i = 0; callers.length < count; i++) {
    if ((await cluster.masterOf(await cluster.slotOf(`caller-${i}`))) === master) callers.push(`caller-${i}`)
  }
  return callers
}

const startLoads = (servers: Servers, callers: readonly string[]) =>
  servers.map(([client, server]) => [client, server.load(callers)] as const)

async function each(
  servers: Servers,
  act: (server: LimitedServer, client: ClientName) => Promise<void>,
): Promise<void> {
  await Promise.all(servers.map(([client, server]) => act(server, client)))
}

/** Far longer than any answer takes while nothing is broken, however busy the machine is. */
const PATIENT = { storeTimeoutMs: 5000 }
/** More than any of these tests calls: what is refused then is refused for the store. */
const PLENTY = { rate: 1_000_000, key: byCaller, name: 'plenty' } as const

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

describe('counts', () => {
  it('are exact for callers on every master', async () => {
    const callers: string[] = []
    for (const master of await cluster.masters()) callers.push(...(await callersOn(master, 4)))
    await withEach({ ...PER_DAY, burst: 10, key: byCaller, name: 'day', ...PATIENT }, (servers) =>
      each(servers, async (server, client) => {
        const admitted = await Promise.all(callers.map((caller) => server.burst(caller, 15)))
        figures.set('calls admitted in normal load, of 120 due', client, sum(admitted))
        expect(admitted).toEqual(callers.map(() => 10))
      }),
    )
  }, 30_000)

  const MOVING: readonly [string, RateLimitOptions][] = [
    ['of one limit', { ...PER_DAY, burst: 40, key: byCaller, name: 'day' }],
    [
      'of two limits',
      {
        limits: [
          { ...PER_DAY, burst: 40, key: byCaller, name: 'day' },
          { rate: 2, perMs: 86_400_000, burst: 60, key: byCaller, name: 'days' },
        ],
      },
    ],
  ]
  it.each(MOVING)(
    'are exact while the slot of a caller moves, %s, and when no node knows the script any more',
    async (what, options) => {
      await withEach({ ...options, ...PATIENT }, async (servers) => {
        const admitted = new Map(CLIENTS.map((client) => [client, 0]))
        const call = () =>
          each(servers, async (server, client) => {
            admitted.set(client, (admitted.get(client) ?? 0) + (await server.burst('mover', 5)))
          })
        await call()
        await cluster.reshard(await cluster.slotOf('mover'), call)
        await call()
        for (const node of cluster.nodes) await node.command('SCRIPT', 'FLUSH')
        for (let i = 0; i < 6; i++) await call()
        for (const [client, server] of servers) {
          figures.set(`admitted while the slot moves, ${what}, of 40 due`, client, admitted.get(client) ?? 0)
          const { refusedByStore } = server.limit.counters()
          figures.set(`refused for the store meanwhile, ${what}`, client, refusedByStore)
          expect([admitted.get(client), refusedByStore], client).toEqual([40, 0])
        }
      })
    },
    30_000,
  )
})

describe('a blip', () => {
  it('of 90 ms, in which a master answers nothing, is no outage', async () => {
    const [master] = await cluster.masters()
    const callers = await callersOn(master!, 4)
    await withEach(PLENTY, async (servers) => {
      const loads = startLoads(servers, callers)
      await Promise.all(loads.map(([, load]) => load.admitted(callers)))
      master!.pause()
      await sleep(90)
      master!.resume()
      const end = performance.now()
      for (const [client, load] of loads) {
        const back = await load.admitted(callers)
        await load.stop()
        figures.set('admits again after a pause of 90 ms', client, `${Math.round(back - end)} ms`)
        expect(back - end, client).toBeLessThan(1000)
      }
    })
  }, 30_000)

  it('of every connection, each 500 ms, is no outage', async () => {
    const callers: string[] = []
    for (const master of await cluster.masters()) callers.push(...(await callersOn(master, 2)))
    await withEach(PLENTY, async (servers) => {
      const loads = startLoads(servers, callers)
      await Promise.all(loads.map(([, load]) => load.admitted(callers)))
      for (let i = 0; i < 6; i++) {
        for (const node of cluster.nodes) await node.command('CLIENT', 'KILL', 'TYPE', 'normal')
        await sleep(500)
      }
      for (const [client, load] of loads) {
        const refused = share(await load.stop(), ({ code }) => code !== Code.OK)
        figures.set('refused, every connection killed each 500 ms', client, refused.text)
        // A store that is left alone for a second after each failure refuses 99 %. What is left depends on how busy the machine is.
        expect(refused.part, client).toBeLessThan(0.9)
      }
    })
  }, 30_000)
})

/** Clients that learn of a promotion only once the dead master is back and redirects them (node-redis, issue 2806). */
const NEEDS_THE_DEAD: readonly ClientName[] = ['node-redis 5']

const SPENT = { ...PER_DAY, burst: 20, key: byCaller, name: 'day', ...PATIENT } as const

describe('a master that dies', () => {
  it('closes the limiter for its own callers only, until its replica, which has all counts, has taken over', async () => {
    const [victim, ...healthy] = await cluster.masters()
    const [spender, ...dead] = await callersOn(victim!, 3)
    const alive = (await Promise.all(healthy.map((master) => callersOn(master, 2)))).flat()
    const slot = await cluster.slotOf(spender!)
    await withEach({ ...PLENTY, storeTimeoutMs: 250 }, (servers) =>
      withEach(SPENT, async (spent) => {
        await each(spent, async (server) => expect(await server.burst(spender!, 30)).toBe(20))
        const ofHealthy = startLoads(servers, alive)
        const ofDead = startLoads(servers, dead)
        await Promise.all(ofDead.map(([, load]) => load.admitted(dead)))
        await Promise.all(ofHealthy.map(([, load]) => load.admitted(alive)))
        const begin = performance.now()
        await cluster.killMaster(slot)
        await cluster.promoted(slot)
        const promoted = performance.now()
        const down = new Map(servers.map(([client, server]) => [client, new Set(server.down)]))
        const back = async ([client, load]: (typeof ofDead)[number]): Promise<void> => {
          const at = await load.admitted(dead)
          await load.stop()
          figures.set('dead master: its callers admitted again after', client, `${((at - begin) / 1000).toFixed(1)} s`)
        }
        await Promise.all(ofDead.filter(([client]) => !NEEDS_THE_DEAD.includes(client)).map(back))
        await victim!.restart()
        await Promise.all(ofDead.filter(([client]) => NEEDS_THE_DEAD.includes(client)).map(back))
        for (const [client, load] of ofHealthy) {
          const meanwhile = (await load.stop()).filter(({ atMs }) => atMs > begin && atMs < promoted)
          const refused = share(meanwhile, ({ code }) => code !== Code.OK)
          figures.set('dead master: calls of other callers refused', client, refused.text)
          expect.soft(meanwhile.length, client).toBeGreaterThan(10)
          expect.soft(refused.part, client).toBeLessThan(0.01)
          expect.soft(down.get(client), client).toEqual(new Set([`${victim!.host}:${victim!.port}`]))
        }
        await each(spent, async (server, client) => {
          const more = await moreAdmitted(server, spender!)
          figures.set('promoted in step: admitted beyond a spent burst of 20', client, more)
          expect.soft(more, client).toBe(0)
        })
      }),
    )
    await cluster.healthy()
  }, 60_000)

  it('and whose replica has lost every count, lets through one more burst and no call more', async () => {
    const [, victim] = await cluster.masters()
    const [spender] = await callersOn(victim!, 1)
    await withEach(SPENT, async (servers) => {
      const replica = await cluster.replicaOf(victim!)
      await replica.kill()
      await each(servers, async (server) => expect(await server.burst(spender!, 30)).toBe(20))
      await victim!.kill()
      await replica.restart()
      await cluster.promoted(await cluster.slotOf(spender!))
      await victim!.restart()
      await each(servers, async (server, client) => {
        const more = await moreAdmitted(server, spender!)
        figures.set('promoted without a count: admitted beyond a spent burst of 20', client, more)
        expect.soft(more, client).toBe(20)
      })
    })
    await cluster.healthy()
  }, 60_000)
})

/** How many calls of a caller are let through, once the store answers again. */
async function moreAdmitted(server: LimitedServer, caller: string): Promise<number> {
  const before = server.limit.counters().admitted
  while ((await server.call(caller)) === Code.UNAVAILABLE) await sleep(10)
  await server.burst(caller, 30)
  return server.limit.counters().admitted - before
}
