import { CallCredentials, status as Code, Metadata } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Ask, Greeter, gate } from '../../../test/greeter.ts'
import { failureOf, type GreeterServer, startGreeter } from '../../../test/greeter-server.ts'
import { createClient, interceptChannel, type UnaryCall, type UnaryUnaryClientInterceptor } from '../../index.ts'

/* What gRPC Python's tests of asynchronous unary-unary client interceptors assert. */

let greeter: GreeterServer
/** How many calls the handler has seen, and the metadata of the last one. */
const served = { calls: 0, metadata: new Metadata() }

beforeAll(async () => {
  greeter = await startGreeter([], {
    greet: (call, callback) => {
      served.calls++
      served.metadata = call.metadata
      if (call.request.name === 'wait') return
      if (call.request.name === 'nobody') {
        const metadata = new Metadata()
        metadata.set('reason', 'unknown')
        callback({ code: Code.NOT_FOUND, details: 'Nobody is not here', metadata })
        return
      }
      const headers = new Metadata()
      for (const value of call.metadata.get('echo')) headers.add('echo', value)
      call.sendMetadata(headers)
      const trailers = new Metadata()
      for (const value of call.metadata.get('echo-bin')) trailers.add('echo-bin', value)
      callback(null, { text: `Hello ${call.request.name}` }, trailers)
    },
  })
})
afterAll(() => greeter.stop())

type Intercept = UnaryUnaryClientInterceptor<Ask, Answer>['interceptUnaryUnary']

function clientWith(...hooks: readonly Intercept[]): ReturnType<typeof createClient<typeof Greeter>> {
  const interceptors = hooks.map((interceptUnaryUnary) => ({ interceptUnaryUnary }))
  return createClient(Greeter, interceptChannel(greeter.channel, ...interceptors))
}

const ada: Ask = { name: 'Ada' }
const wait: Ask = { name: 'wait' }
const nobody: Ask = { name: 'nobody' }
const hello: Answer = { text: 'Hello Ada' }

