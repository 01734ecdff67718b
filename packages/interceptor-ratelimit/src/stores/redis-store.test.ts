import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { status as Code } from '@grpc/grpc-js'
import { FakeClock, metadataOf, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { array, assert, asyncProperty, constantFrom, integer, record, string } from 'fast-check'
import { Cluster, Redis } from 'ioredis'
import { createClient, createCluster } from 'redis'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ExactGcra } from '../../test/exact-gcra.ts'
import { RedisServer, redisMissing } from '../../test/redis-server.ts'
import { byMetadata } from '../keys/keys.ts'
import { rateLimit } from '../limit/rate-limit.ts'
import { quotaOf } from '../quota/gcra.ts'
import type { RedisClient } from './redis-client.ts'
import { TAKE_SCRIPT } from './redis-script.ts'
import { redisStore } from './redis-store.ts'
import type { Limiter, StoredLimit } from './store.ts'

const quota = (rate: number, perMs: number, burst: number) => quotaOf(rate, perMs, burst) ?? expect.unreachable()
const limit = (name: string, rate: number, perMs: number, burst: number, sameKeyAsFirst = true): StoredLimit => {
  return { name, quota: quota(rate, perMs, burst), sameKeyAsFirst }
}

let server: RedisServer
let redis: Redis

beforeAll(async () => {
  if (redisMissing !== undefined) return
  server = await RedisServer.start()
  redis = new Redis(server.port)
})

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

afterAll(async () => {
  redis?.disconnect()
  await server?.[Symbol.asyncDispose]()
})

