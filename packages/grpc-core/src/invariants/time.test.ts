import { status as Code } from '@grpc/grpc-js'
import {
  Gate,
  manual,
  metadataOf,
  patterns,
  type RpcSettings,
  runRpc,
  settle,
  startRpc,
  startTestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { until } from '../../test/observing.ts'
import type { ClientCall, Interceptor, Next, ServerCall, Status } from '../index.ts'

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
const forever = new Promise<never>(() => undefined)
const hanging: Interceptor = () => forever

afterEach(() => {
  vi.useRealTimers()
  vi.restoreAllMocks()
})

/** Time passes when the test says so, for grpc-js too. */
const stopTime = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })

describe('invariant 12: time is monotonic', () => {
  it('a wall clock that is set forward ends no call that waits for an interceptor', async () => {
    await using server = await startTestServer()
    const token = new Gate()
    const fetching: Interceptor = async (_call, next) => {
      await token.opened
      return await next()
    }
    const rpc = startRpc(server.client(fetching), 'unary', { ...whole, options: { deadline: Date.now() + 60_000 } })
    const now = Date.now.bind(Date)
    const skewed = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_600_000)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(rpc.isDone).toBe(false)
    skewed.mockRestore()
    token.open()
    expect((await rpc.done).status?.code).toBe(Code.OK)
  })

  it('a wall clock that is set back keeps no hung call alive', async () => {
    await using server = await startTestServer()
    const rpc = startRpc(server.client(hanging), 'unary', { ...whole, options: { deadline: Date.now() + 40 } })
    const now = Date.now.bind(Date)
    vi.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000)
    const start = performance.now()
    expect((await rpc.done).status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(performance.now() - start).toBeLessThan(3000)
  })
})

describe('invariant 2: a deadline of its own for what is inside an interceptor', () => {
  const bounding =
    (ms: number): Interceptor =>
    async (call, next) => {
      call.deadline = Date.now() + ms
      return await next()
    }

  it.each(patterns)('bounds an attempt: %s', async (pattern) => {
    await using server = await startTestServer({ behaviour: manual })
    stopTime()
    const rpc = startRpc(server.client(bounding(400)), pattern, { options: { deadline: Date.now() + 60_000 } })
    const handler = await server.received(0)
    vi.advanceTimersByTime(400)
    expect((await rpc.done).status?.code).toBe(Code.DEADLINE_EXCEEDED)
    await handler.closed
    expect(handler.cancelled).toBe(true)
  })

  // reference: deviation 5
  it.each(patterns)('bounds inner interceptors that hang, and their signals: %s', async (pattern) => {
    let signal: AbortSignal | undefined
    let outerSignal: AbortSignal | undefined
    const inner = async (call: ClientCall, _next: Next): Promise<Status> => {
      signal = call.signal
      return await forever
    }
    const outer: Interceptor = (call, next) => {
      outerSignal = call.signal
      return next()
    }
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(outer, bounding(40), inner), pattern)
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(signal?.aborted).toBe(true)
    expect(outerSignal?.aborted).toBe(false)
  })

  it('each attempt has a fresh one, and the call goes on after one has passed', async () => {
    const codes: Code[] = []
    const perAttempt = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 0, maxMessages: 1 })
      for (let n = 0; ; n++) {
        call.deadline = Date.now() + (n < 2 ? 300 : 5000)
        const status = await next()
        codes.push(status.code)
        if (n === 2) return status
      }
    }
    const hung = new Gate()
    const fetching: Interceptor = async (_call, next) => {
      if (codes.length === 0) {
        hung.open()
        return await forever
      }
      return await next()
    }
    await using server = await startTestServer()
    server.behaviour = manual
    stopTime()
    const done = runRpc(server.client(perAttempt, fetching), 'unary', { options: { deadline: Date.now() + 60_000 } })
    // The first attempt hangs in an interceptor, the second at the server; the third is served.
    await hung.opened
    vi.advanceTimersByTime(300)
    const second = await server.received(0)
    vi.advanceTimersByTime(300)
    await second.closed
    const third = await server.received(1)
    await third.write({ text: 'at last' })
    third.end()
    const rpc = await done
    expect(codes).toEqual([Code.DEADLINE_EXCEEDED, Code.DEADLINE_EXCEEDED, Code.OK])
    expect(rpc.status?.code).toBe(Code.OK)
    expect(second.deadline - Date.now()).toBeLessThan(1000)
  })

  it('a longer one inside a shorter one does not count', async () => {
    const seen: number[] = []
    const looking: Interceptor = (call, next) => {
      seen.push(call.deadline)
      return next()
    }
    await using server = await startTestServer({ behaviour: manual })
    const start = Date.now()
    const rpc = await runRpc(server.client(bounding(60), bounding(30_000), looking), 'unary')
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(Date.now() - start).toBeLessThan(2000)
    expect(seen[0]).toBeLessThan(start + 1000)
  })

  it('one in the past starts nothing that succeeds', async () => {
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(bounding(-1000)), 'unary')
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
  })

  it.each(patterns)('a server may shorten the deadline of its call: %s', async (pattern) => {
    let seen: Status | undefined
    const outer: Interceptor = async (_call, next) => {
      seen = await next()
      return seen
    }
    const shortening = (call: ServerCall, next: Next): Promise<Status> => {
      call.deadline = Date.now() + 40
      call.deadline = Date.now() + 60_000 // never longer again
      return next()
    }
    await using server = await startTestServer({ interceptors: [outer, shortening], behaviour: manual })
    const rpc = await runRpc(server.client(), pattern, { options: { deadline: Date.now() + 60_000 } })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    await until(() => seen !== undefined)
    expect(seen?.code).toBe(Code.DEADLINE_EXCEEDED)
    await server.calls[0]?.closed
    expect(server.calls[0]?.cancelled).toBe(true)
    expect(server.calls[0]?.deadline).toBeLessThan(Date.now() + 1000)
  })

  it('and does so for interceptors of its own that hang', async () => {
    let signal: AbortSignal | undefined
    const shortening = (call: ServerCall, next: Next): Promise<Status> => {
      call.deadline = Date.now() + 40
      signal = call.signal
      return next()
    }
    await using server = await startTestServer({ interceptors: [shortening, hanging] })
    const rpc = await runRpc(server.client(), 'bidi', { metadata: metadataOf({ a: 'b' }) })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(signal?.aborted).toBe(true)
    await settle()
  })
})
