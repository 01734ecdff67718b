import { status as Code, Metadata } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Answer, Ask } from '../../../test/greeter.ts'
import { Greeter } from '../../../test/greeter.ts'
import { collect, failureOf, type GreeterServer, startGreeter, streamFailureOf } from '../../../test/greeter-server.ts'
import {
  type ClientInterceptor,
  ContextVar,
  createClient,
  interceptChannel,
  RpcError,
  type ServerInterceptor,
  type StreamStreamClientInterceptor,
} from '../../index.ts'

/*
 * What gRPC Python's own tests of interceptors on both sides assert, scenario by scenario: how often each interceptor runs
 * and in which order, for every kind of call and every style of calling. Python's three styles (blocking, with_call,
 * future) are one here: a call that can be awaited, and asked for everything else.
 */

const log: string[] = []
const ctx = new ContextVar<string>('catalogue', { default: 'unset' })

function serverLog(name: string): ServerInterceptor {
  return {
    interceptService: (continuation, details) => {
      log.push(`${name}${ctx.get() === 'unset' ? '' : `[${ctx.get()}]`}`)
      return continuation(details)
    },
  }
}

const onlyWithSecret = (inner: ServerInterceptor): ServerInterceptor => ({
  interceptService: (continuation, details) =>
    details.invocationMetadata.get('secret').includes('42')
      ? inner.interceptService(continuation, details)
      : continuation(details),
})

const setsContext: ServerInterceptor = {
  interceptService: (continuation, details) => {
    // Each RPC starts in an empty context.
    if (ctx.get() !== 'unset') log.push('a context that is not empty')
    ctx.set('ctx')
    return continuation(details)
  },
}

function clientLog(name: string): ClientInterceptor {
  return {
    interceptUnaryUnary: (continuation, details, request) => {
      log.push(name)
      return continuation(details, request)
    },
    interceptUnaryStream: (continuation, details, request) => {
      log.push(name)
      return continuation(details, request)
    },
    interceptStreamUnary: (continuation, details, requests) => {
      log.push(name)
      return continuation(details, requests)
    },
    interceptStreamStream: (continuation, details, requests) => {
      log.push(name)
      return continuation(details, requests)
    },
  }
}

const fail = (name: string): void => {
  log.push(`handler[${ctx.get()}]`)
  if (name === 'nobody') throw new RpcError(Code.NOT_FOUND, 'no such person')
}

let greeter: GreeterServer
let client: ReturnType<typeof createClient<typeof Greeter>>

beforeAll(async () => {
  greeter = await startGreeter([serverLog('s1'), onlyWithSecret(serverLog('s3')), setsContext, serverLog('s2')], {
    greet: ({ request }) => {
      fail(request.name)
      return { text: request.name }
    },
    greetMany: async function* ({ request }) {
      fail(request.name)
      for (let n = 0; n < (request.times ?? 0); n++) yield { text: `${n}` }
    },
    greetAll: async (call) => {
      let count = 0
      let last = ''
      for await (const { name } of call) {
        count++
        last = name
      }
      fail(last)
      return { text: `${count}` }
    },
    chat: async function* (call) {
      log.push(`handler[${ctx.get()}]`)
      for await (const { name } of call) {
        if (name === 'nobody') throw new RpcError(Code.NOT_FOUND, 'no such person')
        yield { text: name }
      }
    },
  })
  client = createClient(Greeter, interceptChannel(greeter.channel, clientLog('c1'), clientLog('c2')))
})
afterAll(() => greeter.stop())
beforeEach(() => {
  log.length = 0
})

const ORDER = ['c1', 'c2', 's1', 's2[ctx]', 'handler[ctx]']
const three: readonly Ask[] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
const failing: readonly Ask[] = [{ name: 'a' }, { name: 'nobody' }]
const NOT_FOUND = { code: Code.NOT_FOUND, details: 'no such person' }

