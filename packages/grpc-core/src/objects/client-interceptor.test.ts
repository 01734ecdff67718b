import { Client, status as Code } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type Answer, type Ask, Greeter } from '../../test/greeter.ts'
import { collect, failureOf, streamFailureOf } from '../../test/greeter-server.ts'
import { until } from '../../test/observing.ts'
import { type InterceptGreet, startWatchedGreeter, type WatchedGreeter } from '../../test/watched-greeter.ts'
import {
  abort,
  type ClientCall,
  type ClientInterceptor,
  chain,
  clientInterceptors,
  type Interceptor,
  interceptChannel,
  RpcError,
  type Status,
  type StreamUnaryClientInterceptor,
  type UnaryCall,
} from '../index.ts'

let greeter: WatchedGreeter
beforeAll(async () => {
  greeter = await startWatchedGreeter()
})
afterAll(() => greeter.stop())
beforeEach(() => {
  greeter.greeted.length = 0
})

const clientWith = (interceptUnaryUnary: InterceptGreet): ReturnType<WatchedGreeter['with']> =>
  greeter.with({ interceptUnaryUnary })

const ada: Ask = { name: 'Ada' }
const wait: Ask = { name: 'wait' }
const hello: Answer = { text: 'Hello Ada' }

describe('the continuation', () => {
  // reference: symbol 11
  it('may be called several times at once: the first answer wins and the others are cancelled', async () => {
    const [opened, closed] = [greeter.counts.open, greeter.counts.closed]
    const client = clientWith(async (continuation, details, request) => {
      const slow = continuation(details, wait)
      await until(() => greeter.counts.open > opened, 'the first call on the server')
      return await Promise.race([slow, continuation(details, request)])
    })
    expect(await client.greet(ada)).toEqual(hello)
    await until(() => greeter.counts.closed === closed + 2, 'the end of both calls on the server')
    expect(greeter.greeted).toEqual(['wait', 'Ada'])
  })

  // reference: symbol 11
  it('may be called again after a failure, and the application sees only what is returned', async () => {
    const failures: unknown[] = []
    const client = clientWith(async (continuation, details, request) => {
      try {
        return await continuation(details, { name: 'nobody' })
      } catch (error) {
        failures.push(error)
        return await continuation(details, request)
      }
    })
    const call = client.greet(ada)
    expect(await call).toEqual(hello)
    expect(await call.status).toMatchObject({ code: Code.OK, origin: 'remote' })
    expect(failures).toEqual([expect.objectContaining({ code: Code.NOT_FOUND, details: 'no such person' })])
    expect(failures[0]).toBeInstanceOf(RpcError)
  })

  it('starts nothing once the call has ended', async () => {
    let again: (() => UnaryCall<Answer>) | undefined
    const client = clientWith((continuation, details, request) => {
      again = () => continuation(details, request)
      return { text: 'done' }
    })
    expect(await client.greet(ada)).toEqual({ text: 'done' })
    const error = await failureOf(again?.() as UnaryCall<Answer>)
    expect(error).toMatchObject({
      code: Code.INTERNAL,
      details: expect.stringContaining('after /greet.v1.Greeter/Greet'),
    })
    expect(greeter.greeted).toEqual([])
  })

  it('runs a plain interceptor inside once per call, and one outside once for all', async () => {
    const ran: string[] = []
    const plain =
      (name: string): Interceptor =>
      (_call, next) => {
        ran.push(name)
        return next()
      }
    const twice: ClientInterceptor = {
      interceptUnaryUnary: async (continuation, details, request) => {
        await continuation(details, request)
        return await continuation(details, request)
      },
    }
    expect(await greeter.with(plain('out'), twice, plain('in'), chain(plain('deep'))).greet(ada)).toEqual(hello)
    expect(ran).toEqual(['out', 'in', 'deep', 'in', 'deep'])
  })

  it('ends calls that the interceptor did not await with the call they were made for', async () => {
    const [opened, closed] = [greeter.counts.open, greeter.counts.closed]
    const client = clientWith(async (continuation, details) => {
      void continuation(details, wait)
      await until(() => greeter.counts.open > opened, 'the call on the server')
      return { text: 'made here' }
    })
    expect(await client.greet(ada)).toEqual({ text: 'made here' })
    await until(() => greeter.counts.closed > closed, 'the end of the call on the server')
  })
})

