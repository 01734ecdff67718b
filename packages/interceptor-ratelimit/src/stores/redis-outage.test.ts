// A shared limit while processes compete for it, and while its Redis is stopped, hung and started again under load.
import { type ChildProcess, fork } from 'node:child_process'
import { type EventEmitter, once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { status as Code, credentials } from '@grpc/grpc-js'
import { runRpc, settle, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { Redis } from 'ioredis'
import { createClient } from 'redis'
import { beforeEach, describe, expect, it } from 'vitest'
import { RedisServer, redisMissing } from '../../test/redis-server.ts'
import { type RateLimitInterceptor, rateLimit } from '../limit/rate-limit.ts'
import type { RateLimitOptions } from '../limit/rate-limit-options.ts'
import type { RedisClient } from './redis-client.ts'
import { redisStore } from './redis-store.ts'

beforeEach(({ skip }) => {
  if (redisMissing !== undefined) skip(redisMissing)
})

interface Answer {
  readonly code: Code
  readonly tookMs: number
  readonly atMs: number
  readonly metadata: ReadonlyMap<string, unknown>
}

/** Calls without a pause on several connections' worth of workers, until told to stop. */
class Load {
  readonly answers: Answer[] = []
  readonly #begin = performance.now()
  readonly #workers: Promise<void>[]
  #running = true
  #waiting: (() => void)[] = []

  constructor(clients: readonly TestClient[], workersEach = 4) {
    this.#workers = clients.flatMap((client) => Array.from({ length: workersEach }, () => this.#work(client)))
  }

  async #work(client: TestClient): Promise<void> {
    while (this.#running) {
      const begin = performance.now()
      const { status } = await runRpc(client, 'unary')
      this.answers.push({
        code: status?.code ?? Code.UNKNOWN,
        tookMs: performance.now() - begin,
        atMs: performance.now(),
        metadata: new Map(Object.entries(status?.metadata.getMap() ?? {})),
      })
      for (const look of this.#waiting.splice(0)) look()
      await settle(1)
    }
  }

  count(code: Code, from = 0): number {
    return this.answers.slice(from).filter((answer) => answer.code === code).length
  }

  /** Goes on until this holds, which is looked at after each answer. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  /** Goes on for so many more answers. */
  async more(count: number): Promise<void> {
    const enough = this.answers.length + count
    await this.until(() => this.answers.length >= enough)
  }

  /** Ends the load and returns how long it ran, in milliseconds. */
  async stop(): Promise<number> {
    this.#running = false
    await Promise.all(this.#workers)
    return performance.now() - this.#begin
  }
}

describe('several processes', () => {
  // reference: flaw 69, symbol 78
  it('share one limit within its exact bound, instead of one per process', async () => {
    await using redis = await RedisServer.start()
    const options = JSON.stringify({ rate: 20, burst: 20, storeTimeoutMs: 5000 })
    const script = fileURLToPath(new URL('../../test/limited-server.mjs', import.meta.url))
    const children = ['ioredis', 'node-redis', 'ioredis'].map((kind) =>
      fork(script, [String(redis.port), kind, options]),
    )
    try {
      const clients = await Promise.all(
        children.map(async (child) => new TestClient(await said<string>(child), credentials.createInsecure(), {})),
      )
      await Promise.all(
        clients.map((client) => new Promise((resolve) => client.waitForReady(Date.now() + 5000, resolve))),
      )
      const load = new Load(clients)
      await load.until(() => load.count(Code.OK) >= 45 && load.count(Code.RESOURCE_EXHAUSTED) >= 50)
      const spanMs = await load.stop()
      const admitted = load.count(Code.OK)
      expect(load.count(Code.RESOURCE_EXHAUSTED) + admitted).toBe(load.answers.length)
      expect(admitted).toBeLessThanOrEqual(20 + Math.floor((20 * spanMs) / 1000))
      // Not only not too many: of what there was, most was used.
      expect(admitted).toBeGreaterThan((20 + (20 * spanMs) / 1000) / 2)
      for (const child of children) {
        child.send('counters')
        expect((await said<{ admitted: number }>(child)).admitted).toBeGreaterThan(0)
      }
      for (const client of clients) client.close()
    } finally {
      for (const child of children) child.send('stop')
      await Promise.all(children.map((child) => (child.exitCode === null ? once(child, 'exit') : undefined)))
    }
  }, 30_000)
})

async function said<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, 'message')) as [T]
  return message
}