describe('interceptors of both contracts, on both sides', () => {
  // reference: sentence 5, symbol 12
  it('A1: an interceptor may send each request three times, and a channel without it sends it once', async () => {
    const triple: StreamStreamClientInterceptor<Ask, Answer> = {
      interceptStreamStream: (continuation, details, requests) => {
        async function* tripled(): AsyncGenerator<Ask> {
          for await (const request of requests) yield* [request, request, request]
        }
        return continuation(details, tripled())
      },
    }
    const tripling = createClient(Greeter, interceptChannel(greeter.channel, triple))
    expect(await collect(tripling.chat(three))).toHaveLength(9)
    expect(await collect(greeter.client.chat(three))).toHaveLength(3)
  })

  it('A2: a defective interceptor ends the call with INTERNAL, its error as the cause', async () => {
    const broken = new Error('defect')
    const fails = (): never => {
      throw broken
    }
    const defective = createClient(
      Greeter,
      interceptChannel(greeter.channel, {
        interceptUnaryUnary: fails,
        interceptUnaryStream: fails,
        interceptStreamUnary: fails,
        interceptStreamStream: fails,
      }),
    )
    // Python's blocking style raises the bare error; here it is the same for every style and kind.
    for (const failure of [
      failureOf(defective.greet({ name: 'a' })),
      streamFailureOf(defective.greetMany({ name: 'a', times: 1 })),
      failureOf(defective.greetAll(three)),
      streamFailureOf(defective.chat(three)),
    ]) {
      expect(await failure).toMatchObject({ code: Code.INTERNAL, cause: broken })
    }
    expect(log).toEqual([])
  })

  it('A3: a header of an inner interceptor reaches the server, through partial details', async () => {
    const secret = new Metadata()
    secret.set('secret', '42')
    const adds: ClientInterceptor = {
      // Details of four members of a class of one's own; what is absent stays as it was.
      interceptUnaryUnary: (continuation, { method, timeoutMs, credentials }, request) =>
        continuation({ method, timeoutMs, metadata: secret, credentials }, request),
    }
    const channel = interceptChannel(interceptChannel(greeter.channel, adds), clientLog('c1'), clientLog('c2'))
    expect(await createClient(Greeter, channel).greet({ name: 'a' })).toEqual({ text: 'a' })
    expect(log).toEqual(['c1', 'c2', 's1', 's3', 's2[ctx]', 'handler[ctx]'])
  })

  // reference: sentence 9, sentence 13, symbol 2, symbol 14
  it('A4: unary, awaited: each interceptor once, in order; what a continuation returns is a call and a promise', async () => {
    const members: string[] = []
    const looks: ClientInterceptor = {
      interceptUnaryUnary: (continuation, details, request) => {
        const call = continuation(details, request)
        for (const member of ['then', 'response', 'headers', 'trailers', 'status', 'cancel', 'peer']) {
          if (member in call) members.push(member)
        }
        return call
      },
    }
    const channel = interceptChannel(greeter.channel, clientLog('c1'), looks, clientLog('c2'))
    expect(await createClient(Greeter, channel).greet({ name: 'a' })).toEqual({ text: 'a' })
    expect(log).toEqual(ORDER)
    expect(members).toEqual(['then', 'response', 'headers', 'trailers', 'status', 'cancel', 'peer'])
  })

  it('A5: unary, awaited, failing: an RpcError, and the call is done', async () => {
    const call = client.greet({ name: 'nobody' })
    expect(await failureOf(call)).toMatchObject(NOT_FOUND)
    // Done and not cancelled: a cancel changes nothing any more.
    call.cancel()
    expect(await call.status).toMatchObject(NOT_FOUND)
    expect(await failureOf(call.response)).toMatchObject(NOT_FOUND)
    expect(log).toEqual(ORDER)
  })

  it('A6: unary, with the call at hand', async () => {
    const call = client.greet({ name: 'a' })
    expect([await call.response, (await call.status).code]).toEqual([{ text: 'a' }, Code.OK])
    expect(log).toEqual(ORDER)
  })

  // reference: sentence 7
  it('A7: unary, awaited later', async () => {
    const future = client.greet({ name: 'a' })
    await future.status
    expect(log).toEqual(ORDER)
    expect(await future).toEqual({ text: 'a' })
  })

  // reference: sentence 8
  it('A8: a stream of responses', async () => {
    expect(await collect(client.greetMany({ name: 'a', times: 3 }))).toHaveLength(3)
    expect(log).toEqual(ORDER)
  })

  it('A9: a stream of responses, failing: the error comes while it is read', async () => {
    const call = client.greetMany({ name: 'nobody' })
    expect(await streamFailureOf(call)).toMatchObject(NOT_FOUND)
    expect(await call.status).toMatchObject(NOT_FOUND)
    expect(log).toEqual(ORDER)
  })

  it('A10: a stream of requests, awaited', async () => {
    expect(await client.greetAll(three)).toEqual({ text: '3' })
    expect(log).toEqual(ORDER)
  })

  it('A11: a stream of requests, with the call at hand', async () => {
    const call = client.greetAll(three)
    expect([await call.response, (await call.status).code]).toEqual([{ text: '3' }, Code.OK])
    expect(log).toEqual(ORDER)
  })

  // reference: sentence 7
  it('A12: a stream of requests, awaited later', async () => {
    const future = client.greetAll(three)
    await future.status
    expect(await future).toEqual({ text: '3' })
    expect(log).toEqual(ORDER)
  })

  it('A13: a stream of requests, failing', async () => {
    const call = client.greetAll(failing)
    expect(await failureOf(call)).toMatchObject(NOT_FOUND)
    expect(await call.status).toMatchObject(NOT_FOUND)
    expect(log).toEqual(ORDER)
  })

  // reference: sentence 8
  it('A14: streams both ways', async () => {
    expect(await collect(client.chat(three))).toEqual([{ text: 'a' }, { text: 'b' }, { text: 'c' }])
    expect(log).toEqual(ORDER)
  })

  it('A15: streams both ways, failing: what came before the error is there', async () => {
    const call = client.chat(failing)
    const seen: Answer[] = []
    const failure = failureOf(
      (async () => {
        for await (const answer of call) seen.push(answer)
      })(),
    )
    expect(await failure).toMatchObject(NOT_FOUND)
    expect(seen).toEqual([{ text: 'a' }])
    expect(log).toEqual(ORDER)
  })
})
