import { once } from 'node:events'
import { createServer, constants as http2 } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { status as Code, credentials } from '@grpc/grpc-js'
import { clientInterceptors } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  echo,
  FakeClock,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { attempts, fail, pushedBack, unavailable } from '../test/harness.ts'
import { type GiveUpReason, RetryBudget, type RetryOptions, retry } from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

/** Plays the behaviours to a call and returns each wait, why it ended, and with what. */
async function waitsOf(options: RetryOptions, ...each: Behaviour[]) {
  const clock = new FakeClock()
  const behaviour = attempts(...each)
  const reasons: GiveUpReason[] = []
  const client = server.client(
    retry({ clock, random: () => 1, onGiveUp: ({ reason }) => reasons.push(reason), ...options }),
  )
  const rpc = startRpc(client, 'unary', { metadata: server.behave(behaviour) })
  const waits: number[] = []
  for (;;) {
    const wait = await Promise.race([clock.timerSet(), rpc.done])
    if (typeof wait !== 'number') break
    waits.push(wait)
    await clock.advance(wait)
  }
  expect(clock.pending).toBe(0)
  return { waits, code: rpc.status?.code, tries: behaviour.seen.length, reason: reasons[0] }
}

describe('gRFC A6, backoff', () => {
  it('`expBackoff_maxBackoff_maxRetryAttempts`', async () => {
    const options = { maxAttempts: 7, initialBackoffMs: 100, backoffMultiplier: 3, maxBackoffMs: 2000 }
    const { waits, tries, reason } = await waitsOf(options, unavailable)
    expect(waits).toEqual([100, 300, 900, 2000, 2000, 2000])
    expect([tries, reason]).toEqual([7, 'attempts'])
  })

  it('with its own jitter, ± 20 %, which the cap does not cut off', async () => {
    const options = { jitter: 'proportional', maxAttempts: 4, maxBackoffMs: 200 } as const
    expect((await waitsOf({ ...options, random: () => 0 }, unavailable)).waits).toEqual([80, 160, 160])
    const longest = (await waitsOf({ ...options, random: () => 1 }, unavailable)).waits
    expect(longest.map(Math.round)).toEqual([120, 240, 240])
  })
})

describe('gRFC A6, pushback', () => {
  it('`pushback`: waits exactly so long, then the backoff restarts, and the last attempt stays the last', async () => {
    const options = { maxAttempts: 6, initialBackoffMs: 10, backoffMultiplier: 2 }
    const { waits, tries, reason, code } = await waitsOf(
      options,
      unavailable,
      unavailable,
      pushedBack('123'),
      pushedBack('4567000'),
      unavailable,
      pushedBack('1'),
      echo,
    )
    expect(waits).toEqual([10, 20, 123, 4_567_000, 10])
    expect([tries, reason, code]).toEqual([6, 'attempts', Code.UNAVAILABLE])
  })

  it('of zero retries at once, without a timer', async () => {
    const { waits, tries } = await waitsOf({}, pushedBack('0'), echo)
    expect([waits, tries]).toEqual([[], 2])
  })

  it.each(['', '-1', 'soon', '12abc', '1.5', '99999999999'])('`pushback_noRetry`: %j', async (value) => {
    const { waits, tries, reason } = await waitsOf({}, pushedBack(value), echo)
    expect([waits, tries, reason]).toEqual([[], 1, 'pushback'])
  })

  it('makes exhaustion retryable, and nothing else', async () => {
    expect((await waitsOf({}, pushedBack('5', Code.RESOURCE_EXHAUSTED), echo)).waits).toEqual([5])
    expect((await waitsOf({}, pushedBack('5', Code.INTERNAL), echo)).reason).toBe('status')
  })

  it('beyond what the caller accepts ends the call', async () => {
    expect((await waitsOf({ maxPushbackMs: 1000 }, pushedBack('1001'), echo)).reason).toBe('pushback')
    expect((await waitsOf({ maxPushbackMs: 1000 }, pushedBack('1000'), echo)).waits).toEqual([1000])
  })
})

