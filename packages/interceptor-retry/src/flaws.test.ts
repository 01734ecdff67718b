import { status as Code } from '@grpc/grpc-js'
import {
  echo,
  FakeClock,
  Gate,
  heldBy,
  manual,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { attempts, fail, failure, pushedBack, unavailable } from '../test/harness.ts'
import { RetryBudget, type RetryEvent, retry, retryReport } from './index.ts'

// What is wrong with the retry interceptor of the gRPC Python documentation, by number, and is not wrong here.

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())
afterEach(() => void vi.useRealTimers())

/** Time passes when the test says so, for grpc-js too. */
const stopTime = () => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })

describe.each(patterns)('against a real server, %s', (pattern) => {
  // reference: flaw 30, symbol 62
  it('a call that fails is really tried again', async () => {
    const behaviour = attempts(unavailable, unavailable, echo)
    const rpc = await runRpc(server.client(retry({ initialBackoffMs: 0 })), pattern, {
      metadata: server.behave(behaviour),
    })
    expect([rpc.status?.code, behaviour.seen.length]).toEqual([Code.OK, 3])
  })

  // reference: flaw 40
  it('no retry once headers or messages were delivered', async () => {
    const behaviour = attempts(async (rpc) => {
      rpc.sendHeaders({ early: 'yes' })
      if (rpc.pattern === 'serverStream' || rpc.pattern === 'bidi') await rpc.write({ text: 'once' })
      rpc.end(failure(Code.UNAVAILABLE))
    }, echo)
    const rpc = startRpc(server.client(retry({ initialBackoffMs: 0 })), pattern, {
      requests: [{ text: 'b' }],
      metadata: server.behave(behaviour),
    })
    await rpc.done
    expect(behaviour.seen).toHaveLength(1)
    expect(rpc.events.filter((event) => event === 'metadata')).toHaveLength(1)
    expect(rpc.messages.length).toBeLessThanOrEqual(1)
  })
})

