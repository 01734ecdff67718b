import { status as Code, credentials } from '@grpc/grpc-js'
import { TestClient } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Ask, Greeter, gate } from '../../../test/greeter.ts'
import { failureOf, type GreeterServer, startGreeter } from '../../../test/greeter-server.ts'
import { until } from '../../../test/observing.ts'
import {
  type Channel,
  createChannel,
  createClient,
  interceptChannel,
  type StreamUnaryClientInterceptor,
} from '../../index.ts'

/*
 * What gRPC Python's tests of asynchronous stream-unary client interceptors assert. Python can also be given no iterator and be
 * written to; that style is the callback stub's here, which has it from grpc-js.
 */

let greeter: GreeterServer
const served = { names: [] as string[], closed: 0 }

beforeAll(async () => {
  greeter = await startGreeter([], {
    greetAll: async (call) => {
      served.names = []
      call.once('cancelled', () => served.closed++)
      for await (const { name } of call) served.names.push(name)
      return { text: served.names.join(' ') }
    },
  })
})
afterAll(() => greeter.stop())

type Intercept = StreamUnaryClientInterceptor<Ask, Answer>['interceptStreamUnary']

function channelWith(...hooks: readonly Intercept[]): Channel {
  return interceptChannel(greeter.channel, ...hooks.map((interceptStreamUnary) => ({ interceptStreamUnary })))
}

function clientWith(...hooks: readonly Intercept[]): ReturnType<typeof createClient<typeof Greeter>> {
  return createClient(Greeter, channelWith(...hooks))
}

/** Python's `write` and `done_writing`: grpc-js's stream of a client-streaming call. */
function write(channel: Channel, callback: (error: unknown, answer?: Answer) => void = () => undefined) {
  const { path, requestSerialize, responseDeserialize } = Greeter.greetAll
  return channel.client(TestClient).makeClientStreamRequest(path, requestSerialize, responseDeserialize, callback)
}

let counted = 0
const counting: Intercept = (continuation, details, requests) => {
  async function* numbered(): AsyncGenerator<Ask> {
    for await (const request of requests) {
      counted++
      yield request
    }
  }
  return continuation(details, numbered())
}

const three: readonly Ask[] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]
async function* hanging(): AsyncGenerator<Ask> {
  yield { name: 'a' }
  await new Promise(() => undefined)
}

describe('stream-unary client interceptors', () => {
  // reference: symbol 6, symbol 12
  it('D1: requests pass through the interceptor, given as an iterator', async () => {
    counted = 0
    expect(await clientWith(counting).greetAll(three)).toEqual({ text: 'a b c' })
    expect(counted).toBe(3)
  })

  // reference: sentence 12
  it('D1: requests pass through the interceptor, written one by one', async () => {
    counted = 0
    const answer = await new Promise<unknown>((resolve, reject) => {
      const call = write(channelWith(counting), (error, response) => (error ? reject(error) : resolve(response)))
      for (const request of three) call.write(request)
      call.end()
    })
    expect(answer).toEqual({ text: 'a b c' })
    expect(counted).toBe(3)
  })

  it('D2: the status can be asked for before and after the end', async () => {
    const call = clientWith(counting).greetAll(three)
    const early = call.status
    await call
    expect([(await early).code, (await call.status).code]).toEqual([Code.OK, Code.OK])
  })

  // reference: symbol 5
  it('D3: two of them, one around the other', async () => {
    counted = 0
    expect(await clientWith(counting, counting).greetAll(three)).toEqual({ text: 'a b c' })
    expect(counted).toBe(6)
  })

  it('D4: a server that is not there is UNAVAILABLE, however the requests are given', async () => {
    const nowhere = createChannel('127.0.0.1:1', credentials.createInsecure())
    try {
      const channel = interceptChannel(nowhere, { interceptStreamUnary: counting })
      const call = createClient(Greeter, channel).greetAll(three)
      expect((await failureOf(call)).code).toBe(Code.UNAVAILABLE)
      const error = await new Promise<unknown>((resolve) => {
        const stream = write(channel, resolve)
        stream.write({ name: 'a' })
      })
      // Python refuses a write to a dead call; grpc-js's stream takes it and drops it.
      expect(error).toMatchObject({ code: Code.UNAVAILABLE })
    } finally {
      nowhere.close()
    }
  })

  it('D5: a call can be cancelled while its interceptor hangs before it', async () => {
    const entered = gate()
    const call = clientWith(async () => {
      entered.open()
      return await new Promise<never>(() => undefined)
    }).greetAll(three)
    await entered.opened
    call.cancel()
    expect((await failureOf(call)).code).toBe(Code.CANCELLED)
  })

  it('D5: a call can be cancelled after it has started, while requests are still to come', async () => {
    const before = served.closed
    served.names = []
    const call = clientWith(counting).greetAll(hanging())
    await until(() => served.names.includes('a'), 'the first request')
    call.cancel('enough')
    expect(await failureOf(call)).toMatchObject({ code: Code.CANCELLED, details: 'enough' })
    await until(() => served.closed > before, 'the end of the call on the server')
  })

  for (const writes of [0, 1]) {
    it(`D5: a call can be cancelled while it is written to, after ${writes} writes`, async () => {
      let stream: ReturnType<typeof write> | undefined
      const error = await new Promise<unknown>((resolve) => {
        stream = write(channelWith(counting), resolve)
        if (writes === 1) stream.write({ name: 'a' })
        stream.cancel()
      })
      expect(error).toMatchObject({ code: Code.CANCELLED })
      // A later write is dropped, and its callback comes.
      await new Promise((resolve) => stream?.write({ name: 'late' }, resolve))
    })
  }

  it('D5: an interceptor can cancel the call', async () => {
    const client = clientWith((continuation, details, requests) => {
      const call = continuation(details, requests)
      call.cancel('by the interceptor')
      return call
    })
    expect(await failureOf(client.greetAll(hanging()))).toMatchObject({
      code: Code.CANCELLED,
      details: 'by the interceptor',
    })
  })

  it('D6: what an interceptor throws reaches callers that await and callers that write', async () => {
    const broken = new Error('defect')
    const defective: Intercept = async () => {
      throw broken
    }
    expect(await failureOf(clientWith(defective).greetAll(three))).toMatchObject({ code: Code.INTERNAL, cause: broken })
    let stream: ReturnType<typeof write> | undefined
    const error = await new Promise<unknown>((resolve) => {
      stream = write(channelWith(defective), resolve)
      stream.write({ name: 'a' })
    })
    expect(error).toMatchObject({ code: Code.INTERNAL, cause: broken })
    await new Promise((resolve) => stream?.write({ name: 'late' }, resolve))
  })

  // reference: deviation 19
  it('D7: the two styles cannot be mixed: a call takes an iterable, and what is none is refused', () => {
    // A client of promises has no writer, a stub no iterator; Python has both on one call and raises a usage error.
    expect(() => clientWith(counting).greetAll({ name: 'a' } as never)).toThrow(TypeError)
    const call = clientWith(counting).greetAll([])
    expect('write' in call).toBe(false)
    call.cancel()
  })
})