describe('what an interceptor answers', () => {
  for (const nothing of [undefined, null]) {
    it(`is not ${nothing} where there is a single response`, async () => {
      const error = await failureOf(clientWith((() => nothing) as never).greet(ada))
      expect(error).toMatchObject({ code: Code.INTERNAL, details: expect.stringContaining(`with ${nothing} instead`) })
    })
  }

  for (const [what, invalid] of [
    ['nothing', undefined],
    ['a text', 'text'],
    ['an object', { text: 'one' }],
  ] as const) {
    it(`is not ${what} where responses stream`, async () => {
      const client = greeter.with({ interceptUnaryStream: (() => invalid) as never })
      expect(await streamFailureOf(client.greetMany(ada))).toMatchObject({
        code: Code.INTERNAL,
        details: expect.stringContaining('instead of an iterable of responses'),
      })
    })
  }

  // reference: sentence 14
  it('may be a list where responses stream', async () => {
    const client = greeter.with({ interceptUnaryStream: () => [{ text: 'a' }, { text: 'b' }] })
    expect(await collect(client.greetMany(ada))).toEqual([{ text: 'a' }, { text: 'b' }])
  })

  // reference: sentence 5
  it('may be another response than the one it got', async () => {
    const client = clientWith(async (continuation, details, request) => {
      const { text } = await continuation(details, { name: `${request.name}!` })
      return { text: text.toUpperCase() }
    })
    expect(await client.greet(ada)).toEqual({ text: 'HELLO ADA!' })
  })

  it('is its own status where it throws one, and says who refused', async () => {
    const statuses: Status[] = []
    const watch: Interceptor = async function watch(_call, next) {
      const status = await next()
      statuses.push(status)
      return status
    }
    class Guard implements ClientInterceptor {
      interceptUnaryUnary(): never {
        return abort(Code.PERMISSION_DENIED, 'not today')
      }
    }
    const error = await failureOf(greeter.with(watch, new Guard()).greet(ada))
    expect(error).toMatchObject({
      code: Code.PERMISSION_DENIED,
      details: 'not today',
      refusedBy: 'Guard',
      origin: 'local',
    })
    expect(statuses).toEqual([expect.objectContaining({ code: Code.PERMISSION_DENIED, refusedBy: 'Guard' })])
  })

  it('gives outer interceptors the status of the inner call, with the facts that only this process has', async () => {
    const cause = new Error('why')
    const statuses: Status[] = []
    const watch: Interceptor = async (_call, next) => {
      const status = await next()
      statuses.push(status)
      return status
    }
    const handsOn: ClientInterceptor = {
      interceptUnaryUnary: async (continuation, details, request) => await continuation(details, request),
    }
    const refuse: Interceptor = function refuse() {
      return { code: Code.RESOURCE_EXHAUSTED, details: 'full', cause }
    }
    const error = await failureOf(greeter.with(watch, handsOn, refuse).greet(ada))
    const expected = { code: Code.RESOURCE_EXHAUSTED, details: 'full', refusedBy: 'refuse', cause, origin: 'local' }
    expect(error).toMatchObject(expected)
    expect(statuses).toEqual([expect.objectContaining(expected)])
  })
})

describe('a failure of the inner call that an interceptor returns', () => {
  it('reaches a callback as it does without interceptors, without further properties', async () => {
    const { path, requestSerialize, responseDeserialize } = Greeter.greet
    const errorOf = (...interceptors: readonly ClientInterceptor[]): Promise<unknown> => {
      const stub = interceptChannel(greeter.channel, ...interceptors).client(Client)
      return new Promise((resolve) =>
        stub.makeUnaryRequest(path, requestSerialize, responseDeserialize, { name: 'nobody' }, resolve),
      )
    }
    const handsOn: ClientInterceptor = {
      interceptUnaryUnary: async (continuation, details, request) => await continuation(details, request),
    }
    const [bare, through] = [await errorOf(), await errorOf(handsOn, handsOn)]
    expect(Object.keys(through as object)).toEqual(Object.keys(bare as object))
    expect(through).toMatchObject({ code: Code.NOT_FOUND, details: 'no such person' })
  })
})

