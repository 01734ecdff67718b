import type { MessageInitShape } from '@bufbuild/protobuf'
import { status as Code, credentials, Metadata, ServerCredentials } from '@grpc/grpc-js'
import { errorDetails } from '@grpc-stack/error-details'
import { type Channel, createChannel, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import { serviceDefinition } from '@grpc-stack/grpc-core/protobuf-es'
import { FakeClock, patterns, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { type RateLimitServiceOptions, rateLimitService } from './rate-limit-service.ts'
import { type RateLimitResponseSchema, RateLimitService } from './rls_pb.ts'

interface Asked {
  readonly domain: string
  readonly hitsAddend: number
  /** `path=/a,user=b` of each descriptor. */
  readonly descriptors: readonly string[]
}
/** A `RateLimitResponse`, as a plain object. */
type Answer = MessageInitShape<typeof RateLimitResponseSchema>

/** A service of the protocol, whose answers a test gives. */
async function startService(answer: (asked: Asked) => Answer | Promise<Answer>) {
  const questions: Asked[] = []
  const server = createServer()
  server.addService(serviceDefinition(RateLimitService), {
    shouldRateLimit: async ({ request: { domain, hitsAddend, descriptors } }) => {
      const texts = descriptors.map(({ entries }) => entries.map(({ key, value }) => `${key}=${value}`).join())
      const asked = { domain, hitsAddend, descriptors: texts }
      questions.push(asked)
      return await answer(asked)
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error)
      else resolve(bound)
    })
  })
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  started.push(
    () => channel.close(),
    () => server.forceShutdown(),
  )
  return { channel, questions, stop: () => server.forceShutdown() }
}

const started: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of started.splice(0)) await stop()
})

async function startLimited(
  options: Partial<RateLimitServiceOptions> & { channel: Channel },
  ...inside: Interceptor[]
) {
  const limiter = rateLimitService({
    domain: 'test',
    timeoutMs: 5000,
    descriptors: (call) => [{ path: call.method.path, user: String(call.metadata.get('user')[0] ?? 'none') }],
    ...options,
  })
  const server = await startTestServer({ interceptors: [limiter, ...inside] })
  started.push(() => server.stop())
  return { limiter, server, client: server.client() }
}

const ok = () => ({ overallCode: 1 })
const over = (fields: object = {}) => ({
  overallCode: 2,
  statuses: [{ code: 2, currentLimit: { requestsPerUnit: 5, unit: 2 }, ...fields }],
})

function as(user: string): Metadata {
  const metadata = new Metadata()
  metadata.set('user', user)
  return metadata
}

describe.each(patterns)('rateLimitService, %s', (pattern) => {
  it('asks about each call, and lets it through', async () => {
    const { channel, questions } = await startService(ok)
    const { client, limiter } = await startLimited({ channel, hits: 3 })
    const rpc = await runRpc(client, pattern, { metadata: as('ann') })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(questions).toEqual([
      {
        domain: 'test',
        hitsAddend: 3,
        descriptors: [expect.stringMatching(/^path=\/grpcstack\.testing\.Test\/\w+,user=ann$/)],
      },
    ])
    expect(limiter.counters()).toEqual({ admitted: 1, refused: 0, remembered: 0, failed: 0 })
  })

  it('refuses what is over its limit, says when to come again, and never runs the handler', async () => {
    const { channel } = await startService(() => over({ durationUntilReset: { seconds: 12n, nanos: 500_000_000 } }))
    const { client, server, limiter } = await startLimited({ channel })
    const { error, status } = await runRpc(client, pattern)
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(status?.details).toBe('Rate limit exceeded: 5 per minute; retry in 12500 ms')
    expect(status?.metadata.get('grpc-retry-pushback-ms')).toEqual(['12500'])
    expect(errorDetails(error).map(({ type }) => type)).toEqual(
      expect.arrayContaining([expect.stringContaining('RetryInfo')]),
    )
    expect(limiter.counters()).toMatchObject({ refused: 1, admitted: 0 })
    expect(server.calls).toHaveLength(0)
  })
})