type Connect = (redis: RedisServer, password?: string) => { client: RedisClient; close(): unknown }

const clients: [string, Connect][] = [
  [
    'ioredis',
    ({ port }, password) => {
      const client = new Redis({ port, retryStrategy: () => 20, ...(password !== undefined && { password }) })
      return { client, close: () => client.disconnect() }
    },
  ],
  [
    'node-redis',
    ({ url }, password) => {
      const socket = { reconnectStrategy: () => 20 }
      const client = createClient({ url, socket, ...(password !== undefined && { password }) })
      void client.connect().catch(() => undefined)
      return { client, close: () => client.destroy() }
    },
  ],
]

const LIMIT: RateLimitOptions = { rate: 100, burst: 20, storeTimeoutMs: 100, storeRetryMs: 100 }

interface World {
  readonly redis: RedisServer
  readonly load: Load
  /** `down` and `up`, as the limiter tells. */
  readonly changes: readonly string[]
}

async function underLoad(
  connect: Connect,
  options: RateLimitOptions,
  play: (world: World) => Promise<void>,
): Promise<{ load: Load; spanMs: number; changes: string[]; limit: RateLimitInterceptor; slowestTurnMs: number }> {
  await using redis = await RedisServer.start()
  const { client, close } = connect(redis)
  try {
    const limit = rateLimit({ ...LIMIT, ...options, store: redisStore(client) })
    const changes: string[] = []
    // It tells of one outage again when the cause changes: refused, closed, no answer.
    limit.on('storeDown', () => changes.at(-1) !== 'down' && changes.push('down'))
    limit.on('storeUp', () => changes.push('up'))
    await using server = await startTestServer({ interceptors: [limit] })
    const load = new Load([server.client(), server.client()])
    const turns = monitorEventLoopDelay({ resolution: 5 })
    turns.enable()
    await play({ redis, load, changes })
    const spanMs = await load.stop()
    turns.disable()
    return { load, spanMs, changes, limit, slowestTurnMs: turns.max / 1e6 }
  } finally {
    close()
  }
}

/** Waits until the store was seen going down and coming back so often. */
async function seen(changes: readonly string[], count: number): Promise<void> {
  while (changes.length < count) await sleep(5)
}

/** A call takes some turns of the event loop, each of which may take long on a busy machine. */
function expectNoneHung({ answers }: Load, slowestTurnMs: number): void {
  const slowest = answers.reduce((worst, { tookMs }) => Math.max(worst, tookMs), 0)
  expect(slowest).toBeLessThan(1500 + 5 * slowestTurnMs)
}