describe('the requests of a stream', () => {
  const three: readonly Ask[] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]

  // reference: deviation 15, symbol 13
  it('can be iterated once: a second attempt with them fails instead of sending an empty stream', async () => {
    const again: StreamUnaryClientInterceptor<Ask, Answer> = {
      interceptStreamUnary: async (continuation, details, requests) => {
        await continuation(details, requests)
        return await continuation(details, requests)
      },
    }
    const error = await failureOf(greeter.with(again).greetAll(three))
    expect(error).toMatchObject({ code: Code.INTERNAL, details: expect.stringContaining('can be iterated once') })
  })

  // reference: symbol 13
  it('can be kept and sent again', async () => {
    const again: StreamUnaryClientInterceptor<Ask, Answer> = {
      interceptStreamUnary: async (continuation, details, requests) => {
        const kept = await collect(requests)
        await continuation(details, kept)
        return await continuation(details, kept)
      },
    }
    expect(await greeter.with(again).greetAll(three)).toEqual({ text: 'a b c' })
  })

  it('must be messages: with null among them the call is cancelled', async () => {
    const nothing: StreamUnaryClientInterceptor<Ask, Answer> = {
      interceptStreamUnary: (continuation, details) => continuation(details, [{ name: 'a' }, null as never]),
    }
    const error = await failureOf(greeter.with(nothing).greetAll(three))
    expect(error).toMatchObject({ code: Code.CANCELLED, cause: expect.any(TypeError) })
  })

  it('may be cut short: what the application still sends is dropped', async () => {
    const first: StreamUnaryClientInterceptor<Ask, Answer> = {
      interceptStreamUnary: async (continuation, details, requests) => {
        for await (const request of requests) return await continuation(details, [request])
        throw new Error('no request')
      },
    }
    expect(await greeter.with(first).greetAll(three)).toEqual({ text: 'a' })
  })

  it('are replayed by a plain interceptor outside', async () => {
    const twice: Interceptor<ClientCall> = async (call, next) => {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      await next()
      return await next()
    }
    const seen: Ask[][] = []
    const collecting: StreamUnaryClientInterceptor<Ask, Answer> = {
      interceptStreamUnary: async (continuation, details, requests) => {
        const kept = await collect(requests)
        seen.push(kept)
        if (seen.length === 1) throw new RpcError(Code.UNAVAILABLE, 'try again')
        return await continuation(details, kept)
      },
    }
    expect(await greeter.with(twice, collecting).greetAll(three)).toEqual({ text: 'a b c' })
    expect(seen).toEqual([three, three])
  })
})

