import { status as Code } from '@grpc/grpc-js'
import { createClient, type Interceptor, RpcError, serverInterceptors } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  echo,
  FakeClock,
  failing,
  Gate,
  heldBy,
  interceptorSuite,
  manual,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  type TestServer,
  testService,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { attempts, fail, failure, pushedBack, unavailable } from '../test/harness.ts'
import { type HedgeOptions, hedge, RetryBudget } from './index.ts'

// Names in backquotes are those of grpc-java's RetriableStreamTest.

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const singleRequests = ['unary', 'serverStream'] as const

/** A call under way whose every attempt hangs until it is told otherwise. */
function hedged(pattern: (typeof singleRequests)[number], options: Partial<HedgeOptions>, ...each: Behaviour[]) {
  const clock = new FakeClock()
  const behaviour = attempts(...each)
  const client = server.client(
    hedge({ delayMs: 100, idempotent: '*', maxAttempts: 3, clock, budget: false, ...options }),
  )
  const rpc = startRpc(client, pattern, { requests: [{ text: 'a', n: 2 }], metadata: server.behave(behaviour) })
  const started = async (n: number) => {
    while (behaviour.seen.length < n) await settle(1)
    await settle()
    expect(behaviour.seen).toHaveLength(n)
  }
  return { clock, rpc, seen: behaviour.seen, announced: () => behaviour.announced, started }
}

const at = (seen: readonly ServerRpc[], n: number) => seen[n] as ServerRpc
const answer = async (rpc: ServerRpc, text: string) => {
  await rpc.write({ text })
  rpc.end()
}