describe('the script', () => {
  it('decides exactly as GCRA in unbounded integers does, by the clock of the server', async () => {
    const steps = array(record({ key: constantFrom('a', 'b'), cost: integer({ min: 0, max: 3 }) }), { maxLength: 60 })
    const numbers = record({
      rate: integer({ min: 1, max: 20_000 }),
      perMs: integer({ min: 1, max: 1000 }),
      burst: integer({ min: 3, max: 20 }),
    })
    await assert(
      asyncProperty(numbers, steps, async ({ rate, perMs, burst }, plan) => {
        const { leakPerUs, capacity, unitsPerCall } = quota(rate, perMs, burst)
        const model = new ExactGcra(rate, perMs * 1000, burst)
        const id = randomUUID()
        for (const { key, cost } of plan) {
          const args = [0, 1, 'name', leakPerUs, capacity, cost * unitsPerCall]
          const reply = (await redis.eval(TAKE_SCRIPT, 1, `${id}${key}`, ...args)) as [number, number, number]
          const [admitted, nowUs] = reply
          expect(admitted === 1).toBe(model.take(key, cost, nowUs))
        }
      }),
      { numRuns: 60 },
    )
  })

  it('admits up to the capacity and not a unit more', async () => {
    const take = async (cost: number) => {
      return ((await redis.eval(TAKE_SCRIPT, 1, randomUUID(), 0, 1, 'name', 1, 1000, cost)) as number[])[0]
    }
    expect([await take(999), await take(1000), await take(1001)]).toEqual([1, 1, 0])
  })

  it('keeps numbers whole that are too large for the scientific notation of Lua', async () => {
    const limiter = redisStore(redis).open([limit(randomUUID(), 1, 86_400_000, 50_000)])
    for (let i = 1; i <= 3; i++) {
      const decision = await limiter.take(['k'], [1])
      expect(decision).toMatchObject({ admitted: true, limits: [{ remaining: 50_000 - i }] })
    }
  })

  it('lets keys expire when nothing is owed any more', async () => {
    const [caller, other, free] = [randomUUID(), randomUUID(), randomUUID()]
    const limiter = redisStore(redis).open([limit('short', 10, 1000, 10)])
    await limiter.take([caller], [3])
    const ttl = await redis.pttl(`ratelimit:1:{${caller}}`)
    expect(ttl).toBeGreaterThan(250)
    expect(ttl).toBeLessThanOrEqual(301)
    await limiter.take([free], [0])
    expect(await redis.exists(`ratelimit:1:{${free}}`)).toBe(0)
    // With the last of the limits, whichever was charged last.
    const long = redisStore(redis).open([limit('long', 10, 10_000, 10)])
    for (const each of [long, limiter]) await each.take([other], [3])
    const both = await redis.pttl(`ratelimit:1:{${other}}`)
    expect(both).toBeGreaterThan(2500)
    expect(both).toBeLessThanOrEqual(3001)
  })

  it('forgets a limit whose debt is gone beside one that is still owed something', async () => {
    const caller = randomUUID()
    const store = redisStore(redis)
    const [day, instant] = [store.open([limit('day', 10, 86_400_000, 10)]), store.open([limit('instant', 1e6, 1, 1)])]
    await instant.take([caller], [1])
    await day.take([caller], [1])
    expect((await redis.get(`ratelimit:1:{${caller}}`))?.split(' ')).toEqual([
      expect.stringMatching(/^\d+$/),
      'day',
      expect.any(String),
      expect.any(String),
    ])
  })

  it('carries a debt over when the numbers of a limit change', async () => {
    const name = randomUUID()
    const before = redisStore(redis).open([limit(name, 10, 60_000, 10)])
    await before.take(['k'], [10]) // a minute of debt
    const after = redisStore(redis).open([limit(name, 7, 60_000, 7)])
    const { admitted, limits } = await after.take(['k'], [7])
    expect(admitted).toBe(false)
    expect(limits[0]?.waitMs).toBeGreaterThan(59_000)
    expect(limits[0]?.waitMs).toBeLessThanOrEqual(60_000)
  })

  // reference: flaw 69
  it('a server clock that stepped back neither opens nor blocks', async () => {
    const caller = randomUUID()
    const limiter = redisStore(redis).open([limit('name', 1, 1000, 1)])
    await limiter.take([caller], [1])
    const key = `ratelimit:1:{${caller}}`
    const [last = '', ...rest] = (await redis.get(key))?.split(' ') ?? []
    await redis.set(key, [String(Number(last) + 3_600_000_000), ...rest].join(' '), 'PX', 60_000)
    const refused = await limiter.take([caller], [1])
    expect(refused.admitted).toBe(false)
    expect(refused.limits[0]?.waitMs).toBeLessThanOrEqual(1000)
    expect(Number((await redis.get(key))?.split(' ')[0])).toBeLessThan(Number(last) + 3_600_000_000)
  })

  it('takes a key that another program wrote to for one that owes nothing', async () => {
    const caller = randomUUID()
    await redis.set(`ratelimit:1:{${caller}}`, 'not a debt')
    expect(
      await redisStore(redis)
        .open([limit('name', 1, 1000, 1)])
        .take([caller], [1]),
    ).toMatchObject({ admitted: true })
  })

  it.each([true, false])(
    'counts a limit by its name, alone and beside others; of the same key: %s',
    async (sameKey) => {
      const [x, y, z] = ['x', 'y', 'z'].map((name) => `${name}-${randomUUID()}`) as [string, string, string]
      const store = redisStore(redis)
      const alone = store.open([limit(x, 1, 60_000, 6)])
      const first = store.open([limit(x, 1, 60_000, 6), limit(y, 9, 60_000, 99, sameKey)])
      const last = store.open([limit(z, 9, 60_000, 99), limit(x, 1, 60_000, 6, sameKey)])
      for (const limiter of [alone, first, last]) {
        expect(await limiter.take(['k', 'k'], [2, 2])).toMatchObject({ admitted: true })
      }
      for (const limiter of [alone, first, last]) {
        expect(await limiter.take(['k', 'k'], [1, 1])).toMatchObject({ admitted: false })
      }
    },
  )

  it('charges several limits all or nothing, and says which refused', async () => {
    const limiter = redisStore(redis).open([
      limit(randomUUID(), 2, 60_000, 2),
      limit(randomUUID(), 3, 60_000, 3, false),
      limit(randomUUID(), 9, 60_000, 9),
    ])
    const keys = ['a', 'b', undefined]
    await limiter.take(keys, [1, 1, 1])
    expect(await limiter.take(keys, [1, 1, 1])).toMatchObject({
      admitted: true,
      limits: [{ remaining: 0 }, { remaining: 1 }, undefined],
    })
    const { admitted, limits } = await limiter.take(keys, [1, 1, 1])
    expect(admitted).toBe(false)
    expect(limits.map((state) => (state?.waitMs ?? 0) > 0)).toEqual([true, false, false])
    expect(limits[1]?.remaining).toBe(1)
  })
})

