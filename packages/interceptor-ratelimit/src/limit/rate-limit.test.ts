import { status as Code, credentials, Metadata } from '@grpc/grpc-js'
import { type Call, chain, clientInterceptors, type Interceptor, RpcError, type Status } from '@grpc-stack/grpc-core'
import { systemWallClock } from '@grpc-stack/grpc-core/authoring'
import {
  type ClientRpc,
  FakeClock,
  interceptorSuite,
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
  type TestServerOptions,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { detailsOf } from '../../test/decode-error-details.ts'
import { byEach, byMetadata, byMethod, byPeer, unlimited } from '../keys/keys.ts'
import { memoryStore } from '../stores/memory-store.ts'
import type { Store } from '../stores/store.ts'
import { rateLimit } from './rate-limit.ts'

interceptorSuite('rateLimit', () => ({ server: rateLimit({ rate: 1e6 }) }))
interceptorSuite('rateLimit with several limits, headers and a limit per message', () => ({
  server: rateLimit({
    limits: [{ rate: 1e6 }, { rate: 1e6, perMs: 60_000, key: byMetadata('x-tenant') }],
    headers: true,
    perMessage: { rate: 1e6 },
  }),
  adds: ['ratelimit', 'ratelimit-policy'],
}))

const spent = (clock: FakeClock, more = {}) => rateLimit({ rate: 1, perMs: 60_000, key: () => 'one', clock, ...more })

/** What the application saw, without the half-close of streams and the time of day, which Node adds to all headers. */
function outcomeOf({ events, status }: ClientRpc): { events: string[]; status: unknown } {
  const { date: _, ...trailers } = status?.metadata.getMap() ?? {}
  return { events: events.filter((event) => event !== 'end'), status: { ...status, metadata: trailers } }
}

describe('a refusal', () => {
  // Who sends nothing, who sends everything and ends, and who sends a little and waits.
  const senders = {
    nothing: { requests: undefined, writes: 0 },
    everything: { requests: Array.from({ length: 50 }, (_, n) => ({ n, data: 'x'.repeat(20_000) })), writes: 0 },
    'a little and waits': { requests: undefined, writes: 2 },
  }

  it.each<[string, boolean, boolean]>([
    ['with createServer', false, false],
    ['on a stock server', true, false],
    ['with a store that takes its time', false, true],
  ])('is identical and immediate on all four patterns, whatever the client does: %s', async (_where, stock, slow) => {
    const clock = new FakeClock()
    const later: Store = {
      open: (limits) => {
        const limiter = memoryStore({ clock }).open(limits)
        return {
          take: (keys, costs) => new Promise((resolve) => setTimeout(() => resolve(limiter.take(keys, costs)), 5)),
        }
      },
    }
    let read = 0
    const counting: Interceptor = (call, next) => {
      call.onRequest(() => {
        read++
      })
      return next()
    }
    await using server = await startTestServer({
      stock,
      interceptors: [counting, spent(clock, slow ? { name: 'slow', store: later } : {})],
    })
    const client = server.client()
    await runRpc(client, 'unary', { requests: [{}] })
    expect(read).toBe(1)
    const seen: { events: string[]; status: unknown }[] = []
    for (const pattern of patterns) {
      for (const { requests, writes } of Object.values(senders)) {
        const rpc = startRpc(client, pattern, requests === undefined ? {} : { requests })
        for (let n = 0; n < writes && 'write' in rpc.call; n++) rpc.call.write({ n })
        await rpc.done
        seen.push(outcomeOf(rpc))
      }
    }
    expect(seen).toHaveLength(12)
    for (const pattern of [0, 3, 6, 9]) {
      for (const sender of [0, 1, 2]) expect(seen[pattern + sender]).toEqual(seen[pattern])
    }
    const statuses = seen.map(({ status }) => status)
    for (const status of statuses) expect(status).toEqual(statuses[0])
    // Trailers-only: no headers, and not one message was read.
    for (const { events } of seen) expect(events).not.toContain('metadata')
    expect(read).toBe(1)
    expect(server.calls).toHaveLength(1)
  })

  it('is RESOURCE_EXHAUSTED with pushback, ErrorInfo, RetryInfo and QuotaFailure', async () => {
    const clock = new FakeClock()
    const limit = rateLimit({
      rate: 2,
      perMs: 3000,
      clock,
      name: 'per-peer',
      domain: 'shop.example',
      subject: (key) => `clientip:${key}`,
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    for (let i = 0; i < 2; i++) expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
    clock.jump(100)
    const { status } = await runRpc(client, 'unary')
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(status?.details).toBe('Rate limit exceeded: 2 per 3000 ms, burst 2; retry in 1400 ms')
    expect(status?.metadata.get('grpc-retry-pushback-ms')).toEqual(['1400'])
    expect(status?.metadata.get('ratelimit')).toEqual([])
    expect(detailsOf(status?.metadata)).toEqual({
      code: Code.RESOURCE_EXHAUSTED,
      message: status?.details,
      details: {
        ErrorInfo: {
          reason: 'RATE_LIMIT_EXCEEDED',
          domain: 'shop.example',
          metadata: { limit: 'per-peer', rate: '2', per_ms: '3000', burst: '2' },
        },
        RetryInfo: { retryDelay: { seconds: 1, nanos: 400_000_000 } },
        QuotaFailure: { violations: [{ subject: 'clientip:127.0.0.1', description: '2 per 3000 ms, burst 2' }] },
      },
    })
    clock.jump(1399)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    clock.jump(1)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('does not tell the key, which may be a secret, unless asked to', async () => {
    const limit = spent(new FakeClock(), { key: byMetadata('x-api-key') })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    const metadata = metadataOf({ 'x-api-key': 'top-secret' })
    await runRpc(client, 'unary', { metadata })
    const { status } = await runRpc(client, 'unary', { metadata })
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(JSON.stringify(status?.metadata.getMap())).not.toContain('secret')
    expect(JSON.stringify(detailsOf(status?.metadata))).not.toContain('secret')
  })

  it('of a cost that never fits says so: no RetryInfo, and a pushback that means do not retry', async () => {
    const limit = rateLimit({ rate: 5, cost: () => 6 })
    await using server = await startTestServer({ interceptors: [limit] })
    const { status } = await runRpc(server.client(), 'unary')
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(status?.metadata.get('grpc-retry-pushback-ms')).toEqual(['-1'])
    const { details } = detailsOf(status?.metadata)
    expect(details.ErrorInfo).toMatchObject({ reason: 'COST_EXCEEDS_BURST' })
    expect(details.RetryInfo).toBeUndefined()
  })

  it('has another code on request, the same in grpc-status and in the details', async () => {
    const limit = spent(new FakeClock(), { code: Code.UNAVAILABLE })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    await runRpc(client, 'unary')
    const { status } = await runRpc(client, 'unary')
    expect(status?.code).toBe(Code.UNAVAILABLE)
    expect(detailsOf(status?.metadata).code).toBe(Code.UNAVAILABLE)
  })

  it('names the interceptor to outer ones, as a local status', async () => {
    const seen: Status[] = []
    const observing: Interceptor = async (_call, next) => {
      const status = await next()
      seen.push(status)
      return status
    }
    await using server = await startTestServer({ interceptors: [observing, spent(new FakeClock())] })
    const client = server.client()
    for (let i = 0; i < 2; i++) await runRpc(client, 'bidi')
    expect(seen[1]).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, origin: 'local', refusedBy: 'rateLimit' })
  })

  it('is obeyed by the retries of a stock grpc-js channel', async () => {
    const limit = rateLimit({ rate: 1, perMs: 150, name: 'slow' })
    await using server = await startTestServer({ interceptors: [limit] })
    const retryPolicy = {
      maxAttempts: 3,
      initialBackoff: '30s',
      maxBackoff: '30s',
      backoffMultiplier: 1,
      retryableStatusCodes: ['RESOURCE_EXHAUSTED'],
    }
    const client = new TestClient(server.address, credentials.createInsecure(), {
      'grpc.service_config': JSON.stringify({ methodConfig: [{ name: [{}], retryPolicy }] }),
    })
    try {
      for (let i = 0; i < 3; i++) {
        // Without the pushback the first backoff would outlast the test.
        expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
      }
      expect(limit.counters().refused).toBeGreaterThan(0)
    } finally {
      client.close()
    }
  })
})

it('is refused on a client, with what limits calls there', () => {
  const limit = rateLimit({ rate: 1 }) as unknown as Interceptor
  for (const compose of [() => clientInterceptors(limit), () => clientInterceptors(chain(limit))]) {
    expect(compose).toThrow('rateLimit, which is for servers: on a client use throttle()')
  }
})

describe('several limits', () => {
  it('are charged all or nothing', async () => {
    const clock = new FakeClock()
    const tenant = byMetadata('x-tenant')
    const limit = rateLimit({
      clock,
      limits: [
        { name: 'tenant', rate: 2, perMs: 60_000, key: tenant },
        { name: 'all', rate: 3, perMs: 60_000, key: () => 'all' },
      ],
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    const call = async (name: string) =>
      (await runRpc(client, 'unary', { metadata: metadataOf({ 'x-tenant': name }) })).status
    expect((await call('a'))?.code).toBe(Code.OK)
    expect((await call('a'))?.code).toBe(Code.OK)
    // Refused by the first, so not charged to the second, which has room for one more.
    expect(detailsOf((await call('a'))?.metadata).details.QuotaFailure).toEqual({
      violations: [{ subject: 'tenant', description: '2 per 60000 ms, burst 2' }],
    })
    expect((await call('b'))?.code).toBe(Code.OK)
    expect(detailsOf((await call('b'))?.metadata).details.QuotaFailure).toEqual({
      violations: [{ subject: 'all', description: '3 per 60000 ms, burst 3' }],
    })
    expect(detailsOf((await call('a'))?.metadata).details.QuotaFailure).toMatchObject({
      violations: [{ subject: 'tenant' }, { subject: 'all' }],
    })
  })

  it('let one be skipped with `unlimited`, and a call through that none concerns', async () => {
    const limit = rateLimit({ rate: 1, perMs: 60_000, key: () => unlimited })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    for (let i = 0; i < 3; i++) expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })
})

describe('ratelimit headers', () => {
  const started = async (options: TestServerOptions) => {
    const server = await startTestServer(options)
    return { server, client: server.client() }
  }

  // reference: flaw 67
  it('tell callers where they stand: in response headers, and with a refusal', async () => {
    const clock = new FakeClock()
    const limit = rateLimit({ rate: 3, perMs: 10_000, clock, headers: true, name: 'per-peer' })
    const { server, client } = await started({ interceptors: [limit] })
    await using _ = server
    const { headers, status: fine } = await runRpc(client, 'serverStream')
    expect(headers?.get('ratelimit-policy')).toEqual(['"per-peer";q=3;w=10'])
    expect(headers?.get('ratelimit')).toEqual(['"per-peer";r=2;t=4'])
    expect(fine?.metadata.getMap()).toEqual({})
    await runRpc(client, 'unary')
    await runRpc(client, 'unary')
    const { status } = await runRpc(client, 'unary')
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(status?.metadata.get('ratelimit')).toEqual(['"per-peer";r=0;t=4'])
    expect(status?.metadata.get('retry-after')).toEqual(['4'])
  })
})

describe('it fails closed', () => {
  it.each<[string, Parameters<typeof rateLimit>[0]]>([
    [
      'a key function that throws',
      {
        rate: 9,
        key: () => {
          throw new Error('boom')
        },
      },
    ],
    // @ts-expect-error: no key
    ['a key that is no string', { rate: 9, key: () => 7 }],
    // @ts-expect-error: no key
    ['a key that is promised', { rate: 9, key: async () => 'late' }],
    // @ts-expect-error: no key
    ['a key whose promise rejects', { rate: 9, key: () => Promise.reject(new Error('boom')) }],
    // @ts-expect-error: no cost
    ['a cost whose promise rejects', { rate: 9, cost: () => Promise.reject(new Error('boom')) }],
    ['a cost that is no number', { rate: 9, cost: () => Number.NaN }],
    ['a negative cost', { rate: 9, cost: () => -1 }],
  ])('%s ends the RPC', async (_name, options) => {
    await using server = await startTestServer({ interceptors: [rateLimit(options)] })
    const client = server.client()
    for (const pattern of patterns) {
      const { status } = await runRpc(client, pattern)
      expect(status).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
    }
    expect(server.calls).toHaveLength(0)
  })

  it('counts a call without a key against its peer, apart from every key that a caller can choose', async () => {
    const limit = spent(new FakeClock(), {
      key: (call: Call) => String(call.metadata.get('name')[0] ?? '') || undefined,
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    const code = async (metadata = new Metadata()) => (await runRpc(client, 'unary', { metadata })).status?.code
    expect(await code()).toBe(Code.OK)
    expect(await code()).toBe(Code.RESOURCE_EXHAUSTED)
    expect(await code(metadataOf({ name: '127.0.0.1' }))).toBe(Code.OK)
    expect(await code(metadataOf({ name: 'peer=127.0.0.1' }))).toBe(Code.OK)
  })
})

describe('the insurance', () => {
  const dead: Store = { open: () => ({ take: () => Promise.reject(new Error('no store')) }) }

  it('grants its share of each limit, and never says never to what the whole limit may admit', async () => {
    const limit = rateLimit({
      rate: 10,
      perMs: 60_000,
      store: dead,
      onStoreError: 'insurance',
      insuranceShare: 0.2,
      storeRetryMs: 700,
      clock: new FakeClock(),
      cost: (call) => (call.method.pattern === 'bidi' ? 5 : 1),
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    expect((await runRpc(client, 'bidi')).status?.metadata.get('grpc-retry-pushback-ms')).toEqual(['50'])
    const codes: unknown[] = []
    for (let i = 0; i < 4; i++) codes.push((await runRpc(client, 'unary')).status?.code)
    expect(codes).toEqual([Code.OK, Code.OK, Code.RESOURCE_EXHAUSTED, Code.RESOURCE_EXHAUSTED])
    expect(limit.counters()).toMatchObject({ admitted: 2, refused: 3, insured: 5 })
  })

  it('is not there by default: calls end UNAVAILABLE, with the reason in the status of interceptors outside', async () => {
    const limit = rateLimit({ rate: 10, store: dead, clock: new FakeClock() })
    const causes: unknown[] = []
    const observing: Interceptor = async (_call, next) => {
      const status = await next()
      causes.push((status.cause as Error).message)
      return status
    }
    await using server = await startTestServer({ interceptors: [observing, limit] })
    const client = server.client()
    for (const pattern of patterns) {
      const { status } = await runRpc(client, pattern)
      expect(status).toMatchObject({ code: Code.UNAVAILABLE, details: 'Rate limit store unavailable' })
      expect(detailsOf(status?.metadata).details.ErrorInfo).toMatchObject({ reason: 'RATE_LIMIT_STORE_UNAVAILABLE' })
    }
    expect(causes).toEqual(Array(4).fill('no store'))
    expect(limit.counters()).toMatchObject({ admitted: 0, refused: 0, refusedByStore: 4 })
  })
})

describe('options', () => {
  it.each<[object, string]>([
    [{}, 'rateLimit: option "rate" must be a number > 0, got undefined'],
    [{ rate: 0 }, 'option "rate"'],
    [{ rate: Number.POSITIVE_INFINITY }, 'option "rate"'],
    [{ rate: '5' }, 'option "rate"'],
    [{ rate: 5, perMs: 0 }, 'option "perMs"'],
    [{ rate: 5, perMs: null }, 'option "perMs"'],
    [{ rate: 5, burst: 0.5 }, 'option "burst" must be a number ≥ 1'],
    [{ rate: 5, cost: 6 }, 'option "cost" must be a function or a number from 0 to the burst, 5'],
    [{ rate: 5, cost: -1 }, 'option "cost"'],
    [{ rate: 5, key: 'peer' }, 'option "key" must be a function, got "peer"'],
    [{ rate: 5, name: 'a b' }, 'option "name"'],
    [{ rate: 1, perMs: 1e12, burst: 1e9 }, 'cannot be counted exactly'],
    [{ rate: 5, limits: [{ rate: 5 }] }, 'options "limits" and "rate" exclude each other'],
    [{ limits: [] }, 'option "limits"'],
    [{ limits: [{ rate: 5 }, { rate: -5 }] }, 'rateLimit: limits[1]: option "rate"'],
    [{ limits: [{ rate: 5 }, { rate: 5 }] }, 'two limits have the name "5/1000ms"'],
    [{ rate: 5, onStoreError: 'open' }, 'option "onStoreError" must be "insurance" or "refuse", got "open"'],
    [{ rate: 5, store: {} }, 'option "store"'],
    [
      { rate: 5, store: memoryStore(), key: byMetadata('x-tenant') },
      'rateLimit: option "name" is needed beside "key" and "store"',
    ],
    [
      { store: memoryStore(), limits: [{ rate: 5 }, { rate: 5, perMs: 1, key: byPeer() }] },
      'rateLimit: limits[1]: option "name" is needed beside "key" and "store"',
    ],
    [{ rate: 5, store: memoryStore(), maxKeys: 5 }, 'option "maxKeys" belongs to the default store'],
    [{ rate: 5, maxKeys: 0 }, 'option "maxKeys"'],
    [{ rate: 5, storeTimeoutMs: 0 }, 'option "storeTimeoutMs"'],
    [{ rate: 5, insuranceShare: 2 }, 'option "insuranceShare"'],
    [{ rate: 5, code: 0 }, 'option "code"'],
    [{ rate: 5, shadow: 'yes' }, 'option "shadow"'],
    [{ rate: 5, clock: {} }, 'option "clock"'],
    [{ rate: 5, perMessage: { rate: 0 } }, 'rateLimit: perMessage: option "rate"'],
    [{ rate: 5, rateMs: 5 }, 'rateLimit: unknown option "rateMs"'],
    [{ rate: 5, onStoreEror: 'refuse' }, 'unknown option "onStoreEror"; did you mean "onStoreError"?'],
    [{ rate: 5, clock: systemWallClock }, 'option "clock"'],
    [
      { rate: 5, perMessage: undefined },
      'option "perMessage" must be a limit of messages, got undefined; leave it out',
    ],
    [{ rate: 5, perMessage: null }, 'rateLimit: perMessage: options must be an object, got null'],
    [[], 'rateLimit: options must be an object'],
  ])('%j: %s', (options, message) => {
    expect(() => rateLimit(options)).toThrow(TypeError)
    expect(() => rateLimit(options)).toThrow(message)
  })

  it('refuses to listen for an event that does not exist', () => {
    const limit = rateLimit({ rate: 5 })
    expect(() => limit.on('typo' as 'refused', () => undefined)).toThrow(
      'rateLimit.on: event must be "refused" or "storeDown" or "storeUp", got typo',
    )
  })

  it('counts limits of equal numbers and different keys apart on one store', async () => {
    const [store, clock] = [memoryStore(), new FakeClock()]
    const numbers = { rate: 1, perMs: 60_000, store, clock }
    const byAddress = rateLimit(numbers)
    const byTenant = rateLimit({
      ...numbers,
      name: 'per-tenant',
      key: (call) => String(call.metadata.get('x-tenant')[0]),
    })
    await using server = await startTestServer({ interceptors: [byAddress, byTenant] })
    const metadata = metadataOf({ 'x-tenant': '127.0.0.1' })
    expect((await runRpc(server.client(), 'unary', { metadata })).status?.code).toBe(Code.OK)
    expect(store.size).toBe(2)
  })

  it('keeps no credential: neither the store nor an event sees an API key', async () => {
    const seen: unknown[] = []
    const store: Store = {
      open: () => ({
        take: (keys) => {
          seen.push(keys)
          return { admitted: false, limits: [{ waitMs: 5, remaining: 0, resetMs: 5 }] }
        },
      }),
    }
    const key = byEach(byMetadata('x-api-key'), byMethod)
    const limit = rateLimit({ name: 'per-key', rate: 1, key, store, subject: (of) => of })
    limit.on('refused', (event) => seen.push(event))
    await using server = await startTestServer({ interceptors: [limit] })
    const metadata = metadataOf({ 'x-api-key': 'sk_live_1' })
    const { status } = await runRpc(server.client(), 'unary', { metadata })
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(seen).toHaveLength(2)
    expect(JSON.stringify([seen, detailsOf(status?.metadata)])).not.toContain('sk_live')
  })

  it('lets a listener throw', async () => {
    const limit = spent(new FakeClock())
    limit.on('refused', () => {
      throw new RpcError(Code.DATA_LOSS)
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    await runRpc(client, 'unary')
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.RESOURCE_EXHAUSTED)
  })
})