describe.each(singleRequests)('hedge, %s', (pattern) => {
  // reference: flaw 41, sentence 38
  it('starts another attempt each time the delay passes; the first answer wins and the others are cancelled', async () => {
    const { clock, rpc, seen, announced, started } = hedged(pattern, {}, manual)
    await started(1)
    await clock.advance(99)
    await started(1)
    await clock.advance(1)
    await started(2)
    await clock.advance(100)
    await started(3)
    expect(clock.pending).toBe(0)
    await answer(at(seen, 1), 'second')
    await rpc.done
    expect(rpc.messages).toEqual([{ text: 'second' }])
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 3, hedges: 2 })
    for (const loser of [at(seen, 0), at(seen, 2)]) {
      await loser.closed
      expect(loser.cancelled).toBe(true)
    }
    expect(announced()).toEqual([[], ['1'], ['2']])
  })

  it('starts no other attempt when the first answers in time', async () => {
    const { clock, rpc, seen } = hedged(pattern, {}, echo)
    await rpc.done
    expect(rpc.status?.code).toBe(Code.OK)
    expect(clock.pending).toBe(0)
    await clock.advance(1000)
    expect(seen).toHaveLength(1)
  })

  it('shows the headers and trailers of the winner, and of no other', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, { maxAttempts: 2 }, manual)
    await started(1)
    await clock.advance(100)
    await started(2)
    at(seen, 0).sendHeaders({ from: 'first' })
    await at(seen, 0).write({ text: 'first' })
    at(seen, 0).end(failure(Code.OK, { 'also-from': 'first' }))
    await rpc.done
    expect(rpc.headers?.get('from')).toEqual(['first'])
    expect(rpc.status?.metadata.get('also-from')).toEqual(['first'])
  })

  it('starts all at once without a delay', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, { delayMs: 0 }, manual)
    await started(3)
    expect(clock.pending).toBe(0)
    await answer(at(seen, 2), 'third')
    expect((await rpc.done).messages).toEqual([{ text: 'third' }])
  })

  it('`hedging_everythingDrained_oneHedgeReceivesNonFatal_oneHedgeReceivesFatalStatus`', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, { maxAttempts: 4 }, manual)
    await started(1)
    await clock.advance(100)
    await started(2)
    at(seen, 0).end(failure(Code.UNAVAILABLE, {}, 'not fatal'))
    await started(3) // at once
    expect(await clock.timerSet()).toBe(100) // and the delay counts from there
    at(seen, 1).end(failure(Code.INTERNAL, {}, 'fatal'))
    await rpc.done
    expect(rpc.error).toMatchObject({ code: Code.INTERNAL, details: 'fatal', attempts: 3, hedges: 2 })
    expect((rpc.error?.cause as AggregateError | undefined)?.errors).toEqual([
      expect.objectContaining({ code: Code.UNAVAILABLE, details: 'not fatal' }),
    ])
    await at(seen, 2).closed
    expect(at(seen, 2).cancelled).toBe(true)
    expect(clock.pending).toBe(0)
  })

  it('`hedging_maxAttempts`: the last failure is the result when all have failed', async () => {
    const { clock, rpc, seen } = hedged(pattern, {}, unavailable, unavailable, fail(Code.UNAVAILABLE, {}, 'last'))
    await rpc.done
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'last', attempts: 3 })
    expect([seen.length, clock.pending]).toEqual([3, 0])
  })

  it('waits for attempts that run when one has failed and none may follow', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, { maxAttempts: 2 }, manual)
    await started(1)
    await clock.advance(100)
    await started(2)
    at(seen, 1).end(failure(Code.UNAVAILABLE))
    await settle(20)
    expect(rpc.isDone).toBe(false)
    await answer(at(seen, 0), 'late')
    expect((await rpc.done).messages).toEqual([{ text: 'late' }])
  })

  it('`hedging_pushback_negative`: no more attempts, those running go on', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, {}, manual)
    await started(1)
    await clock.advance(100)
    await started(2)
    at(seen, 0).end(failure(Code.UNAVAILABLE, { 'grpc-retry-pushback-ms': '-1' }))
    await settle(20)
    expect(clock.pending).toBe(0)
    expect(rpc.isDone).toBe(false)
    await answer(at(seen, 1), 'second')
    expect((await rpc.done).messages).toEqual([{ text: 'second' }])
    expect(seen).toHaveLength(2)
  })

  it('`hedging_pushback_positive`: the next attempt starts after exactly that time, then the delay counts from there', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, { maxAttempts: 4 }, manual)
    await started(1)
    await clock.advance(50)
    at(seen, 0).end(failure(Code.UNAVAILABLE, { 'grpc-retry-pushback-ms': '123' }))
    await settle(20)
    expect(clock.untilNext).toBe(123)
    await clock.advance(122)
    await started(1)
    await clock.advance(1)
    await started(2)
    expect(clock.untilNext).toBe(100)
    await answer(at(seen, 1), 'second')
    expect((await rpc.done).messages).toEqual([{ text: 'second' }])
    expect(clock.pending).toBe(0)
  })

  it('`hedging_cancelled`: a cancel ends all attempts and the delay', async () => {
    const { clock, rpc, seen, started } = hedged(pattern, {}, manual)
    await started(1)
    await clock.advance(100)
    await started(2)
    rpc.cancel()
    await rpc.done
    expect(rpc.error?.code).toBe(Code.CANCELLED)
    expect(clock.pending).toBe(0)
    for (const attempt of seen) {
      await attempt.closed
      expect(attempt.cancelled).toBe(true)
    }
    await clock.advance(1000)
    expect(seen).toHaveLength(2)
  })

  it('ends by the deadline of the call, all attempts included', async () => {
    const clock = new FakeClock()
    const behaviour = attempts(manual)
    const client = server.client(hedge({ delayMs: 0, idempotent: '*', clock }))
    await runRpc(client, 'bidi') // the connection is up
    const deadline = Date.now() + 250
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour), options: { deadline } })
    expect(rpc.error?.code).toBe(Code.DEADLINE_EXCEEDED)
    for (const attempt of behaviour.seen) expect(attempt.deadline - deadline).toBeLessThan(1000)
    expect(clock.pending).toBe(0)
  })

  it('`hedging_throttledByOtherCall`, `hedging_throttledByHedgingStreams`: the first attempt is always sent, others need budget', async () => {
    const budget = new RetryBudget({ maxTokens: 4, tokenRatio: 0.5 })
    const first = hedged(pattern, { budget, maxAttempts: 5 }, unavailable)
    await first.rpc.done
    expect(first.seen).toHaveLength(2)
    const second = hedged(pattern, { budget, maxAttempts: 5 }, manual)
    await second.started(1)
    await second.clock.advance(1000)
    await second.started(1)
    expect(second.clock.pending).toBe(0)
    await answer(at(second.seen, 0), 'only')
    expect((await second.rpc.done).status?.code).toBe(Code.OK)
    expect(budget.available).toBe(0.5)
  })

  it('returns the last failure when the budget refuses what pushback asked to wait for', async () => {
    const budget = new RetryBudget({ maxTokens: 4, tokenRatio: 0.5 })
    const { clock, rpc } = hedged(pattern, { budget }, pushedBack('50'))
    expect(await clock.timerSet()).toBeLessThanOrEqual(100)
    while (clock.untilNext !== 50) await settle(1)
    budget.failed()
    await clock.advance(50)
    await rpc.done
    expect(rpc.error?.code).toBe(Code.UNAVAILABLE)
    expect(clock.pending).toBe(0)
  })

  it('an attempt that an interceptor inside refuses ends the hedging, not the call', async () => {
    const refuser: Interceptor = (() => {
      let calls = 0
      return function limit(_call, next) {
        return ++calls === 2 ? { code: Code.RESOURCE_EXHAUSTED, details: 'local limit' } : next()
      }
    })()
    const clock = new FakeClock()
    const behaviour = attempts(manual)
    const client = server.client(hedge({ delayMs: 100, idempotent: '*', maxAttempts: 5, clock }), refuser)
    const rpc = startRpc(client, pattern, { metadata: server.behave(behaviour) })
    while (behaviour.seen.length < 1) await settle(1)
    await clock.advance(100)
    await settle(20)
    expect(clock.pending).toBe(0)
    await answer(at(behaviour.seen, 0), 'first')
    expect((await rpc.done).messages).toEqual([{ text: 'first' }])
  })

  it('a refusal of the only attempt is the answer as it is', async () => {
    const rpc = await runRpc(
      server.client(hedge({ delayMs: 100, idempotent: '*' }), failing(1, Code.UNAVAILABLE)),
      pattern,
    )
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, origin: 'local', refusedBy: 'failing' })
    expect(rpc.error).not.toHaveProperty('attempts')
  })

  it('takes a policy of a service config', async () => {
    const serviceConfig = {
      methodConfig: [
        { name: [{}], hedgingPolicy: { maxAttempts: 3, hedgingDelay: '0.2s', nonFatalStatusCodes: ['ABORTED'] } },
      ],
    }
    const clock = new FakeClock()
    const behaviour = attempts(fail(Code.ABORTED), manual, echo)
    const rpc = startRpc(server.client(hedge({ serviceConfig, clock })), pattern, {
      metadata: server.behave(behaviour),
    })
    while (behaviour.seen.length < 2) await settle(1)
    await settle()
    expect(clock.untilNext).toBe(200)
    await clock.advance(200)
    expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(behaviour.seen).toHaveLength(3)
  })
})