// Each with how to make it and how to end it.
interface Login {
  readonly username: string
  readonly password: string
}

const clients: [string, (login?: Login) => Promise<{ client: RedisClient; close(): unknown }>][] = [
  [
    'ioredis',
    async (login) => {
      const client = new Redis({ port: server.port, ...login })
      return { client, close: () => client.disconnect() }
    },
  ],
  [
    'node-redis',
    async (login) => {
      const client = await createClient({ url: server.url, ...login }).connect()
      return { client, close: () => client.destroy() }
    },
  ],
]

describe.each(clients)('with %s', (_name, connect) => {
  // reference: symbol 79
  it('keeps its bound under calls at once', async () => {
    const { client, close } = await connect()
    try {
      const limiter = redisStore(client).open([limit(randomUUID(), 1, 60_000, 25)])
      const decisions = await Promise.all(Array.from({ length: 100 }, () => limiter.take(['k'], [1])))
      expect(decisions.filter(({ admitted }) => admitted)).toHaveLength(25)
    } finally {
      close()
    }
  })

  it('takes one round trip per decision, also after the server forgot its scripts', async () => {
    const { client, close } = await connect()
    const watcher = new Redis(server.port)
    try {
      const limiter = redisStore(client).open([limit('a', 9, 1000, 9), limit('b', 9, 1000, 9), limit('c', 9, 1000, 9)])
      await limiter.take(['warm', 'warm', 'warm'], [1, 1, 1])
      expect(await commandsDuring(watcher, () => limiter.take(['k', 'k', 'k'], [1, 1, 1]))).toEqual(['evalsha'])
      await redis.script('FLUSH')
      expect(await commandsDuring(watcher, () => limiter.take(['k', 'k', 'k'], [1, 1, 1]))).toEqual(['evalsha', 'eval'])
      expect(await commandsDuring(watcher, () => limiter.take(['k', 'k', 'k'], [1, 1, 1]))).toEqual(['evalsha'])
    } finally {
      watcher.disconnect()
      close()
    }
  })

  it('takes a key that holds something else for no failure of Redis', async () => {
    const { client, close } = await connect()
    try {
      const bad = `bad-${randomUUID()}`
      await redis.lpush(`ratelimit:1:{x-tenant=${bad}}`, 'a list')
      const key = byMetadata('x-tenant', { secret: false })
      const limit = rateLimit({ rate: 1e6, name: 'calls', key, store: redisStore(client), storeTimeoutMs: 5000 })
      const causes: unknown[] = []
      limit.on('refused', ({ reason, error }) => causes.push(`${reason}: ${error}`))
      limit.on('storeDown', ({ error }) => causes.push(error))
      await using server = await startTestServer({ interceptors: [limit] })
      const stub = server.client()
      const call = async (tenant: string) =>
        (await runRpc(stub, 'unary', { metadata: metadataOf({ 'x-tenant': tenant }) })).status?.code
      const begin = performance.now()
      let calls = 0
      for (; calls < 5 || performance.now() - begin < 300; calls++) expect(await call(bad)).toBe(Code.UNAVAILABLE)
      expect(await call('good')).toBe(Code.OK)
      expect(causes).toHaveLength(calls)
      expect(causes[0]).toContain('store: ')
      expect(causes[0]).toContain('WRONGTYPE')
      expect(limit.state().up).toBe(true)
      expect(limit.counters()).toMatchObject({
        storeErrors: calls,
        storeAnswers: 1,
        refusedByStore: calls,
        admitted: 1,
      })
    } finally {
      close()
    }
  })

  it('takes one round trip for a caller that is refused again and again', async () => {
    const { client, close } = await connect()
    const watcher = new Redis(server.port)
    try {
      const key = (): string => caller
      const limit = rateLimit({
        rate: 1,
        perMs: 60_000,
        name: 'calls',
        key,
        store: redisStore(client),
        clock: new FakeClock(),
      })
      const caller = randomUUID()
      await using server2 = await startTestServer({ interceptors: [limit] })
      const stub = server2.client()
      const call = async () => (await runRpc(stub, 'unary')).status?.code
      expect(await call()).toBe(Code.OK)
      const asked = await commandsDuring(watcher, async () => {
        for (let i = 0; i < 20; i++) expect(await call()).toBe(Code.RESOURCE_EXHAUSTED)
      })
      expect(asked).toEqual(['evalsha'])
      expect(limit.counters()).toMatchObject({ admitted: 1, refused: 20, remembered: 19 })
    } finally {
      watcher.disconnect()
      close()
    }
  })

  it('works with the permissions that the guide names', async () => {
    const guide = await readFile(new URL('../../../../docs/guides/redis.md', import.meta.url), 'utf8')
    const rule = /ACL SETUSER ratelimit (.*)/.exec(guide)?.[1] ?? expect.unreachable()
    await redis.call('ACL', 'SETUSER', 'ratelimit', 'reset', ...rule.replace('PASSWORD', 'sesame').split(' '))
    const { client, close } = await connect({ username: 'ratelimit', password: 'sesame' })
    try {
      const limiter = redisStore(client).open([limit('name', 1, 1000, 1)])
      await redis.script('FLUSH')
      expect(await limiter.take([randomUUID()], [1])).toMatchObject({ admitted: true })
      const elsewhere = redisStore(client, { prefix: 'other:' }).open([limit('name', 1, 1000, 1)])
      await expect(elsewhere.take(['k'], [1])).rejects.toThrow(/NOPERM|permission/)
    } finally {
      close()
    }
  })

  it('rejects, and ends nothing, when the server says no', async () => {
    const { client, close } = await connect()
    try {
      const caller = randomUUID()
      await redis.lpush(`ratelimit:1:{${caller}}`, 'a list')
      await expect(
        redisStore(client)
          .open([limit('name', 1, 1000, 1)])
          .take([caller], [1]),
      ).rejects.toThrow('WRONGTYPE')
    } finally {
      close()
    }
  })
})

