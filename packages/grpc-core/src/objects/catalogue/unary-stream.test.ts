import { status as Code, credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Ask, Greeter, gate } from '../../../test/greeter.ts'
import { collect, failureOf, type GreeterServer, startGreeter, streamFailureOf } from '../../../test/greeter-server.ts'
import { until } from '../../../test/observing.ts'
import {
  type Channel,
  createChannel,
  createClient,
  interceptChannel,
  type StreamCall,
  type UnaryStreamClientInterceptor,
} from '../../index.ts'

/* What gRPC Python's tests of asynchronous unary-stream client interceptors assert. */

let greeter: GreeterServer
let closed = 0

beforeAll(async () => {
  greeter = await startGreeter([], {
    greetMany: async function* (call) {
      call.once('cancelled', () => closed++)
      for (let n = 0; n < (call.request.times ?? 0); n++) yield { text: `${n}` }
      if (call.request.name === 'open') await new Promise(() => undefined)
    },
  })
})
afterAll(() => greeter.stop())

type Intercept = UnaryStreamClientInterceptor<Ask, Answer>['interceptUnaryStream']

function clientWith(...hooks: readonly Intercept[]): ReturnType<typeof createClient<typeof Greeter>> {
  return clientOn(greeter.channel, ...hooks)
}

function clientOn(channel: Channel, ...hooks: readonly Intercept[]): ReturnType<typeof createClient<typeof Greeter>> {
  const interceptors = hooks.map((interceptUnaryStream) => ({ interceptUnaryStream }))
  return createClient(Greeter, interceptChannel(channel, ...interceptors))
}

let counted = 0
/** The two that Python runs each scenario with: one that hands the call on, one that answers with an iterator of its own. */
const empty: Intercept = (continuation, details, request) => continuation(details, request)
const iterating: Intercept = (continuation, details, request) => {
  const call = continuation(details, request)
  async function* counting(): AsyncGenerator<Answer> {
    for await (const answer of call) {
      counted++
      yield answer
    }
  }
  return counting()
}
const each: readonly [string, Intercept][] = [
  ['passed through', empty],
  ['with an iterator in between', iterating],
]

const three: Ask = { name: 'a', times: 3 }
const open: Ask = { name: 'open', times: 1 }
const messages = [{ text: '0' }, { text: '1' }, { text: '2' }]

for (const [how, hook] of each) {
  describe(`unary-stream client interceptors, ${how}`, () => {
    // reference: symbol 4
    it('C1: every message passes, and the call ends well', async () => {
      counted = 0
      const call = clientWith(hook).greetMany(three)
      expect(await collect(call)).toEqual(messages)
      call.cancel() // too late: it changes nothing
      expect(await call.status).toMatchObject({ code: Code.OK, origin: 'remote' })
      expect((await call.trailers).getMap()).toEqual({})
      expect(counted).toBe(hook === iterating ? 3 : 0)
    })

    it('C2: the status can be asked for before and after the end', async () => {
      const call = clientWith(hook).greetMany(three)
      const early = call.status
      await collect(call)
      expect([(await early).code, (await call.status).code]).toEqual([Code.OK, Code.OK])
    })

    it('C3: messages can be read one by one', async () => {
      counted = 0
      const responses = clientWith(hook).greetMany(three)[Symbol.asyncIterator]()
      for (const message of messages) expect(await responses.next()).toEqual({ done: false, value: message })
      expect(counted).toBe(hook === iterating ? 3 : 0)
    })

    it('C4: reading past the end says so, each time', async () => {
      for (const client of [clientWith(hook), greeter.client]) {
        const responses = client.greetMany(three)[Symbol.asyncIterator]()
        for (const _message of messages) await responses.next()
        expect(await responses.next()).toEqual({ done: true, value: undefined })
        expect(await responses.next()).toEqual({ done: true, value: undefined })
      }
    })

    // reference: symbol 3
    it('C5: two of them, one around the other', async () => {
      counted = 0
      expect(await collect(clientWith(hook, hook).greetMany(three))).toEqual(messages)
      expect(counted).toBe(hook === iterating ? 6 : 0)
    })

    it('C6: iterating ends with UNAVAILABLE where the server cannot be reached', async () => {
      const nowhere = createChannel('127.0.0.1:1', credentials.createInsecure())
      try {
        const call = clientOn(nowhere, hook).greetMany(three)
        expect((await streamFailureOf(call)).code).toBe(Code.UNAVAILABLE)
        expect((await call.status).code).toBe(Code.UNAVAILABLE)
      } finally {
        nowhere.close()
      }
    })

    it('C7: a call can be cancelled while its interceptor hangs before it', async () => {
      const entered = gate()
      const hanging = clientWith(async (continuation, details, request) => {
        entered.open()
        await new Promise<never>(() => undefined)
        return hook(continuation, details, request)
      })
      const call = hanging.greetMany(three)
      await entered.opened
      call.cancel()
      expect((await streamFailureOf(call)).code).toBe(Code.CANCELLED)
    })

    it('C7: a call can be cancelled after it has started and while it is read', async () => {
      const before = closed
      const call = clientWith(hook).greetMany(open)
      const responses = call[Symbol.asyncIterator]()
      expect(await responses.next()).toEqual({ done: false, value: { text: '0' } })
      const next = failureOf(responses.next())
      call.cancel('enough')
      expect(await next).toMatchObject({ code: Code.CANCELLED, details: 'enough' })
      expect((await call.status).code).toBe(Code.CANCELLED)
      await until(() => closed > before, 'the end of the call on the server')
    })

    it('C7: an interceptor can cancel the call', async () => {
      const cancelling = clientWith((continuation, details, request) => {
        const cancelled = (...args: Parameters<typeof continuation>): StreamCall<Answer> => {
          const call = continuation(...args)
          call.cancel('by the interceptor')
          return call
        }
        return hook(cancelled, details, request)
      })
      expect(await streamFailureOf(cancelling.greetMany(open))).toMatchObject({
        code: Code.CANCELLED,
        details: 'by the interceptor',
      })
    })

    // reference: symbol 18
    it('C9: the interceptor sees the full path of the method', async () => {
      let path = ''
      const looking = clientWith((continuation, details, request) => {
        path = details.method
        return hook(continuation, details, request)
      })
      await collect(looking.greetMany(three))
      expect(path).toBe('/greet.v1.Greeter/GreetMany')
    })
  })
}

describe('unary-stream client interceptors that throw', () => {
  const broken = new Error('defect')
  const ways: readonly [string, Intercept][] = [
    [
      'at once',
      () => {
        throw broken
      },
    ],
    ['as a promise', () => Promise.reject(broken)],
    [
      'while they are read',
      async function* () {
        yield { text: 'first' }
        throw broken
      },
    ],
  ]

  for (const [how, hook] of ways) {
    it(`C8: ${how}: the consumer gets INTERNAL with the error as the cause, and the call is done`, async () => {
      // Python hands the bare error to the consumer.
      const call = clientWith(hook).greetMany(three)
      const early = call.status
      expect(await streamFailureOf(call)).toMatchObject({ code: Code.INTERNAL, cause: broken })
      expect((await early).code).toBe(Code.INTERNAL)
      call.cancel() // done, not cancelled
      expect(await call.status).toMatchObject({ code: Code.INTERNAL, cause: broken })
    })
  }
})
