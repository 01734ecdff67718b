import { status as Code, Metadata } from '@grpc/grpc-js'
import { type ClientCall, chain, type Interceptor, RpcError, select } from '@grpc-stack/grpc-core'
import { named, systemWallClock } from '@grpc-stack/grpc-core/authoring'
import {
  type Behaviour,
  echo,
  FakeClock,
  failing,
  manual,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { attempts, fail, pushedBack, retryInfo, unavailable } from '../test/harness.ts'
import { type GiveUpEvent, RETRY_REPORT, type RetryEvent, type RetryOptions, retry, retryReport } from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

describe.each(patterns)('retry, %s', (pattern) => {
  // reference: symbol 63
  it('tries a call again that failed with UNAVAILABLE, three times in all', async () => {
    const behaviour = attempts(unavailable, unavailable, echo)
    const client = server.client(retry({ initialBackoffMs: 1 }))
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
    expect(rpc.error).toBeUndefined()
    expect(rpc.status?.code).toBe(Code.OK)
    const once = await runRpc(server.client(), pattern)
    expect(rpc.messages).toEqual(once.messages)
    expect(behaviour.announced).toEqual([[], ['1'], ['2']])
  })

  it('returns the last status when the attempts are used up, with their number and the earlier failures', async () => {
    const behaviour = attempts(
      fail(Code.UNAVAILABLE, {}, 'one'),
      fail(Code.UNAVAILABLE, {}, 'two'),
      fail(Code.UNAVAILABLE, {}, 'three'),
    )
    const rpc = await runRpc(server.client(retry({ initialBackoffMs: 1 })), pattern, {
      metadata: server.behave(behaviour),
    })
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'three', attempts: 3 })
    const cause = rpc.error?.cause as AggregateError
    expect(cause.errors.map((error: RpcError) => [error instanceof RpcError, error.details])).toEqual([
      [true, 'one'],
      [true, 'two'],
    ])
    expect(behaviour.seen).toHaveLength(3)
  })

  // reference: sentence 20
  it('does not try again what is not retryable', async () => {
    const behaviour = attempts(fail(Code.INTERNAL), echo)
    const rpc = await runRpc(server.client(retry()), pattern, { metadata: server.behave(behaviour) })
    expect(rpc.error?.code).toBe(Code.INTERNAL)
    expect(behaviour.seen).toHaveLength(1)
  })

  it('waits the backoff by its own clock, and no timer is left', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(unavailable, unavailable, unavailable, unavailable, echo)
    const options = { clock, random: () => 1, maxAttempts: 5, initialBackoffMs: 100, maxBackoffMs: 300 }
    const rpc = startRpc(server.client(retry(options)), pattern, { requests: [{}], metadata: server.behave(behaviour) })
    const waits: number[] = []
    for (let i = 0; i < 4; i++) {
      const wait = await clock.timerSet()
      waits.push(wait)
      await clock.advance(wait)
    }
    await rpc.done
    expect(waits).toEqual([100, 200, 300, 300])
    expect(rpc.status?.code).toBe(Code.OK)
    expect(clock.pending).toBe(0)
  })

  it('ends a backoff at once when the application cancels', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(unavailable)
    const rpc = startRpc(server.client(retry({ clock })), pattern, { metadata: server.behave(behaviour) })
    await clock.timerSet()
    rpc.cancel()
    await rpc.done
    expect(rpc.error?.code).toBe(Code.CANCELLED)
    expect(rpc.error).not.toHaveProperty('attempts')
    expect(clock.pending).toBe(0)
    await clock.advance(10_000)
    expect(behaviour.seen).toHaveLength(1)
  })

  it('ends a backoff at the deadline, should the wait be longer than it looked', async () => {
    const clock = new FakeClock() // stands still while the real deadline passes
    const behaviour = attempts(unavailable)
    const rpc = startRpc(server.client(retry({ clock, random: () => 0.1 })), pattern, {
      metadata: server.behave(behaviour),
      options: { deadline: Date.now() + 1000 },
    })
    await clock.timerSet()
    await rpc.done
    expect(rpc.error?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(clock.pending).toBe(0)
  })

  it('returns the last status at once when the wait cannot fit before the deadline', async () => {
    const behaviour = attempts(pushedBack('60000'))
    const reasons: string[] = []
    const client = server.client(retry({ onGiveUp: ({ reason }) => reasons.push(reason) }))
    const began = performance.now()
    const rpc = await runRpc(client, pattern, {
      metadata: server.behave(behaviour),
      options: { deadline: Date.now() + 30_000 },
    })
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
    expect(performance.now() - began).toBeLessThan(5000)
    expect(reasons).toEqual(['deadline'])
  })

  it('bounds each attempt, and retries one that took too long where the method is idempotent', async () => {
    const behaviour = attempts(manual, echo)
    const client = server.client(retry({ perAttemptTimeoutMs: 250, idempotent: '*', initialBackoffMs: 1 }))
    await runRpc(client, 'unary') // the connection is up
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(behaviour.seen).toHaveLength(2)
    await behaviour.seen[0]?.closed
  })

  it('retries an attempt that took too long before it reached the network', async () => {
    let tokens = 0
    const slowToken: Interceptor = async (_call, next) => {
      if (++tokens === 1) await new Promise(() => undefined)
      return next()
    }
    const client = server.client(retry({ perAttemptTimeoutMs: 250, idempotent: '*', initialBackoffMs: 1 }), slowToken)
    const rpc = await runRpc(client, pattern)
    expect([rpc.status?.code, tokens]).toEqual([Code.OK, 2])
  })

  it('does not retry an attempt that took too long where the method is not idempotent', async () => {
    const behaviour = attempts(manual, echo)
    const client = server.client(retry({ perAttemptTimeoutMs: 250 }))
    await runRpc(client, 'unary')
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
    expect(rpc.error?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(behaviour.seen).toHaveLength(1)
  })

  it.each(['serverStream', 'bidi'] as const)('cuts no stream that flows: %s', async (pattern) => {
    const behaviour: Behaviour = async (rpc) => {
      await rpc.write({ text: 'begun' })
      await new Promise((resolve) => setTimeout(resolve, 400))
      rpc.end()
    }
    const client = server.client(retry({ perAttemptTimeoutMs: 250, idempotent: '*' }))
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
    expect([rpc.status?.code, rpc.messages.length]).toEqual([Code.OK, 1])
  })

  it("does not take a server's own DEADLINE_EXCEEDED for an attempt that took too long", async () => {
    const behaviour = attempts(fail(Code.DEADLINE_EXCEEDED), echo)
    const client = server.client(retry({ perAttemptTimeoutMs: 60_000, idempotent: '*', initialBackoffMs: 0 }))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(behaviour) })
    expect([rpc.status?.code, behaviour.seen.length]).toEqual([Code.DEADLINE_EXCEEDED, 1])
  })

  it('does not let an attempt outlive the deadline of the call', async () => {
    const behaviour = attempts(manual)
    const client = server.client(retry({ perAttemptTimeoutMs: 60_000, idempotent: '*' }))
    await runRpc(client, 'unary')
    const deadline = Date.now() + 250
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour), options: { deadline } })
    expect(rpc.error?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect((behaviour.seen[0]?.deadline ?? 0) - deadline).toBeLessThan(5000)
    expect(behaviour.seen).toHaveLength(1)
  })

  it('retries exhaustion when the server says by RetryInfo how long to wait, and waits at least so long', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(fail(Code.RESOURCE_EXHAUSTED, retryInfo(0, 700_000_000)), echo)
    const rpc = startRpc(server.client(retry({ clock })), pattern, {
      requests: [{}],
      metadata: server.behave(behaviour),
    })
    expect(await clock.timerSet()).toBe(700)
    await clock.advance(700)
    expect((await rpc.done).status?.code).toBe(Code.OK)
  })

  it('does not retry exhaustion without a hint', async () => {
    const behaviour = attempts(fail(Code.RESOURCE_EXHAUSTED), echo)
    const rpc = await runRpc(server.client(retry()), pattern, { metadata: server.behave(behaviour) })
    expect(rpc.error?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(behaviour.seen).toHaveLength(1)
  })

  it('does not retry what an interceptor inside refused, unless asked', async () => {
    const tries = async (options: RetryOptions) => {
      const refuser = failing(2, Code.UNAVAILABLE)
      const rpc = await runRpc(server.client(retry({ initialBackoffMs: 0, ...options }), refuser), pattern)
      return [refuser.calls, rpc.status?.code]
    }
    expect(await tries({})).toEqual([1, Code.UNAVAILABLE])
    expect(await tries({ retryRefusals: true })).toEqual([3, Code.OK])
    expect(await tries({ retryRefusals: ['failing'] })).toEqual([3, Code.OK])
    expect(await tries({ retryRefusals: ['circuitBreaker'] })).toEqual([1, Code.UNAVAILABLE])
    // A bundler shortens the names of functions, not that.
    const unnamed = named('circuitBreaker', failing(2))
    const client = server.client(retry({ initialBackoffMs: 0, retryRefusals: ['circuitBreaker'] }), unnamed)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('leaves the application’s metadata alone and gives each attempt its own', async () => {
    const behaviour = attempts(unavailable, echo)
    const metadata = server.behave(behaviour)
    metadata.set('mine', 'yes')
    const before = metadata.getMap()
    const stamp: Interceptor<ClientCall> = (call, next) => {
      call.metadata.add('stamp', 'one')
      return next()
    }
    await runRpc(server.client(retry({ initialBackoffMs: 0 }), stamp), pattern, { metadata })
    expect(metadata.getMap()).toEqual(before)
    expect(behaviour.seen.map((rpc) => [rpc.metadata.get('mine'), rpc.metadata.get('stamp')])).toEqual([
      [['yes'], ['one']],
      [['yes'], ['one']],
    ])
  })

  it('tells interceptors around it, through the call, what became of the attempts', async () => {
    const reports: unknown[] = []
    const observer: Interceptor<ClientCall> = async (call, next) => {
      const status = await next()
      const report = (call as ClientCall & { [RETRY_REPORT]?: object })[
        Symbol.for('grpc-stack.retry') as typeof RETRY_REPORT
      ]
      expect(report).toBe(retryReport(call))
      reports.push([status.code, status.attempts, report])
      return status
    }
    const clock = new FakeClock()
    const client = server.client(observer, retry({ clock, random: () => 1 }))
    await runRpc(client, pattern)
    const recovers = startRpc(client, pattern, { requests: [{}], metadata: server.behave(attempts(unavailable, echo)) })
    await clock.timerSet()
    await clock.advance(100)
    await recovers.done
    await runRpc(client, pattern, { metadata: server.behave(fail(Code.ABORTED)) })
    expect(reports).toEqual([
      [Code.OK, undefined, undefined],
      [
        Code.OK,
        2,
        {
          attempts: 2,
          backoffMs: 100,
          failures: [expect.objectContaining({ code: Code.UNAVAILABLE })],
          gaveUp: undefined,
        },
      ],
      [Code.ABORTED, undefined, { attempts: 1, backoffMs: 0, failures: [], gaveUp: 'status' }],
    ])
  })
})

describe('retry', () => {
  it('reports each retry and each defeat', async () => {
    const retries: RetryEvent[] = []
    const defeats: GiveUpEvent[] = []
    const client = server.client(
      retry({
        initialBackoffMs: 4,
        random: () => 0.5,
        onRetry: (e) => retries.push(e),
        onGiveUp: (e) => defeats.push(e),
      }),
    )
    await runRpc(client, 'unary')
    expect([retries, defeats]).toEqual([[], []])
    await runRpc(client, 'unary', { metadata: server.behave(unavailable) })
    expect(retries.map(({ attempts: n, delayMs, status }) => [n, delayMs, status.code])).toEqual([
      [1, 2, Code.UNAVAILABLE],
      [2, 4, Code.UNAVAILABLE],
    ])
    expect(defeats.map(({ attempts: n, reason, call }) => [n, reason, call.method.name])).toEqual([
      [3, 'attempts', 'Unary'],
    ])
  })

  it('ends a call whose retryIf returns a promise, which would always be true, and ignores its rejection', async () => {
    const retryIf = (() => Promise.reject(new Error('late'))) as unknown as () => boolean
    const client = server.client(retry({ initialBackoffMs: 0, retryIf }))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(attempts(unavailable, echo)) })
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
  })

  it('goes on when a listener rejects, and warns once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const onRetry = () => Promise.reject(new Error('late listener')) as unknown as undefined
    const client = server.client(retry({ initialBackoffMs: 0, onRetry }))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(attempts(unavailable, unavailable, echo)) })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(warn).toHaveBeenCalledTimes(1)
  })

  it('goes on when a listener throws, and warns', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const boom = () => {
      throw new Error('listener')
    }
    const client = server.client(retry({ initialBackoffMs: 0, onRetry: boom, onGiveUp: boom }))
    const behaviour = attempts(unavailable, fail(Code.ABORTED))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(behaviour) })
    expect(rpc.error?.code).toBe(Code.ABORTED)
    expect(warn).toHaveBeenCalledTimes(2)
    expect(warn.mock.calls[0]).toEqual([
      expect.stringContaining('listener'),
      expect.objectContaining({ code: 'GRPC_STACK_LISTENER_THREW' }),
    ])
  })

  it('asks retryIf instead of the codes', async () => {
    const client = server.client(
      retry({
        initialBackoffMs: 0,
        retryIf: ({ code, details }) => (code === Code.ABORTED ? details === 'again' : undefined),
      }),
    )
    const tries = async (...each: Behaviour[]) => {
      const behaviour = attempts(...each)
      await runRpc(client, 'unary', { metadata: server.behave(behaviour) })
      return behaviour.seen.length
    }
    expect(await tries(fail(Code.ABORTED, {}, 'again'), echo)).toBe(2)
    expect(await tries(fail(Code.ABORTED, {}, 'over'), echo)).toBe(1)
    expect(await tries(unavailable, echo)).toBe(2)
  })

  it('waits as backoff says, for each status its own', async () => {
    const clock = new FakeClock()
    const backoff = (n: number, { code }: { code: Code }) => (code === Code.ABORTED ? 7 : 1000) * n
    const client = server.client(retry({ clock, backoff, retryableStatusCodes: [Code.ABORTED, Code.UNAVAILABLE] }))
    const behaviour = attempts(fail(Code.ABORTED), unavailable, echo)
    const rpc = startRpc(client, 'unary', { metadata: server.behave(behaviour) })
    const first = await clock.timerSet()
    await clock.advance(first)
    const second = await clock.timerSet()
    await clock.advance(second)
    await rpc.done
    expect([first, second]).toEqual([7, 2000])
  })

  it.each([
    [
      'retryIf throws',
      {
        retryIf: () => {
          throw new Error('bad rule')
        },
      },
      'bad rule',
    ],
    [
      'backoff throws',
      {
        backoff: () => {
          throw new Error('bad rule')
        },
      },
      'bad rule',
    ],
    ['backoff returns no number', { backoff: () => Number.NaN }, 'must return a number of milliseconds'],
  ] as const)('returns the last status when %s, with the problem as its cause', async (_what, options, message) => {
    const reasons: string[] = []
    const client = server.client(retry({ ...options, onGiveUp: ({ reason }) => reasons.push(reason) }))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(unavailable) })
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'failing on purpose' })
    expect(rpc.error).not.toHaveProperty('attempts')
    expect(String(rpc.error?.cause)).toContain(message)
    expect(reasons).toEqual(['error'])
  })

  it('runs inner interceptors once per attempt, outer ones once', async () => {
    const seen: string[] = []
    const mark =
      (name: string): Interceptor =>
      async (_call, next) => {
        seen.push(name)
        return next()
      }
    const client = server.client(mark('outer'), retry({ initialBackoffMs: 0 }), chain(mark('inner')))
    await runRpc(client, 'unary', { metadata: server.behave(attempts(unavailable, echo)) })
    expect(seen).toEqual(['outer', 'inner', 'inner'])
  })

  it('works within another retry: the inner one first, then the outer one', async () => {
    const behaviour = attempts(unavailable, unavailable, unavailable, echo)
    const two = () => retry({ maxAttempts: 2, initialBackoffMs: 0 })
    const rpc = await runRpc(server.client(two(), two()), 'bidi', {
      metadata: server.behave(behaviour),
      requests: [{ text: 'a' }],
    })
    expect(rpc.messages).toEqual([{ text: 'a' }])
    expect(behaviour.seen).toHaveLength(4)
  })

  it('is its own policy per method through select', async () => {
    const stack = [
      select({ pattern: 'unary' }, retry({ maxAttempts: 2, initialBackoffMs: 0 })),
      select({ pattern: 'bidi' }, retry({ maxAttempts: 4, initialBackoffMs: 0 })),
    ]
    const tries = async (pattern: 'unary' | 'bidi' | 'serverStream') => {
      const behaviour = attempts(unavailable)
      await runRpc(server.client(...stack), pattern, { metadata: server.behave(behaviour) })
      return behaviour.seen.length
    }
    expect([await tries('unary'), await tries('bidi'), await tries('serverStream')]).toEqual([2, 4, 1])
  })

  it('lets one call decide for itself', async () => {
    const client = server.client(retry({ initialBackoffMs: 0 }))
    const tries = async (overrides: Parameters<typeof retry.perCall>[0], code: Code = Code.UNAVAILABLE) => {
      const behaviour = attempts(fail(code))
      await runRpc(client, 'unary', { metadata: server.behave(behaviour), options: { ...retry.perCall(overrides) } })
      return behaviour.seen.length
    }
    expect(await tries({ maxAttempts: 1 })).toBe(1)
    expect(await tries({ maxAttempts: 5 })).toBe(5)
    expect(await tries({ retryableStatusCodes: [Code.ABORTED] })).toBe(1)
    expect(await tries({ retryableStatusCodes: [Code.ABORTED] }, Code.ABORTED)).toBe(3)
    const behaviour = attempts(manual, echo)
    const options = retry.perCall({ perAttemptTimeoutMs: 250, idempotent: true })
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(behaviour), options })
    expect([rpc.status?.code, behaviour.seen.length]).toEqual([Code.OK, 2])
  })

  it('lets one call decide for itself where a service config does not name its method', async () => {
    const policy = {
      maxAttempts: 4,
      initialBackoff: '0.001s',
      maxBackoff: '0.001s',
      backoffMultiplier: 1,
      retryableStatusCodes: ['UNAVAILABLE'],
    }
    const serviceConfig = {
      methodConfig: [{ name: [{ service: 'grpcstack.testing.Test', method: 'Bidi' }], retryPolicy: policy }],
    }
    const client = server.client(retry({ initialBackoffMs: 0, serviceConfig, budget: false }))
    const tries = async (overrides?: Parameters<typeof retry.perCall>[0], code: Code = Code.UNAVAILABLE) => {
      const behaviour = attempts(fail(code))
      const options = overrides && retry.perCall(overrides)
      await runRpc(client, 'unary', { metadata: server.behave(behaviour), ...(options && { options }) })
      return behaviour.seen.length
    }
    expect(await tries()).toBe(1)
    expect(await tries({})).toBe(1)
    expect(await tries({ maxAttempts: 2 })).toBe(2)
    expect(await tries({ retryableStatusCodes: [Code.ABORTED] }, Code.ABORTED)).toBe(3)
    expect(await tries({ idempotent: false })).toBe(1)
    const bounded = await runRpc(client, 'unary', {
      metadata: server.behave(manual),
      options: retry.perCall({ perAttemptTimeoutMs: 30 }),
    })
    expect(bounded.error?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(bounded.error).not.toHaveProperty('attempts')
  })

  it('asks backoff only for a retry', async () => {
    const asked: [number, Code][] = []
    const backoff = (retry: number, { code }: { code: Code }) => {
      asked.push([retry, code])
      return 0
    }
    const client = server.client(retry({ backoff, maxAttempts: 3, budget: false }))
    await runRpc(client, 'unary', { metadata: server.behave(fail(Code.NOT_FOUND)) })
    expect(asked).toEqual([])
    await runRpc(client, 'unary', { metadata: server.behave(unavailable) })
    expect(asked).toEqual([
      [1, Code.UNAVAILABLE],
      [2, Code.UNAVAILABLE],
    ])
  })

  it('bounds a single attempt too', async () => {
    const client = server.client(retry({ maxAttempts: 1, perAttemptTimeoutMs: 30 }))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(manual) })
    expect(rpc.error?.code).toBe(Code.DEADLINE_EXCEEDED)
  })

  it('gives back the connection state it found: a call on a closed channel is not retried', async () => {
    const gone = await startTestServer()
    const client = gone.client(retry())
    client.close()
    expect(() => client.unary({}, new Metadata(), () => undefined)).toThrow()
    await gone.stop()
  })
})