/** The commands clients sent meanwhile, those of scripts apart. */
async function commandsDuring(watcher: Redis, work: () => unknown): Promise<string[]> {
  const monitor = await watcher.monitor()
  const seen: string[] = []
  const marked = randomUUID()
  const over = new Promise<void>((resolve) => {
    monitor.on('monitor', (_time: string, [command = '', text]: string[], source: string) => {
      if (text === marked) resolve()
      else if (source !== 'lua') seen.push(command.toLowerCase())
    })
  })
  await work()
  await redis.echo(marked)
  await over
  monitor.disconnect()
  return seen
}

describe('a deadline', () => {
  const burst = 100
  const open = (client: RedisClient): Limiter => redisStore(client).open([limit('name', 1, 86_400_000, burst)])
  const left = async (caller: string): Promise<number | undefined> =>
    (await open(redis).take([caller], [0])).limits[0]?.remaining

  it('keeps what is decided too late from being charged: a pause', async () => {
    const [caller, warm] = [randomUUID(), randomUUID()]
    const limiter = open(redis)
    await limiter.take([warm], [1], 1000)
    const admin = new Redis(server.port)
    try {
      await admin.client('PAUSE', 150, 'ALL')
      const late = await Promise.allSettled(Array.from({ length: 20 }, () => limiter.take([caller], [1], 50)))
      expect(new Set(late.map(({ status }) => status))).toEqual(new Set(['rejected']))
      expect(await left(caller)).toBe(burst)
      expect(await limiter.take([caller], [1], 1000)).toMatchObject({ admitted: true })
      expect(await left(caller)).toBe(burst - 1)
    } finally {
      admin.disconnect()
    }
  })

  it('holds for calls that are refused meanwhile, all of them', async () => {
    const limit = rateLimit({
      rate: 1,
      perMs: 86_400_000,
      burst,
      name: 'name',
      key: (call) => String(call.metadata.get('caller')[0]),
      store: redisStore(redis),
    })
    await using server2 = await startTestServer({ interceptors: [limit] })
    const stub = server2.client()
    const [caller, warm] = [randomUUID(), randomUUID()]
    const call = async (who: string) =>
      (await runRpc(stub, 'unary', { metadata: metadataOf({ caller: who }) })).status?.code
    expect(await call(warm)).toBe(Code.OK)
    const admin = new Redis(server.port)
    try {
      await admin.client('PAUSE', 200, 'ALL')
      const codes = await Promise.all(Array.from({ length: 20 }, () => call(caller)))
      expect(new Set(codes)).toEqual(new Set([Code.UNAVAILABLE]))
      // Answered after the pause, and after all that waited before it.
      expect(await left(caller)).toBe(burst)
    } finally {
      admin.disconnect()
    }
  })

  it('is asked for again where the clock of the server was set forward', async () => {
    const seen: string[] = []
    const client = {
      evalsha: (sha: string, count: number, ...[key = '', deadline = '', ...rest]: string[]) => {
        seen.push(deadline)
        // As if the clock had been another when the deadline was made.
        const wrong = seen.length === 2 ? String(Number(deadline) - 3_600_000_000) : deadline
        return redis.evalsha(sha, count, key, wrong, ...rest)
      },
      eval: (script: string, count: number, ...rest: string[]) => redis.eval(script, count, ...rest),
    }
    const limiter = open(client)
    const caller = randomUUID()
    await limiter.take([caller], [1], 5000)
    expect(await limiter.take([caller], [1], 5000)).toMatchObject({ admitted: true })
    expect(seen).toHaveLength(3)
    expect(seen[0]).toBe('0')
    expect(Number(seen[2])).toBeGreaterThan(Date.now() * 1000)
    expect(await left(caller)).toBe(burst - 2)
  })
})