describe('unary-unary client interceptors', () => {
  // reference: symbol 1
  it('B1: an object with none of the methods is refused when the channel is made', () => {
    for (const wrong of [{}, { interceptUnaryUnary: 'no function' }, 'text', null]) {
      expect(() => interceptChannel(greeter.channel, wrong as never)).toThrow(
        /interceptChannel: interceptor 0 must be .*interceptUnaryUnary, .*interceptUnaryStream, .*interceptStreamUnary or .*interceptStreamStream/,
      )
    }
    expect(() => interceptChannel(greeter.channel, { interceptService: () => null } as never)).toThrow(TypeError)
  })

  // reference: symbol 1
  it('B2: they run in the order of the list', async () => {
    const order: string[] = []
    const named =
      (name: string): Intercept =>
      async (continuation, details, request) => {
        order.push(`${name}>`)
        const response = await continuation(details, request)
        order.push(`<${name}`)
        return response
      }
    expect(await clientWith(named('a'), named('b'), named('c')).greet(ada)).toEqual(hello)
    expect(order).toEqual(['a>', 'b>', 'c>', '<c', '<b', '<a'])
  })

  // reference: symbol 20
  it('B3: metadata can be changed, and the caller keeps its own', async () => {
    const metadata = new Metadata()
    metadata.set('mine', '1')
    const client = clientWith((continuation, details, request) => {
      details.metadata.set('in-place', '2')
      const replaced = details.metadata.clone()
      replaced.set('replaced', '3')
      return continuation(details.with({ metadata: replaced }), request)
    })
    await client.greet(ada, { metadata })
    expect(['mine', 'in-place', 'replaced'].map((key) => served.metadata.get(key))).toEqual([['1'], ['2'], ['3']])
    expect(metadata.getMap()).toEqual({ mine: '1' })
  })

  // reference: sentence 47, symbol 21
  it('B3: credentials can be added and taken away', async () => {
    const token = (value: string): CallCredentials =>
      CallCredentials.createFromMetadataGenerator((_options, done) => {
        const metadata = new Metadata()
        metadata.set('token', value)
        done(null, metadata)
      })
    const adds = clientWith((continuation, details, request) =>
      continuation(details.with({ credentials: token('added') }), request),
    )
    await adds.greet(ada)
    expect(served.metadata.get('token')).toEqual(['added'])
    const drops = clientWith((continuation, details, request) =>
      continuation(details.with({ credentials: undefined }), request),
    )
    await drops.greet(ada, { credentials: token('mine') })
    expect(served.metadata.get('token')).toEqual([])
    const keeps = clientWith((continuation, _details, request) => continuation({ timeoutMs: 5000 }, request))
    await keeps.greet(ada, { credentials: token('mine') })
    expect(served.metadata.get('token')).toEqual(['mine'])
  })

  it('B4: an interceptor may wait for the status; the caller gets the response all the same', async () => {
    let code: number | undefined
    const client = clientWith(async (continuation, details, request) => {
      const call = continuation(details, request)
      code = (await call.status).code
      return call
    })
    const call = client.greet(ada)
    expect(await call).toEqual(hello)
    expect([code, (await call.status).code]).toEqual([Code.OK, Code.OK])
  })

  // reference: symbol 19
  it('B5: a timeout of the interceptor ends the call with DEADLINE_EXCEEDED', async () => {
    const client = clientWith((continuation, details, request) =>
      continuation(details.with({ timeoutMs: 30 }), request),
    )
    const call = client.greet(wait)
    expect(await failureOf(call)).toMatchObject({ code: Code.DEADLINE_EXCEEDED })
    expect((await call.status).code).toBe(Code.DEADLINE_EXCEEDED)
  })

  it('B6: a second attempt can succeed where the first ran into its timeout', async () => {
    const codes: number[] = []
    const client = clientWith(async (continuation, details, request) => {
      const first = continuation(details.with({ timeoutMs: 20 }), wait)
      codes.push((await first.status).code)
      // The limit of the first attempt was its own.
      const second = continuation(details.with({ timeoutMs: undefined }), request)
      codes.push((await second.status).code)
      return second
    })
    const call = client.greet(ada)
    expect(await call).toEqual(hello)
    expect((await call.status).code).toBe(Code.OK)
    expect(codes).toEqual([Code.DEADLINE_EXCEEDED, Code.OK])
  })

  it('B7: a second attempt of an outer interceptor runs the inner one again', async () => {
    let inner = 0
    const before = served.calls
    const client = clientWith(
      async (continuation, details, request) => {
        await continuation(details, request)
        return await continuation(details, request)
      },
      (continuation, details, request) => {
        inner++
        return continuation(details, request)
      },
    )
    expect(await client.greet(ada)).toEqual(hello)
    expect([inner, served.calls - before]).toEqual([2, 2])
  })

  it('B8: an inner interceptor may answer by itself; an outer one sees a call that is done', async () => {
    const before = served.calls
    const made: Answer = { text: 'made here' }
    const seen: unknown[] = []
    const client = clientWith(
      async (continuation, details, request) => {
        const call = continuation(details, request)
        const response = await call
        const status = await call.status
        call.cancel() // it is done: this changes nothing
        seen.push(
          response === made,
          status.code,
          status.details,
          status.metadata?.getMap(),
          (await call.headers).getMap(),
        )
        return response
      },
      () => made,
    )
    const call = client.greet(ada)
    expect(await call).toBe(made)
    expect((await call.trailers).getMap()).toEqual({})
    // Python has no metadata on such a call where there is empty metadata here.
    expect(seen).toEqual([true, Code.OK, '', {}, {}])
    expect(served.calls).toBe(before)
  })

  for (const [how, hook] of [
    ['without awaiting the call', (continuation, details, request) => continuation(details, request)],
    ['awaiting the call', async (continuation, details, request) => await continuation(details, request)],
  ] as readonly [string, Intercept][]) {
    // reference: sentence 11
    it(`B9: ${how}, a call that succeeds is the same to the caller`, async () => {
      const metadata = new Metadata()
      metadata.set('echo', 'back')
      const call = clientWith(hook).greet(ada, { metadata })
      expect(await call).toEqual(hello)
      expect(await call.status).toMatchObject({ code: Code.OK, details: 'OK', origin: 'remote' })
      expect((await call.headers).get('echo')).toEqual(['back'])
    })

    it(`B10: ${how}, a call that fails is the same to the caller`, async () => {
      const call = clientWith(hook).greet(nobody)
      const [expected, error] = await Promise.all([failureOf(greeter.client.greet(nobody)), failureOf(call)])
      expect(expected).toMatchObject({ code: Code.NOT_FOUND, details: 'Nobody is not here', origin: 'remote' })
      const { code, details, origin } = expected
      expect(error).toMatchObject({ code, details, origin })
      expect(error.metadata.get('reason')).toEqual(['unknown'])
      call.cancel() // done, not cancelled
      expect((await call.status).code).toBe(Code.NOT_FOUND)
      expect((await call.headers).getMap()).toEqual({})
    })
  }

  it('B11: a call can be cancelled while an interceptor hangs before it', async () => {
    const before = served.calls
    const entered = gate()
    const client = clientWith(async () => {
      entered.open()
      return await new Promise<never>(() => undefined)
    })
    const call = client.greet(ada)
    await entered.opened
    call.cancel('changed my mind')
    const error = await failureOf(call)
    expect(error).toMatchObject({ code: Code.CANCELLED, details: 'changed my mind' })
    expect(error.metadata.getMap()).toEqual({})
    expect(served.calls).toBe(before)
  })

  it('B12: a call can be cancelled while an interceptor hangs after it', async () => {
    const answered = gate()
    const client = clientWith(async (continuation, details, request) => {
      await continuation(details, request)
      answered.open()
      return await new Promise<never>(() => undefined)
    })
    const call = client.greet(ada)
    await answered.opened
    call.cancel()
    expect((await failureOf(call)).code).toBe(Code.CANCELLED)
  })

  for (const [how, hook] of [
    [
      'and awaits it',
      async (continuation, details) => {
        const call = continuation(details, wait)
        call.cancel('by the interceptor')
        return await call
      },
    ],
    [
      'and does not await it',
      (continuation, details) => {
        const call = continuation(details, wait)
        call.cancel('by the interceptor')
        return call
      },
    ],
  ] as readonly [string, Intercept][]) {
    it(`B13: an interceptor cancels the call ${how}`, async () => {
      const call = clientWith(hook).greet(ada)
      expect(await failureOf(call)).toMatchObject({ code: Code.CANCELLED, details: 'by the interceptor' })
      expect((await call.status).code).toBe(Code.CANCELLED)
    })
  }

  // reference: sentence 5
  it('B14: metadata that was put in comes back in headers and trailers, binary too', async () => {
    const bytes = Buffer.from([0, 255, 7])
    const client = clientWith((continuation, details, request) => {
      details.metadata.add('echo', 'one')
      details.metadata.add('echo', 'two')
      details.metadata.add('echo-bin', bytes)
      return continuation(details, request)
    })
    const call = client.greet(ada)
    await call
    expect((await call.headers).get('echo')).toEqual(['one, two'])
    expect((await call.trailers).get('echo-bin')).toEqual([bytes])
  })

  it('B15: the status can be asked for before the end, after it, and after the response', async () => {
    const heard: string[] = []
    const listen = (call: UnaryCall<Answer>, when: string): Promise<unknown> =>
      call.status.then(({ code }) => heard.push(`${when}: ${code}`))
    const call = clientWith((continuation, details, request) => continuation(details, request)).greet(ada)
    const early = listen(call, 'before')
    await early
    await listen(call, 'after')
    await call
    await listen(call, 'with the response at hand')
    expect(heard).toEqual(['before: 0', 'after: 0', 'with the response at hand: 0'])
  })
})