it('is called hedge, by itself and where a server refuses it', () => {
  const interceptor = hedge({ delayMs: 1, idempotent: '*' })
  expect(interceptor.name).toBe('hedge')
  expect(() => serverInterceptors(interceptor as Interceptor)).toThrow(
    'interceptor 0 is hedge, which is for clients: give it to interceptChannel()',
  )
})

describe('hedge', () => {
  it.each(singleRequests)('`hedging_receiveHeaders`: response headers decide, %s', async (pattern) => {
    const { clock, rpc, seen, started } = hedged(pattern, {}, manual)
    await started(1)
    await clock.advance(100)
    await started(2)
    at(seen, 1).sendHeaders({ from: 'second' })
    await at(seen, 0).closed
    expect(at(seen, 0).cancelled).toBe(true)
    expect(clock.pending).toBe(0)
    await rpc.headersSeen
    expect(rpc.isDone).toBe(false)
    at(seen, 1).end(failure(Code.UNAVAILABLE, {}, 'after the headers'))
    await rpc.done
    expect(rpc.headers?.get('from')).toEqual(['second'])
    expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'after the headers' })
  })

  it('`hedging_deadlock`: attempts that end while others start and answer leave nothing hanging', async () => {
    const client = server.client(hedge({ delayMs: 0, idempotent: '*', maxAttempts: 5 }))
    const mixed = (): Behaviour => {
      let n = 0
      return (rpc) => (n++ % 3 === 0 ? echo(rpc) : unavailable(rpc))
    }
    const rpcs = await Promise.all(
      Array.from({ length: 60 }, () => runRpc(client, 'unary', { metadata: server.behave(mixed()) })),
    )
    expect(rpcs.every(({ status }) => status?.code === Code.OK)).toBe(true)
  })

  it('leaves methods alone that may not run twice, and those with request streams', async () => {
    const client = server.client(
      hedge({ delayMs: 0, idempotent: { pattern: ['serverStream', 'clientStream', 'bidi'] } }),
    )
    for (const pattern of ['unary', 'clientStream', 'bidi'] as const) {
      const behaviour = attempts(echo)
      await runRpc(client, pattern, { metadata: server.behave(behaviour) })
      expect(behaviour.seen).toHaveLength(1)
    }
    const behaviour = attempts(manual)
    const rpc = startRpc(client, 'serverStream', { metadata: server.behave(behaviour) })
    while (behaviour.seen.length < 2) await settle(1)
    rpc.cancel()
    await rpc.done
  })

  it('gives the winner to a promise client too', async () => {
    const gate = new Gate()
    const behaviour = attempts(heldBy(gate), echo)
    const client = createClient(testService, server.channel(hedge({ delayMs: 0, idempotent: '*' })))
    const stream = client.serverStream({ text: 'x', n: 3 }, { metadata: server.behave(behaviour) })
    const texts: unknown[] = []
    for await (const message of stream) texts.push(message)
    gate.open()
    expect(texts).toHaveLength(3)
    await expect(client.unary({}, { metadata: server.behave(fail(Code.NOT_FOUND)) }).response).rejects.toBeInstanceOf(
      RpcError,
    )
  })

  it('tells of each attempt but the first, and survives a listener that throws', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const events: unknown[] = []
    const onHedge = (event: object) => {
      events.push(event)
      throw new Error('listener')
    }
    const { rpc } = hedged('unary', { onHedge }, unavailable, unavailable, echo)
    expect((await rpc.done).status?.code).toBe(Code.OK)
    const method = '/grpcstack.testing.Test/Unary'
    expect(events).toEqual([
      { method, attempts: 2 },
      { method, attempts: 3 },
    ])
    expect(warn).toHaveBeenCalledTimes(1)
  })

  it.each([
    [{ delayMs: 1 }, 'hedge: option "idempotent" must be a matcher of the methods that may run several times'],
    [{ idempotent: '*' }, 'hedge: option "delayMs" must be a number of milliseconds ≥ 0, got undefined'],
    [{ idempotent: '*', delayMs: -1 }, 'option "delayMs"'],
    [{ idempotent: '*', delayMs: 1, maxAttempts: 1 }, 'option "maxAttempts" must be an integer ≥ 2'],
    [{ idempotent: '*', delayMs: 1, nonFatalStatusCodes: [0] }, 'option "nonFatalStatusCodes"'],
    [{ idempotent: '', delayMs: 1 }, 'hedge: option "idempotent"'],
    [{ idempotent: '*', delayMs: 1, budget: {} }, 'option "budget"'],
    [{ idempotent: '*', delayMs: 1, clock: {} }, 'option "clock"'],
    [{ idempotent: '*', delayMs: 1, onHedge: 1 }, 'option "onHedge"'],
    [{ idempotent: '*', delayMs: 1, random: 1 }, 'unknown option "random"'],
    [{ serviceConfig: '[]' }, 'option "serviceConfig"'],
    [undefined, 'hedge: options must be an object'],
    [[], 'hedge: options must be an object'],
    [{ serviceConfig: {}, idempotent: undefined }, 'option "idempotent" must be a matcher of methods, got undefined'],
  ])('refuses %j', (options, message) => {
    expect(() => hedge(options as unknown as HedgeOptions)).toThrow(TypeError)
    expect(() => hedge(options as unknown as HedgeOptions)).toThrow(message)
  })
})

// A delay that never passes: what is left is what watching costs.
interceptorSuite('hedge', () => ({
  client: hedge({ delayMs: 3_600_000, idempotent: '*', nonFatalStatusCodes: [] }),
  replayable: true,
}))