describe('retry', () => {
  // reference: flaw 31, symbol 64
  it('backoffs are spread by chance, and capped', async () => {
    const waits = async (random: () => number) => {
      const clock = new FakeClock()
      const options = { clock, random, maxAttempts: 4, initialBackoffMs: 100, backoffMultiplier: 10, maxBackoffMs: 500 }
      const rpc = startRpc(server.client(retry(options)), 'unary', { metadata: server.behave(unavailable) })
      const seen: number[] = []
      for (let i = 0; i < 3; i++) {
        seen.push(await clock.timerSet())
        await clock.advance(seen.at(-1) ?? 0)
      }
      await rpc.done
      return seen
    }
    expect(await waits(() => 1)).toEqual([100, 500, 500])
    expect(await waits(() => 0.3)).toEqual([30, 150, 150])
  })

  // reference: flaw 32
  it('all attempts and backoffs fit the one deadline, and a wait that cannot fit is not begun', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(unavailable)
    const deadline = Date.now() + 5000
    const client = server.client(retry({ clock, random: () => 1, initialBackoffMs: 3000, maxAttempts: 9 }))
    const rpc = startRpc(client, 'unary', { metadata: server.behave(behaviour), options: { deadline } })
    expect(await clock.timerSet()).toBe(3000)
    await clock.advance(3000)
    await rpc.done
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
    expect(clock.now()).toBe(3000)
    expect(behaviour.seen).toHaveLength(2)
    for (const attempt of behaviour.seen) expect(Math.abs(attempt.deadline - deadline)).toBeLessThan(1000)
  })

  // reference: deviation 29, flaw 33, sentence 20
  it('DEADLINE_EXCEEDED is not retried, neither a server’s nor the caller’s own', async () => {
    const client = server.client(retry({ initialBackoffMs: 0, idempotent: '*' }))
    const theirs = attempts(fail(Code.DEADLINE_EXCEEDED), echo)
    await runRpc(client, 'unary', { metadata: server.behave(theirs) })
    const ours = attempts(manual)
    stopTime()
    const rpc = startRpc(client, 'unary', { metadata: server.behave(ours), options: { deadline: Date.now() + 250 } })
    while (ours.seen.length === 0) await settle(1)
    vi.advanceTimersByTime(250)
    await rpc.done
    expect([theirs.seen.length, ours.seen.length]).toEqual([1, 1])
  })

  // reference: deviation 29, flaw 34
  it('an ambiguous failure is retried only for methods that say they are idempotent', async () => {
    const client = server.client(
      retry({ initialBackoffMs: 0, perAttemptTimeoutMs: 250, idempotent: { pattern: 'serverStream' } }),
    )
    stopTime()
    const tries = async (pattern: 'unary' | 'serverStream') => {
      const behaviour = attempts(manual, echo)
      const rpc = startRpc(client, pattern, { metadata: server.behave(behaviour) })
      while (behaviour.seen.length === 0) await settle(1)
      vi.advanceTimersByTime(250)
      await rpc.done
      return behaviour.seen.length
    }
    expect([await tries('unary'), await tries('serverStream')]).toEqual([1, 2])
  })

  // reference: flaw 35
  it('an outage does not multiply the load: retries have a budget, shared by the calls of a channel', async () => {
    const clock = new FakeClock()
    const load = async (budget: RetryBudget | false | undefined) => {
      const behaviour = attempts(unavailable)
      const client = server.channel(
        retry({ initialBackoffMs: 0, maxAttempts: 4, ...(budget !== undefined && { budget }) }),
      )
      const stub = client.client(TestClient)
      await Promise.all(
        Array.from({ length: 100 }, () => runRpc(stub, 'unary', { metadata: server.behave(behaviour) })),
      )
      return behaviour.seen.length
    }
    expect(await load(false)).toBe(400)
    expect(await load(new RetryBudget({ ratio: 0.2, minRetriesPerSecond: 0, clock }))).toBe(120)
    expect(await load(new RetryBudget({ maxTokens: 10, tokenRatio: 0.1 }))).toBeLessThan(110)
    expect(await load(undefined)).toBeLessThanOrEqual(100 + 100 + 20)
  })

  // reference: flaw 36
  it('pushback is obeyed; a negative or unreadable one means no', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(pushedBack('77'), pushedBack('-1'), echo)
    const rpc = startRpc(server.client(retry({ clock })), 'unary', { metadata: server.behave(behaviour) })
    expect(await clock.timerSet()).toBe(77)
    await clock.advance(77)
    await rpc.done
    const unreadable = attempts(pushedBack('later'), echo)
    await runRpc(server.client(retry()), 'unary', { metadata: server.behave(unreadable) })
    expect([behaviour.seen.length, unreadable.seen.length]).toEqual([2, 1])
  })

  // reference: flaw 37
  it('each retry says how many attempts came before', async () => {
    const behaviour = attempts(unavailable, unavailable, echo)
    await runRpc(server.client(retry({ initialBackoffMs: 0 })), 'bidi', { metadata: server.behave(behaviour) })
    expect(behaviour.announced).toEqual([[], ['1'], ['2']])
  })

  // reference: flaw 38, symbol 65
  it('a backoff blocks no other call and ends at once when the call is cancelled', async () => {
    const clock = new FakeClock()
    const client = server.client(retry({ clock }))
    const waiting = startRpc(client, 'unary', { metadata: server.behave(unavailable) })
    await clock.timerSet()
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
    waiting.cancel()
    expect((await waiting.done).error?.code).toBe(Code.CANCELLED)
    expect(clock.pending).toBe(0)
  })

  // reference: flaw 39
  it('a retry policy of the channel underneath is noticed', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const methodConfig = [
      {
        name: [{}],
        retryPolicy: {
          maxAttempts: 2,
          initialBackoff: '0.01s',
          maxBackoff: '0.01s',
          backoffMultiplier: 1,
          retryableStatusCodes: ['UNAVAILABLE'],
        },
      },
    ]
    const own = { 'grpc.service_config': JSON.stringify({ methodConfig }) }
    const behaviour = attempts(unavailable)
    const client = server.clientWith(own, retry({ initialBackoffMs: 0 }))
    await runRpc(client, 'clientStream', { metadata: server.behave(behaviour) })
    expect(behaviour.seen).toHaveLength(6)
    expect(warn).toHaveBeenCalledWith(expect.stringContaining('attempts multiply'), {
      type: 'GrpcStackWarning',
      code: 'GRPC_STACK_RETRY_TWICE',
    })
  })

  // reference: flaw 41, sentence 19
  it('the last error keeps the earlier ones, each attempt can be observed, and attempts are what is counted', async () => {
    const events: RetryEvent[] = []
    const reports: unknown[] = []
    const client = server.client(
      async (call, next) => {
        const status = await next()
        reports.push(retryReport(call)?.attempts)
        return status
      },
      retry({ initialBackoffMs: 0, maxAttempts: 3, onRetry: (event) => events.push(event) }),
    )
    const behaviour = attempts(
      fail(Code.UNAVAILABLE, {}, 'first'),
      fail(Code.UNAVAILABLE, {}, 'second'),
      fail(Code.ABORTED, {}, 'third'),
    )
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(behaviour) })
    expect(rpc.error).toMatchObject({ code: Code.ABORTED, details: 'third', attempts: 3 })
    expect((rpc.error?.cause as AggregateError | undefined)?.errors.map(({ details }) => details)).toEqual([
      'first',
      'second',
    ])
    expect(events.map(({ status, attempts: n }) => [status.details, n])).toEqual([
      ['first', 1],
      ['second', 2],
    ])
    expect(reports).toEqual([3])
  })

  // reference: flaw 41
  it('an exception that is no status fails the call and is not retried', async () => {
    let runs = 0
    const client = server.client(retry({ initialBackoffMs: 0 }), () => {
      runs++
      throw new RangeError('a bug')
    })
    const rpc = await runRpc(client, 'unary')
    expect(rpc.error).toMatchObject({ code: Code.INTERNAL, cause: expect.objectContaining({ message: 'a bug' }) })
    expect(runs).toBe(1)
  })

  it('nothing is retried while an attempt is still running', async () => {
    const gate = new Gate()
    const behaviour = attempts(heldBy(gate))
    const rpc = startRpc(server.client(retry({ initialBackoffMs: 0 })), 'unary', { metadata: server.behave(behaviour) })
    await settle(50)
    expect(behaviour.seen).toHaveLength(1)
    gate.open()
    await rpc.done
    expect(behaviour.seen).toHaveLength(1)
  })
})