describe('on a cluster', () => {
  const clusters: [string, (node: RedisServer) => Promise<{ client: RedisClient; close(): unknown }>][] = [
    [
      'ioredis',
      async (node) => {
        const client = new Cluster([{ host: '127.0.0.1', port: node.port }])
        return { client, close: () => client.disconnect() }
      },
    ],
    [
      'node-redis',
      async (node) => {
        const client = createCluster({ rootNodes: [{ url: node.url }] })
        await client.connect()
        return { client, close: () => client.destroy() }
      },
    ],
  ]

  it.each(clusters)(
    '%s: the keys of a decision live on one node, whatever callers put into them',
    async (_name, connect) => {
      // One node is enough: it refuses scripts whose keys are in different slots.
      await using node = await RedisServer.start('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1')
      const direct = new Redis(node.port)
      try {
        await direct.cluster('ADDSLOTSRANGE', 0, 16_383)
        while (!(await direct.cluster('INFO')).includes('cluster_state:ok'))
          await direct.echo('waiting for the cluster')
        await expect(direct.eval('return 1', 2, 'a', 'b')).rejects.toThrow('CROSSSLOT')
        const { client, close } = await connect(node)
        try {
          const store = redisStore(client)
          const perKey = store.open([limit('a', 9, 1000, 9), limit('b', 9, 60_000, 9)])
          const mixed = store.open([limit('c', 9, 1000, 9), limit('d', 9, 60_000, 9, false)])
          const others = store.open([limit('e', 9, 60_000, 9), limit('c', 9, 1000, 9, false)])
          await mixed.take(['one', 'two'], [9, 1])
          expect(await others.take(['three', 'one'], [1, 9])).toMatchObject({ admitted: false })
          for (const key of ['k', '}{', '{}', '{a}', '}', '%7b', ' ', '\0peer=::1', 'a b', 'ü', '{'.repeat(100)]) {
            for (const take of [perKey, mixed] satisfies Limiter[]) {
              expect(await take.take([key, key], [1, 1])).toMatchObject({ admitted: true })
            }
            expect(await mixed.take([`${key}x`, `y${key}`], [1, 1])).toMatchObject({ admitted: true })
          }
        } finally {
          close()
        }
      } finally {
        direct.disconnect()
      }
    },
  )
})