describe('rateLimitService', () => {
  it('does not ask again about what was refused until the time that the service named', async () => {
    const clock = new FakeClock()
    const { channel, questions } = await startService(({ descriptors }) =>
      descriptors[0]?.endsWith('ann') ? over({ durationUntilReset: { seconds: 2n } }) : ok(),
    )
    const { client, limiter } = await startLimited({ channel, clock })
    const events: unknown[] = []
    limiter.on('refused', ({ waitMs, remembered }) => events.push([waitMs, remembered]))
    await runRpc(client, 'unary', { metadata: as('ann') })
    clock.jump(500)
    const again = await runRpc(client, 'unary', { metadata: as('ann') })
    expect(again.status?.details).toBe('Rate limit exceeded; retry in 1500 ms')
    expect((await runRpc(client, 'unary', { metadata: as('bob') })).status?.code).toBe(Code.OK)
    expect(questions).toHaveLength(2)
    clock.jump(1500)
    await runRpc(client, 'unary', { metadata: as('ann') })
    expect(questions).toHaveLength(3)
    expect(events).toEqual([
      [2000, false],
      [1500, true],
      [2000, false],
    ])
    expect(limiter.counters()).toEqual({ admitted: 1, refused: 3, remembered: 1, failed: 0 })
  })

  it('asks each time where it is not to remember, and where the service names no time', async () => {
    const { channel, questions } = await startService(() => over({ durationUntilReset: { seconds: 2n } }))
    const { client } = await startLimited({ channel, rememberRefusals: false })
    await runRpc(client, 'unary')
    await runRpc(client, 'unary')
    const untimed = await startService(() => over())
    const other = await startLimited({ channel: untimed.channel })
    const { status } = await runRpc(other.client, 'unary')
    await runRpc(other.client, 'unary')
    expect(status?.details).toBe('Rate limit exceeded: 5 per minute')
    expect([questions.length, untimed.questions.length]).toEqual([2, 2])
  })

  it.each([
    ['refuse', Code.UNAVAILABLE],
    ['admit', Code.OK],
  ] as const)(
    'with onServiceError "%s" ends calls with %i while the service is gone, fails, or answers nonsense',
    async (onServiceError, code) => {
      const gone = await startService(ok)
      gone.stop()
      const broken = await startService(() => Promise.reject(new Error('database')))
      const nonsense = await startService(() => ({ overallCode: 0 }))
      for (const { channel } of [gone, broken, nonsense]) {
        const { client, limiter } = await startLimited({ channel, onServiceError, timeoutMs: 5000 })
        const errors: unknown[] = []
        limiter.on('failed', ({ error }) => errors.push(error))
        const { status } = await runRpc(client, 'unary')
        expect(status?.code).toBe(code)
        expect(limiter.counters().failed).toBe(1)
        expect(errors).toHaveLength(1)
      }
    },
  )

  it('waits for a service that hangs no longer than its time', async () => {
    const { channel } = await startService(() => new Promise(() => undefined))
    const { client } = await startLimited({ channel, timeoutMs: 20 })
    expect((await runRpc(client, 'unary')).status).toMatchObject({
      code: Code.UNAVAILABLE,
      details: 'Rate limit service unavailable',
    })
  })

  it('stops asking when the call is cancelled', async () => {
    let ended: (() => void) | undefined
    const seen = new Promise<void>((resolve) => {
      ended = resolve
    })
    const server = createServer()
    server.addService(serviceDefinition(RateLimitService), {
      shouldRateLimit: (call, _callback) => {
        call.on('cancelled', () => ended?.())
        rpc.cancel()
      },
    })
    const port = await new Promise<number>((resolve) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => resolve(bound))
    })
    const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
    started.push(
      () => channel.close(),
      () => server.forceShutdown(),
    )
    const { client, limiter } = await startLimited({ channel, timeoutMs: 60_000 })
    const rpc = startRpc(client, 'unary')
    await rpc.done
    await seen
    expect(rpc.status?.code).toBe(Code.CANCELLED)
    expect(limiter.counters()).toEqual({ admitted: 0, refused: 0, remembered: 0, failed: 0 })
  })

  it('passes on headers of the service that gRPC can carry, to the handler and to the caller', async () => {
    const { channel } = await startService(() => ({
      overallCode: 1,
      responseHeadersToAdd: [
        { key: 'X-RateLimit-Limit', value: '5, 5;w=60' },
        { key: 'x-raw', rawValue: Buffer.from('raw') },
        { key: 'grpc-status', value: '0' },
        { key: 'no name', value: 'x' },
        { key: 'x-bad', value: 'line\nbreak' },
      ],
      requestHeadersToAdd: [{ key: 'x-tier', value: 'gold' }],
    }))
    let tier: unknown
    const { client } = await startLimited({ channel }, (call, next) => {
      tier = call.metadata.get('x-tier')
      return next()
    })
    const { headers, status } = await runRpc(client, 'unary')
    expect(status?.code).toBe(Code.OK)
    expect(headers?.getMap()).toMatchObject({ 'x-ratelimit-limit': '5, 5;w=60', 'x-raw': 'raw' })
    expect(headers?.getMap()).not.toHaveProperty('x-bad')
    expect(tier).toEqual(['gold'])
    const quiet = await startLimited({ channel, headers: false })
    expect((await runRpc(quiet.client, 'unary')).headers?.getMap()).not.toHaveProperty('x-raw')
  })

  it('leaves out descriptors without a value, and asks nothing where none is left', async () => {
    const { channel, questions } = await startService(ok)
    const { client } = await startLimited({
      channel,
      descriptors: () => [{ a: 'b', user: undefined }, { plan: 'free' }],
    })
    await runRpc(client, 'unary')
    expect(questions.map(({ descriptors }) => descriptors)).toEqual([['plan=free']])
    const none = await startLimited({ channel, descriptors: () => [{ user: undefined }] })
    expect((await runRpc(none.client, 'unary')).status?.code).toBe(Code.OK)
    expect(questions).toHaveLength(1)
  })

  it.each([
    ['descriptors that are no list', { descriptors: () => ({}) }, '"descriptors" must return a list'],
    [
      'a promise of descriptors',
      { descriptors: () => Promise.reject(new Error('x')) },
      '"descriptors" must return a list',
    ],
    ['a descriptor that is a text', { descriptors: () => ['x'] }, 'a descriptor must be an object'],
    ['a descriptor without entries', { descriptors: () => [{}] }, 'has no entry'],
    ['a number as a value', { descriptors: () => [{ user: 5 }] }, '"user" must be a text'],
    ['hits below 0', { hits: () => -1 }, '"hits" must return an integer'],
    ['a promise of hits', { hits: async () => 1 }, '"hits" must return an integer'],
  ])('ends the RPC with INTERNAL for %s, and asks nothing', async (_name, options, message) => {
    const { channel, questions } = await startService(ok)
    let cause: unknown
    const { limiter } = await startLimited({ channel, ...(options as object) })
    const outer: Interceptor = async (_call, next) => {
      const status = await next()
      cause = status.cause
      return status
    }
    const server = await startTestServer({ interceptors: [outer, limiter] })
    started.push(() => server.stop())
    expect((await runRpc(server.client(), 'unary')).status?.code).toBe(Code.INTERNAL)
    expect(String(cause)).toContain(message)
    expect(questions).toHaveLength(0)
  })

  it.each([
    [{}, 'option "channel" must be a channel'],
    [{ channel: 'ratelimit:8081' }, 'option "channel" must be a channel'],
    [{ timeoutMs: 0 }, 'option "timeoutMs"'],
    [{ onServiceError: 'open' }, 'option "onServiceError"'],
    [{ failureMode: 'deny' }, 'unknown option "failureMode"'],
  ])('refuses %j', (options, message) => {
    const channel = createChannel('127.0.0.1:1', credentials.createInsecure())
    started.push(() => channel.close())
    const complete = 'channel' in options || Object.keys(options).length === 0 ? options : { channel, ...options }
    const make = () => rateLimitService({ domain: 'test', descriptors: () => [], ...complete } as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })
})