describe('gRFC A6, throttling', () => {
  it('stops retries at half of the tokens, for all calls that share them, without delay', async () => {
    const budget = new RetryBudget({ maxTokens: 4, tokenRatio: 0.5 })
    expect(await waitsOf({ budget }, unavailable)).toMatchObject({ waits: [100], tries: 2, reason: 'budget' })
    expect(await waitsOf({ budget }, unavailable)).toMatchObject({ waits: [], tries: 1, reason: 'budget' })
    expect(await waitsOf({ budget }, fail(Code.INTERNAL))).toMatchObject({ tries: 1, reason: 'status' })
    expect(budget.available).toBe(0)
    for (let i = 0; i < 4; i++) await waitsOf({ budget }, echo)
    expect(budget.available).toBe(1)
  })

  it('`throttleStream_Succeed`: a success gives back the ratio, once, whatever the number of attempts', async () => {
    const budget = new RetryBudget({ maxTokens: 10, tokenRatio: 0.5 })
    await waitsOf({ budget }, unavailable, unavailable, echo)
    expect(budget.available).toBe(10 - 2 + 0.5 - 5)
  })

  it('counts an order not to retry as a failure', async () => {
    const budget = new RetryBudget({ maxTokens: 10, tokenRatio: 0.5 })
    await waitsOf({ budget }, pushedBack('-1'))
    await waitsOf({ budget }, pushedBack('-1', Code.ABORTED))
    await waitsOf({ budget }, pushedBack('9', Code.ABORTED))
    expect(budget.available).toBe(10 - 2 - 5)
  })
})

describe('gRFC A6, transparent retries', () => {
  it('are made below and count as nothing: a refused stream was not processed', async () => {
    const seen: unknown[] = []
    const refusing = createServer()
    refusing.on('stream', (stream, headers) => {
      seen.push(headers['grpc-previous-rpc-attempts'])
      stream.on('error', () => undefined)
      if (seen.length === 1) {
        stream.close(http2.NGHTTP2_REFUSED_STREAM)
        return
      }
      stream.respond(
        {
          ':status': 200,
          'content-type': 'application/grpc',
          'grpc-status': String(Code.ABORTED),
          'grpc-message': 'second',
        },
        { endStream: true },
      )
    })
    refusing.listen(0, '127.0.0.1')
    await once(refusing, 'listening')
    const { port } = refusing.address() as AddressInfo
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure(), {
      interceptors: clientInterceptors(retry()),
    })
    try {
      const rpc = await runRpc(client, 'unary')
      expect(rpc.error).toMatchObject({ code: Code.ABORTED, details: 'second' })
      expect(seen).toEqual([undefined, undefined])
    } finally {
      client.close()
      refusing.close()
    }
  })
})

const retryPolicy = {
  maxAttempts: 3,
  initialBackoff: '0.1s',
  maxBackoff: '10s',
  backoffMultiplier: 1.2,
  retryableStatusCodes: [14, 'RESOURCE_EXHAUSTED'],
}
const config = (change: object = {}, more: object = {}) => ({
  methodConfig: [{ name: [{ service: 'grpcstack.testing.Test' }], retryPolicy: { ...retryPolicy, ...change } }],
  ...more,
})