describe('a key in Redis', () => {
  /** The keys a client is asked for. */
  const keysFor = async (
    limits: readonly StoredLimit[],
    keys: readonly string[],
    isCluster = true,
  ): Promise<readonly string[]> => {
    let asked: readonly string[] = []
    const client = {
      isCluster,
      evalsha: (_sha: string, count: number, ...rest: string[]) => {
        asked = rest.slice(0, count)
        return Promise.resolve([1, 0, ...limits.map(() => 0)])
      },
      eval: () => Promise.reject(new Error('not asked for')),
    }
    await redisStore(client)
      .open(limits)
      .take(
        keys,
        keys.map(() => 1),
      )
    return asked
  }
  const tagOf = (key: string): string | undefined => /^[^{]*\{([^}]+)\}/.exec(key)?.[1]
  const anything = string({ unit: 'binary', minLength: 1 })

  it('is one per caller, whatever limits there are, and belongs to the node of that caller', async () => {
    const [one, two] = [limit('one', 1, 1000, 1), limit('two', 1, 60_000, 1)]
    await assert(
      asyncProperty(anything, anything, async (a, b) => {
        const first = await keysFor([one], [a])
        expect(first).toHaveLength(1)
        expect(await keysFor([two, one], [a, a])).toEqual(first)
        const [key = ''] = first
        const [other] = await keysFor([one, two], [b, b])
        expect(tagOf(key)).toBeDefined()
        expect(key).toBe(`ratelimit:1:{${tagOf(key)}}`)
        expect(key === other).toBe(a === b)
        const mixed = await keysFor([one, { ...two, sameKeyAsFirst: false }], [a, b])
        expect(new Set(mixed.map(tagOf))).toEqual(new Set(['ratelimit:1']))
        expect(new Set([...mixed, key]).size).toBe(a === b ? 2 : 3)
        const noCluster = await keysFor([one, { ...two, sameKeyAsFirst: false }], [a, b], false)
        expect(noCluster).toEqual(a === b ? [key] : [key, other])
      }),
    )
  })

  it('tells callers apart that are no Unicode', async () => {
    const one = [limit('one', 1, 1000, 1)]
    const keys = await Promise.all(['\ud800', '\ud801', '\ufffd'].map((caller) => keysFor(one, [caller])))
    expect(new Set(keys.map(([key = '']) => Buffer.from(key).toString())).size).toBe(3)
  })
})

describe('options', () => {
  it.each([
    [true, false],
    [false, true],
  ])('cluster: %s says of a proxy what the client does not', async (cluster, perCaller) => {
    let asked: readonly string[] = []
    const client = {
      evalsha: async (_sha: string, count: number, ...rest: string[]) => {
        asked = rest.slice(0, count)
        return [1, 0, 0, 0]
      },
      eval: () => Promise.reject(new Error('not asked for')),
    }
    const limits = [limit('one', 1, 1000, 1), limit('two', 1, 1000, 1, false)]
    await redisStore(client, { cluster }).open(limits).take(['a', 'b'], [1, 1])
    expect(asked.map((key) => /[{](.*)[}]/.exec(key)?.[1])).toEqual(
      perCaller ? ['a', 'b'] : ['ratelimit:1', 'ratelimit:1'],
    )
  })

  it.each<[unknown, object, string]>([
    [undefined, {}, 'redisStore: option "client" must be an ioredis or node-redis client, got undefined'],
    [{}, {}, 'redisStore: option "client"'],
    [{ evalsha: () => undefined }, { prefix: 'a{' }, 'redisStore: option "prefix"'],
    [{ evalsha: () => undefined }, { ttl: 1 }, 'redisStore: unknown option "ttl"'],
  ])('%j %j: %s', (client, options, message) => {
    expect(() => redisStore(client as RedisClient, options)).toThrow(message)
  })
})
