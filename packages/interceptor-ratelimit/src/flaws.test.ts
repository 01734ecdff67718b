// The flaws of the reference's rate limiter, by number, each on a real server.
import { Client, status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { ContextVar, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import {
  FakeClock,
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { connectFrom } from '../test/connect-from.ts'
import { detailsOf } from '../test/decode-error-details.ts'
import { concurrencyLimit } from './concurrency/concurrency-limit.ts'
import { byPrincipal } from './keys/keys.ts'
import { type RefusedEvent, rateLimit } from './limit/rate-limit.ts'
import { quotaOf } from './quota/gcra.ts'
import { memoryStore } from './stores/memory-store.ts'

const spent = (clock: FakeClock, more = {}) => rateLimit({ rate: 1, perMs: 60_000, key: () => 'one', clock, ...more })

describe('flaws of the reference', () => {
  // reference: deviation 31, flaw 62, symbol 76, symbol 77
  it('no edge of a window lets more than the bound through', async () => {
    // 60 a minute, asked for around the turn of the minute: the reference admits 120 within 20 ms.
    const clock = new FakeClock(59_990)
    const limit = rateLimit({ rate: 60, perMs: 60_000, clock })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    let admitted = 0
    for (let i = 0; i < 120; i++) {
      if (i === 60) clock.jump(20)
      if ((await runRpc(client, 'unary')).status?.code === Code.OK) admitted++
    }
    expect(admitted).toBe(60)
  })

  // reference: flaw 63
  it('a call costs the same whatever number of keys is known, and the number is bounded', () => {
    // The reference walks all keys on every request: 1.7 ms each at 100 000 keys.
    const clock = new FakeClock()
    const store = memoryStore({ clock, maxKeys: 100_000 })
    const limiter = store.open([
      { name: 'test', quota: quotaOf(1, 60_000, 1) ?? expect.unreachable(), sameKeyAsFirst: true },
    ])
    const perCallUs = (from: number, count: number): number => {
      const begin = performance.now()
      for (let i = from; i < from + count; i++) limiter.take([`10.${i}`], [1])
      return ((performance.now() - begin) * 1000) / count
    }
    perCallUs(0, 20_000)
    const few = perCallUs(20_000, 20_000)
    perCallUs(40_000, 160_000)
    expect(store.size).toBe(100_000)
    const many = perCallUs(200_000, 20_000)
    expect(store.size).toBe(100_000)
    expect(many).toBeLessThan(Math.max(20, few * 10)) // walking would make it 1700
  })

  // reference: flaw 64, sentence 35
  it('callers without credentials do not share a bucket', async () => {
    await using server = await startTestServer({ interceptors: [rateLimit({ rate: 2, perMs: 60_000 })] })
    await using elsewhere = await connectFrom('127.0.0.2', server.address)
    const abuser = server.client()
    const other = new TestClient(elsewhere.address, credentials.createInsecure(), {})
    try {
      for (let i = 0; i < 5; i++) await runRpc(abuser, 'unary')
      expect((await runRpc(abuser, 'unary')).status?.code).toBe(Code.RESOURCE_EXHAUSTED)
      expect((await runRpc(other, 'unary')).status?.code).toBe(Code.OK)
    } finally {
      other.close()
    }
  })

  // reference: flaw 65
  it('floods of bad tokens are refused before they cost a validation, and good callers by who they are', async () => {
    const principalVar = new ContextVar<{ subject: string }>('principal')
    let validations = 0
    const auth: Interceptor = (call, next) => {
      validations++
      const [token] = call.metadata.get('authorization')
      if (typeof token !== 'string' || !token.startsWith('good-')) return { code: Code.UNAUTHENTICATED }
      principalVar.set({ subject: token })
      return next()
    }
    const clock = new FakeClock()
    const byAddress = rateLimit({ rate: 10, perMs: 60_000, clock })
    const bySubject = rateLimit({ rate: 2, perMs: 60_000, clock, key: byPrincipal(principalVar) })
    await using server = await startTestServer({ interceptors: [byAddress, auth, bySubject] })
    const client = server.client()
    const codes: unknown[] = []
    for (const token of ['good-a', 'good-a', 'good-a', 'good-b', ...Array.from({ length: 50 }, () => 'bad')]) {
      codes.push((await runRpc(client, 'unary', { metadata: metadataOf({ authorization: token }) })).status?.code)
    }
    expect(codes.slice(0, 4)).toEqual([Code.OK, Code.OK, Code.RESOURCE_EXHAUSTED, Code.OK])
    expect(codes.slice(4, 10)).toEqual(Array(6).fill(Code.UNAUTHENTICATED))
    expect(codes.slice(10)).toEqual(Array(44).fill(Code.RESOURCE_EXHAUSTED))
    expect(validations).toBe(10)
  })

  // reference: flaw 66
  it('a refusal is the same for all four patterns', async () => {
    await using server = await startTestServer({ interceptors: [spent(new FakeClock())] })
    const client = server.client()
    await runRpc(client, 'unary')
    const statuses: unknown[] = []
    for (const pattern of patterns) {
      const { status, events } = await runRpc(client, pattern)
      const { date: _, ...trailers } = status?.metadata.getMap() ?? {} // the time of day, which Node adds to all headers
      statuses.push({ code: status?.code, details: status?.details, trailers })
      expect(events).not.toContain('metadata')
    }
    for (const status of statuses) expect(status).toEqual(statuses[0])
  })

  // reference: flaw 67
  it('a refusal tells when to come back, and coming back then is enough', async () => {
    const clock = new FakeClock()
    await using server = await startTestServer({ interceptors: [rateLimit({ rate: 7, perMs: 1000, burst: 1, clock })] })
    const client = server.client()
    for (let i = 0; i < 20; i++) {
      expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
      const { status } = await runRpc(client, 'unary')
      expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
      const wait = Number(status?.metadata.get('grpc-retry-pushback-ms')[0])
      const { retryDelay } = detailsOf(status?.metadata).details.RetryInfo as { retryDelay: { nanos: number } }
      expect(retryDelay.nanos).toBe(wait * 1e6)
      clock.jump(wait)
    }
  })

  // reference: flaw 68
  it('the messages of a stream can be limited, and streams at the same time', async () => {
    const clock = new FakeClock()
    const perMessage = rateLimit({ rate: 10, perMs: 60_000, clock, perMessage: { rate: 3, perMs: 60_000 } })
    await using server = await startTestServer({ interceptors: [concurrencyLimit({ limit: 1 }), perMessage] })
    const client = server.client()
    const open = startRpc(client, 'bidi')
    await open.write({ n: 1 })
    await open.messageSeen
    expect((await runRpc(client, 'bidi')).status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    for (let n = 2; n <= 4; n++) await open.write({ n }).catch(() => undefined)
    await open.done
    expect(open.status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(open.messages.length).toBeLessThanOrEqual(3)
    expect(server.calls[0]?.requests).toHaveLength(3)
  })

  // reference: flaw 69
  it('limits differ by method and by cost', async () => {
    const limit = rateLimit({
      clock: new FakeClock(),
      rate: 10,
      perMs: 60_000,
      key: (call) => call.method.path,
      cost: (call) => (call.method.pattern === 'bidi' ? 5 : 1),
    })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    const admitted = { unary: 0, bidi: 0 }
    for (const pattern of ['unary', 'bidi'] as const) {
      for (let i = 0; i < 15; i++) {
        if ((await runRpc(client, pattern)).status?.code === Code.OK) admitted[pattern]++
      }
    }
    expect(admitted).toEqual({ unary: 10, bidi: 2 })
  })

  // reference: flaw 69
  it('a clock that steps backwards neither opens nor blocks', async () => {
    const clock = new FakeClock(1e9)
    await using server = await startTestServer({ interceptors: [rateLimit({ rate: 1, perMs: 1000, clock })] })
    const client = server.client()
    const code = async () => (await runRpc(client, 'unary')).status?.code
    expect(await code()).toBe(Code.OK)
    clock.jump(-1e8)
    expect(await code()).toBe(Code.RESOURCE_EXHAUSTED)
    clock.jump(999)
    expect(await code()).toBe(Code.RESOURCE_EXHAUSTED)
    clock.jump(1)
    expect(await code()).toBe(Code.OK)
  })

  // reference: flaw 70
  it('calls to unregistered methods use up no quota of registered ones', async () => {
    const limit = rateLimit({ rate: 1, perMs: 60_000, clock: new FakeClock() })
    const server = createServer({ interceptors: [limit] })
    const bytes = (buffer: Buffer): Buffer => buffer
    const definition = {
      path: '/shop.Shop/Get',
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes,
    } as const
    server.addService({ get: definition }, { get: async (call: { request: Buffer }) => call.request })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
    const codeOf = (path: string): Promise<Code> =>
      new Promise((resolve) => {
        client.makeUnaryRequest(path, bytes, bytes, Buffer.of(1), (error) => resolve(error?.code ?? Code.OK))
      })
    try {
      expect(await codeOf('/shop.Shop/Guess')).toBe(Code.UNIMPLEMENTED)
      for (let i = 0; i < 5; i++) expect(await codeOf(`/shop.Shop/Guess${i}`)).toBe(Code.RESOURCE_EXHAUSTED)
      expect(await codeOf('/shop.Shop/Get')).toBe(Code.OK)
      expect(await codeOf('/shop.Shop/Get')).toBe(Code.RESOURCE_EXHAUSTED)
    } finally {
      client.close()
      server.forceShutdown()
    }
  })

  // reference: flaw 70
  it('shadow mode decides, counts and emits events, and refuses no call', async () => {
    const limit = spent(new FakeClock(), { shadow: true, name: 'trial' })
    const events: RefusedEvent[] = []
    const stop = limit.on('refused', (event) => events.push(event))
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    for (let i = 0; i < 3; i++) expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
    expect(events).toHaveLength(2)
    expect(events[0]).toMatchObject({ reason: 'limit', limits: ['trial'], keys: ['one'], waitMs: 60_000, shadow: true })
    expect(limit.counters()).toEqual({
      admitted: 1,
      refused: 0,
      refusedByStore: 0,
      shadowed: 2,
      messagesRefused: 0,
      insured: 0,
      leased: 0,
      storeAnswers: 0,
      storeAnswersMs: 0,
      storeLate: 0,
      storeErrors: 0,
      remembered: 0,
      storeLeftAlone: 0,
    })
    stop()
    await runRpc(client, 'unary')
    expect(events).toHaveLength(2)
  })
})