describe('cancel and deadline', () => {
  it('win over an interceptor that hangs, before its call or after it', async () => {
    const hangs: readonly InterceptGreet[] = [
      () => new Promise<never>(() => undefined),
      async (continuation, details, request) => {
        await continuation(details, request)
        return await new Promise<never>(() => undefined)
      },
    ]
    for (const hang of hangs) {
      const start = performance.now()
      const error = await failureOf(clientWith(hang).greet(ada, { timeoutMs: 40 }))
      expect(error.code).toBe(Code.DEADLINE_EXCEEDED)
      expect(performance.now() - start).toBeLessThan(2000)
    }
  })

  it('win over a stream an interceptor makes by itself', async () => {
    const client = greeter.with({
      interceptUnaryStream: async function* () {
        yield { text: 'first' }
        await new Promise(() => undefined)
      },
    })
    const responses = client.greetMany(ada, { timeoutMs: 40 })[Symbol.asyncIterator]()
    expect(await responses.next()).toEqual({ done: false, value: { text: 'first' } })
    expect((await failureOf(responses.next())).code).toBe(Code.DEADLINE_EXCEEDED)
  })

  it('abort the signal of the details, and let nothing more start', async () => {
    const reasons: unknown[] = []
    let late: Promise<RpcError> | undefined
    let started = 0
    const interceptUnaryUnary: InterceptGreet = async (continuation, details, request) => {
      await new Promise((resolve) => details.signal.addEventListener('abort', resolve))
      reasons.push(details.signal.reason)
      late = failureOf(continuation(details, request))
      return await continuation(details, request)
    }
    const client = greeter.with({ interceptUnaryUnary }, (_call, next) => {
      started++
      return next()
    })
    const call = client.greet(ada)
    call.cancel('enough')
    expect(await failureOf(call)).toMatchObject({ code: Code.CANCELLED, details: 'enough' })
    expect(reasons).toEqual([expect.objectContaining({ code: Code.CANCELLED, details: 'enough' })])
    expect((await late)?.code).toBe(Code.CANCELLED)
    expect(started).toBe(0)
  })

  it('close a stream an interceptor makes by itself, as does an application that leaves', async () => {
    let closed = 0
    const client = greeter.with({
      interceptUnaryStream: async function* () {
        try {
          for (;;) yield { text: 'again' }
        } finally {
          closed++
        }
      },
    })
    for await (const _answer of client.greetMany(ada)) break
    await until(() => closed === 1, 'the end of the first stream')
    const call = client.greetMany(ada)
    call.cancel()
    expect((await streamFailureOf(call)).code).toBe(Code.CANCELLED)
    await until(() => closed === 2, 'the end of the second stream')
  })

  // reference: deviation 22
  it('end every call an interceptor has made', async () => {
    const [opened, closed] = [greeter.counts.open, greeter.counts.closed]
    const client = clientWith(async (continuation, details) => {
      return await Promise.any([continuation(details, wait), continuation(details, wait)])
    })
    const call = client.greet(ada)
    await until(() => greeter.counts.open === opened + 2, 'both calls on the server')
    call.cancel()
    expect((await failureOf(call)).code).toBe(Code.CANCELLED)
    await until(() => greeter.counts.closed === closed + 2, 'the end of both calls on the server')
  })

  it('are what the application hears of, whatever the interceptor makes of them', async () => {
    const client = clientWith(async (continuation, details) => {
      try {
        return await continuation(details, wait)
      } catch {
        return { text: 'as if nothing had happened' }
      }
    })
    const call = client.greet(ada)
    await until(() => greeter.greeted.length > 0, 'the call on the server')
    call.cancel('enough')
    expect(await failureOf(call)).toMatchObject({ code: Code.CANCELLED, details: 'enough' })
  })
})

describe('an interceptor object', () => {
  it('cannot be called as a function', async () => {
    const handsOn: ClientInterceptor = {
      interceptUnaryUnary: (continuation, details, request) => continuation(details, request),
    }
    const inner = chain(handsOn)
    const calling: Interceptor = (call, next) => inner(call, next)
    const error = await failureOf(greeter.with(calling).greet(ada))
    expect(error).toMatchObject({ code: Code.INTERNAL, details: expect.stringContaining('cannot be called') })
  })

  it('of the other side is refused in a chain as well, when it is composed', () => {
    expect(() => greeter.with(chain({ interceptService: () => null }))).toThrow(
      'interceptService, which is for servers',
    )
  })

  it('works per call, inside those of the channel', async () => {
    const order: string[] = []
    const named = (name: string): ClientInterceptor => ({
      interceptUnaryUnary: (continuation, details, request) => {
        order.push(name)
        return continuation(details, request)
      },
    })
    const client = greeter.with(named('channel'))
    expect(await client.greet(ada, { interceptors: [named('call')] })).toEqual(hello)
    expect(order).toEqual(['channel', 'call'])
    expect(clientInterceptors(named('stub'))).toHaveLength(1)
  })

  // reference: sentence 6
  it('that serves other kinds of calls is not there for the rest', async () => {
    const calls: unknown[] = []
    const look: Interceptor = (call, next) => {
      calls.push(call)
      return next()
    }
    const streams: ClientInterceptor = {
      interceptUnaryStream: (continuation, details, request) => continuation(details, request),
    }
    expect(await greeter.with(look, streams, look).greet(ada)).toEqual(hello)
    // One call object for all the plain interceptors: nothing divides them.
    expect(calls[0]).toBe(calls[1])
  })
})