describe.each(clients)('with %s, a Redis that is stopped, hung and started again under load', (_name, connect) => {
  /** Answers of a phase: enough for each of the eight workers to have made several calls in it. */
  const PHASE = 60
  const outages = async ({ redis, changes, load }: World, atDown = () => {}, atUp = () => {}): Promise<void> => {
    await load.more(PHASE)
    await redis.stop()
    await seen(changes, 1)
    atDown()
    await load.more(PHASE)
    atUp()
    await redis.start()
    await seen(changes, 2)
    await load.more(PHASE)
    redis.hang()
    await seen(changes, 3)
    await load.more(PHASE)
    redis.resume()
    await seen(changes, 4)
    await load.more(PHASE)
  }

  it('leaves it to the insurance: no call fails, hangs or slips through', async () => {
    const { load, spanMs, changes, limit, slowestTurnMs } = await underLoad(
      connect,
      { onStoreError: 'insurance', insuranceShare: 1 },
      outages,
    )
    expect(changes.slice(0, 4)).toEqual(['down', 'up', 'down', 'up'])
    expect(load.count(Code.OK) + load.count(Code.RESOURCE_EXHAUSTED)).toBe(load.answers.length)
    expect(limit.counters().insured).toBeGreaterThan(0)
    expectNoneHung(load, slowestTurnMs)
    // Three limiters took turns: Redis, the insurance, and Redis after it was started again, empty.
    expect(load.count(Code.OK)).toBeLessThanOrEqual(3 * 20 + 2 * Math.floor((100 * spanMs) / 1000))
    expect(load.count(Code.OK)).toBeGreaterThan(60)
  }, 30_000)

  it('refuses at once where it must not fail open, says until when, and comes back', async () => {
    let atDown = 0
    let atUp = 0
    const { load, spanMs, changes, limit, slowestTurnMs } = await underLoad(
      connect,
      { onStoreError: 'refuse' },
      (world) =>
        outages(
          world,
          () => {
            atDown = world.load.count(Code.OK)
          },
          () => {
            atUp = world.load.count(Code.OK)
          },
        ),
    )
    expect(changes.slice(0, 4)).toEqual(['down', 'up', 'down', 'up'])
    // While it is down, nothing is let through but what was under way.
    expect(atUp - atDown).toBeLessThanOrEqual(8)
    expect(limit.counters()).toMatchObject({ insured: 0 })
    const refused = load.answers.filter(({ code }) => code === Code.UNAVAILABLE)
    expect(refused.length).toBeGreaterThan(10)
    for (const { metadata } of refused) {
      const pushback = Number(metadata.get('grpc-retry-pushback-ms'))
      expect(pushback).toBeGreaterThanOrEqual(1)
      expect(pushback).toBeLessThanOrEqual(100)
    }
    expectNoneHung(load, slowestTurnMs)
    expect(load.count(Code.OK)).toBeLessThanOrEqual(2 * 20 + Math.floor((100 * spanMs) / 1000))
  }, 30_000)

  it('takes a pause and lost connections for no outage', async () => {
    await using redis = await RedisServer.start()
    const admin = new Redis(redis.port)
    const { client, close } = connect(redis)
    try {
      const limit = rateLimit({ rate: 1e6, store: redisStore(client) })
      const downs: unknown[] = []
      // Told again when its cause becomes another, an outage is still one.
      limit.on('storeDown', ({ error }) => downs.length === ups && downs.push(error))
      let ups = 0
      limit.on('storeUp', () => ups++)
      await using server = await startTestServer({ interceptors: [limit] })
      const stub = server.client()
      while ((await runRpc(stub, 'unary')).status?.code !== Code.OK) await sleep(5)
      const load = new Load([stub, server.client()])
      for (let i = 0; i < 3; i++) {
        await admin.client('PAUSE', 90, 'ALL')
        await load.more(PHASE)
        await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        // An answer begins the count anew.
        const soFar = load.answers.length
        await load.until(() => load.count(Code.OK, soFar) > 8)
      }
      await load.stop()
      const answered = load.answers.filter(({ code }) => code === Code.OK).map(({ atMs }) => atMs)
      // On a machine that is too busy to reconnect in time there is an outage, which this does not make one of the limiter's.
      const outages = answered.filter((atMs, i) => i > 0 && atMs - (answered[i - 1] as number) > 190)
      expect(downs.length).toBeLessThanOrEqual(outages.length)
      if (outages.length === 0) expect(limit.counters().storeLeftAlone).toBe(0)
    } finally {
      close()
      admin.disconnect()
    }
  }, 30_000)

  it('is back soon after a connection was lost, however long a dead Redis is left alone', async () => {
    await using redis = await RedisServer.start()
    const { client, close } = connect(redis)
    try {
      const limit = rateLimit({ rate: 1e6, store: redisStore(client), storeRetryMs: 600_000 })
      await using server = await startTestServer({ interceptors: [limit] })
      const stub = server.client()
      const answered = async (code: Code): Promise<void> => {
        while ((await runRpc(stub, 'unary')).status?.code !== code) await sleep(5)
      }
      await answered(Code.OK)
      await redis.stop()
      await answered(Code.UNAVAILABLE)
      await redis.start()
      await answered(Code.OK)
    } finally {
      close()
    }
  }, 30_000)

  it('refuses from the start while there never was one, and starts when there is', async () => {
    await using redis = await RedisServer.start()
    await redis.stop()
    const { client, close } = connect(redis)
    try {
      const limit = rateLimit({ ...LIMIT, store: redisStore(client) })
      await using server = await startTestServer({ interceptors: [limit] })
      const stub = server.client()
      expect((await runRpc(stub, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
      await redis.start()
      while ((await runRpc(stub, 'unary')).status?.code !== Code.OK) await sleep(10)
      expect(server.calls).toHaveLength(1)
    } finally {
      close()
    }
  }, 30_000)
})

describe.each(clients)('with %s, a Redis that loads its data', (_name, connect) => {
  it('is told of', async () => {
    await using redis = await RedisServer.start(
      '--key-load-delay',
      '2000',
      '--loading-process-events-interval-bytes',
      '1024',
    )
    const admin = new Redis(redis.port)
    await admin.mset(Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`key${i}`, 'x'.repeat(100)])))
    await admin.save()
    admin.disconnect()
    await redis.stop()
    const { client, close } = connect(redis)
    const limit = rateLimit({ ...LIMIT, store: redisStore(client) })
    // It was refused before.
    await new Promise<void>((resolve) => (client as unknown as EventEmitter).on('reconnecting', () => resolve()))
    const started = redis.start()
    try {
      const errors: string[] = []
      limit.on('storeDown', ({ error }) => errors.push(String(error)))
      await using server = await startTestServer({ interceptors: [limit] })
      const stub = server.client()
      while (!errors.some((error) => error.includes('LOADING'))) {
        expect((await runRpc(stub, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
        await sleep(10)
      }
      expect(limit.state()).toMatchObject({ up: false })
    } finally {
      close()
      await redis.stop()
      await started.catch(() => undefined)
    }
  }, 30_000)
})

describe.each(clients)('with %s, the errors of a client', (_name, connect) => {
  it.each([
    ['without', 1],
    ['with', 0],
  ])('are said once %s a listener of the application: %d warning', async (listener, count) => {
    const warnings: string[] = []
    const hear = (warning: NodeJS.ErrnoException): void => {
      if (warning.code === 'GRPC_STACK_REDIS_ERROR') warnings.push(warning.message)
    }
    process.on('warning', hear)
    await using redis = await RedisServer.start()
    await redis.stop()
    const { client, close } = connect(redis)
    try {
      const emitter = client as unknown as EventEmitter
      let heard = 0
      if (listener === 'with') emitter.on('error', () => heard++)
      redisStore(client)
      redisStore(client)
      let attempts = 0
      // Not `once`, which listens for errors, too.
      await new Promise<void>((resolve) => emitter.on('reconnecting', () => ++attempts === 3 && resolve()))
      expect(warnings.filter((text) => text.includes(`ECONNREFUSED 127.0.0.1:${redis.port}`))).toHaveLength(count)
      expect(heard > 0).toBe(listener === 'with')
    } finally {
      close()
      process.off('warning', hear)
    }
  })
})

describe.each(clients)('with %s, a Redis that cannot be used', (_name, connect) => {
  it.each<[string, (redis: RedisServer) => Promise<void>, string | undefined, RegExp]>([
    ['wants a password', (redis) => redis.configure('requirepass', 'sesame'), undefined, /NOAUTH/],
    ['wants another password', (redis) => redis.configure('requirepass', 'sesame'), 'poppy', /WRONGPASS/],
    ['is not there', (redis) => redis.stop(), undefined, /ECONNREFUSED/],
  ])('is told of with its reason: it %s', async (_what, spoil, password, reason) => {
    await using redis = await RedisServer.start()
    await spoil(redis)
    const { client, close } = connect(redis, password)
    try {
      const limit = rateLimit({ ...LIMIT, store: redisStore(client) })
      const errors: unknown[] = []
      limit.on('storeDown', ({ error }) => errors.push(error))
      await using server = await startTestServer({ interceptors: [limit] })
      const stub = server.client()
      while (!errors.some((error) => reason.test(String(error)))) {
        expect((await runRpc(stub, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
        await sleep(10)
      }
      expect(inspect(errors)).not.toContain('poppy')
    } finally {
      close()
    }
  })
})