describe('retry options', () => {
  it.each<[unknown, string]>([
    [{ maxAttempts: 0 }, 'retry: option "maxAttempts" must be an integer ≥ 1, got 0'],
    [{ maxAttempts: 2.5 }, 'option "maxAttempts"'],
    [{ maxAttempts: Number.POSITIVE_INFINITY }, 'option "maxAttempts"'],
    [{ initialBackoffMs: -1 }, 'option "initialBackoffMs"'],
    [{ maxBackoffMs: Number.NaN }, 'option "maxBackoffMs"'],
    [{ maxBackoffMs: 2 ** 31 }, 'option "maxBackoffMs"'],
    [{ backoffMultiplier: 0 }, 'option "backoffMultiplier"'],
    [{ jitter: 'some' }, 'option "jitter" must be "full", "proportional" or "none", got "some"'],
    [{ retryableStatusCodes: [] }, 'option "retryableStatusCodes"'],
    [{ retryableStatusCodes: [0] }, 'option "retryableStatusCodes"'],
    [{ retryableStatusCodes: ['UNAVAILABLE'] }, 'option "retryableStatusCodes"'],
    [{ retryableStatusCodes: 14 }, 'option "retryableStatusCodes"'],
    [{ perAttemptTimeoutMs: 0 }, 'option "perAttemptTimeoutMs"'],
    [{ idempotent: '' }, 'retry: option "idempotent"'],
    [{ retryIf: 1 }, 'option "retryIf" must be a function, got 1'],
    [{ backoff: {} }, 'option "backoff"'],
    [{ retryRefusals: 'all' }, 'option "retryRefusals"'],
    [{ budget: {} }, 'option "budget" must be a RetryBudget or false'],
    [{ budget: true }, 'option "budget"'],
    [{ maxPushbackMs: -1 }, 'option "maxPushbackMs"'],
    [{ maxReplayBytes: -1 }, 'option "maxReplayBytes"'],
    [{ maxReplayMessages: '1' }, 'option "maxReplayMessages"'],
    [{ serviceConfig: 'x' }, 'option "serviceConfig" is not JSON'],
    [{ onRetry: 'x' }, 'option "onRetry"'],
    [{ clock: { now: () => 0 } }, 'option "clock"'],
    [{ random: 0.5 }, 'option "random"'],
    [{ retries: 3 }, 'retry: unknown option "retries"'],
    ['3', 'retry: options must be an object, got "3"'],
    [[], 'retry: options must be an object, got an empty list'],
    [{ maxAtempts: 3 }, 'retry: unknown option "maxAtempts"; did you mean "maxAttempts"?'],
    [{ clock: systemWallClock }, 'option "clock"'],
  ])('refuses %j', (options, message) => {
    expect(() => retry(options as object)).toThrow(TypeError)
    expect(() => retry(options as object)).toThrow(message)
  })

  it.each([
    [{ maxAttempts: 0 }, 'retry.perCall: option "maxAttempts"'],
    [{ perAttemptTimeoutMs: -1 }, 'retry.perCall: option "perAttemptTimeoutMs"'],
    [{ retryableStatusCodes: [] }, 'retry.perCall: option "retryableStatusCodes"'],
    [{ idempotent: '*' }, 'retry.perCall: option "idempotent"'],
    [{ budget: false }, 'retry.perCall: unknown option "budget"'],
  ])('refuses for one call %j', (overrides, message) => {
    expect(() => retry.perCall(overrides as object)).toThrow(message)
  })
})