// The scenarios of grpc-js's own test-retry.ts, which gives the same config to the channel.
describe('a service config', () => {
  const random = () => 0.5

  it('Should be able to make a basic request', async () => {
    expect(await waitsOf({ serviceConfig: config() }, echo)).toMatchObject({ tries: 1, code: Code.OK })
  })

  it('Should succeed with few required attempts', async () => {
    const outcome = await waitsOf({ serviceConfig: config(), random }, unavailable, unavailable, echo)
    expect(outcome).toMatchObject({ tries: 3, code: Code.OK, waits: [100, 120] })
  })

  it('Should fail with many required attempts', async () => {
    const outcome = await waitsOf({ serviceConfig: config() }, unavailable, unavailable, unavailable, echo)
    expect(outcome).toMatchObject({ tries: 3, code: Code.UNAVAILABLE })
  })

  it('Should fail with a fatal status code', async () => {
    expect(await waitsOf({ serviceConfig: config() }, fail(Code.NOT_FOUND), echo)).toMatchObject({
      tries: 1,
      code: Code.NOT_FOUND,
    })
  })

  it('Should not be able to make more than 5 attempts', async () => {
    expect(await waitsOf({ serviceConfig: config({ maxAttempts: 10 }) }, unavailable)).toMatchObject({ tries: 5 })
  })

  it('Should not retry on custom error code', async () => {
    expect(await waitsOf({ serviceConfig: config() }, fail(300 as Code), echo)).toMatchObject({ tries: 1 })
  })

  it('is read from its JSON, and its throttling is the budget', async () => {
    const serviceConfig = JSON.stringify(config({}, { retryThrottling: { maxTokens: 2, tokenRatio: 0.1 } }))
    expect(await waitsOf({ serviceConfig }, unavailable)).toMatchObject({ tries: 1, reason: 'budget' })
  })

  it('decides alone: what it does not name is not retried', async () => {
    const serviceConfig = { methodConfig: [{ name: [{ service: 'other.Service' }], retryPolicy }] }
    expect(await waitsOf({ serviceConfig }, unavailable, echo)).toMatchObject({ tries: 1, code: Code.UNAVAILABLE })
  })

  it.each(patterns)('applies to the method it names: %s', async (pattern) => {
    const behaviour = attempts(unavailable, echo)
    const named = pattern[0]?.toUpperCase() + pattern.slice(1)
    const serviceConfig = {
      methodConfig: [
        {
          name: [{ service: 'grpcstack.testing.Test', method: named }],
          retryPolicy: { ...retryPolicy, initialBackoff: '0.001s' },
        },
      ],
    }
    const rpc = await runRpc(server.client(retry({ serviceConfig })), pattern, { metadata: server.behave(behaviour) })
    expect([rpc.status?.code, behaviour.seen.length]).toEqual([Code.OK, 2])
  })
})

describe('a channel that retries by itself', () => {
  const warnings = (spy: { mock: { calls: readonly unknown[][] } }) =>
    spy.mock.calls.filter(
      ([, options]) => (options as { code?: string } | undefined)?.code === 'GRPC_STACK_RETRY_TWICE',
    )

  it('is warned about at the first call, before anything multiplies', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const own = { 'grpc.service_config': JSON.stringify(config()) }
    const clients = {
      Unary: [server.clientWith(own, retry()), 'unary'],
      ServerStream: [server.channelWith(own, retry()).client(TestClient), 'serverStream'],
    } as const
    for (const [name, [client, pattern]] of Object.entries(clients)) {
      for (let i = 0; i < 2; i++) await runRpc(client, pattern)
      expect(warnings(warn)).toEqual([[expect.stringContaining(`/grpcstack.testing.Test/${name}`), expect.anything()]])
      warn.mockClear()
    }
  })

  it('is warned about when the policy came from elsewhere and shows in the trailers', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const resolved = fail(Code.UNAVAILABLE, { 'grpc-previous-rpc-attempts': '2' })
    await runRpc(server.client(retry({ initialBackoffMs: 0 })), 'bidi', { metadata: server.behave(resolved) })
    expect(warnings(warn)).toHaveLength(1)
  })

  it.each([
    ['has no policy', {}],
    ['has its retries switched off', { 'grpc.service_config': JSON.stringify(config()), 'grpc.enable_retries': 0 }],
    [
      'has a policy for others',
      { 'grpc.service_config': '{"methodConfig":[{"name":[{"service":"x.Y"}],"hedgingPolicy":{"maxAttempts":2}}]}' },
    ],
    ['has a config without methods', { 'grpc.service_config': '{}' }],
  ])('is not warned about when it %s', async (_what, own) => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    await runRpc(server.clientWith(own, retry()), 'clientStream')
    expect(warnings(warn)).toEqual([])
  })
})
