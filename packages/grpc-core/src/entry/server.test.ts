import {
  type ClientReadableStream,
  status as Code,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  Server,
  type ServiceError,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { connect, Greeter, gate } from '../../test/greeter.ts'
import {
  abort,
  type Channel,
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  RpcError,
  type Status,
} from '../index.ts'
import type { Handlers } from './handler-types.ts'
import type { CreateServerOptions, StackServer } from './server.ts'

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function serve(
  handlers: Handlers<typeof Greeter>,
  options: CreateServerOptions = {},
): Promise<{ server: StackServer; channel: Channel; seen: { path: string; status: Status }[] }> {
  const seen: { path: string; status: Status }[] = []
  const observe: Interceptor = async (call, next) => {
    const status = await next()
    seen.push({ path: call.method.path, status })
    return status
  }
  const server = createServer({ ...options, interceptors: [observe, ...(options.interceptors ?? [])] })
  server.addService(Greeter, handlers)
  const channel = await connect(server)
  closers.push(
    () => server.drain(0),
    () => channel.close(),
  )
  return { server, channel, seen }
}

async function drainStream(items: AsyncIterable<unknown>): Promise<{ n: number; error: unknown }> {
  let n = 0
  try {
    for await (const _ of items) n++
  } catch (error) {
    return { n, error }
  }
  return { n, error: undefined }
}

const failureOf = (call: PromiseLike<unknown>): Promise<unknown> =>
  Promise.resolve(call).then(
    () => undefined,
    (error: unknown) => error,
  )

describe('createServer', () => {
  // reference: symbol 46
  it('is a grpc-js Server', () => {
    expect(createServer()).toBeInstanceOf(Server)
  })

  // reference: sentence 1, symbol 48, symbol 49
  it('takes callback handlers, async handlers, plain returns and generators', async () => {
    const { channel } = await serve({
      greet: (call, callback) => callback(null, { text: `callback ${call.request.name}` }),
      greetMany: (call) => [{ text: call.request.name }, { text: 'and an array' }],
      greetAll: (call, callback) => {
        let n = 0
        call.on('data', () => n++)
        call.on('end', () => callback(null, { text: String(n) }))
      },
      chat: (call) => {
        call.on('data', ({ name }) => call.write({ text: name }))
        call.on('end', () => call.end())
      },
    })
    const client = createClient(Greeter, channel)
    expect(await client.greet({ name: 'x' })).toEqual({ text: 'callback x' })
    expect(await drainStream(client.greetMany({ name: 'x' }))).toEqual({ n: 2, error: undefined })
    expect(await client.greetAll([{ name: 'a' }, { name: 'b' }])).toEqual({ text: '2' })
    expect(await drainStream(client.chat([{ name: 'a' }]))).toEqual({ n: 1, error: undefined })
  })

  const failing: Record<string, Handlers<typeof Greeter>> = {
    'a synchronous throw': {
      greet: () => {
        throw new Error('secret')
      },
      greetMany: () => {
        throw new Error('secret')
      },
      greetAll: () => {
        throw new Error('secret')
      },
      chat: () => {
        throw new Error('secret')
      },
    },
    'a rejection': {
      greet: () => Promise.reject(new Error('secret')),
      greetMany: () => Promise.reject(new Error('secret')),
      greetAll: () => Promise.reject(new Error('secret')),
      chat: () => Promise.reject(new Error('secret')),
    },
    'an error given to grpc-js': {
      greet: (_call, callback) => callback(new Error('secret') as ServiceError),
      greetMany: (call) => void call.emit('error', new Error('secret')),
      greetAll: (_call, callback) => callback(new Error('secret') as ServiceError),
      chat: (call) => void call.destroy(new Error('secret')),
    },
    'a code that is no status code': {
      greet: () => Promise.reject(Object.assign(new Error('secret'), { code: 11_000 })),
      greetMany: () => Promise.reject(Object.assign(new Error('secret'), { code: 'ECONNREFUSED' })),
      greetAll: () => Promise.reject(Object.assign(new Error('secret'), { code: 0 })),
      chat: () => Promise.reject('secret'),
    },
  }

  for (const [what, handlers] of Object.entries(failing)) {
    // reference: deviation 8
    it(`turns ${what} into INTERNAL without its text, on all four patterns; observers get the cause`, async () => {
      const { channel, seen } = await serve(handlers)
      const client = createClient(Greeter, channel)
      const errors = [
        await failureOf(client.greet({ name: 'x' })),
        (await drainStream(client.greetMany({ name: 'x' }))).error,
        await failureOf(client.greetAll([])),
        (await drainStream(client.chat([]))).error,
      ]
      for (const error of errors) {
        expect(error).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
        expect(JSON.stringify((error as RpcError).metadata.getMap())).not.toContain('secret')
      }
      expect(seen).toHaveLength(4)
      for (const { status } of seen) {
        expect(status.code).toBe(Code.INTERNAL)
        expect(String(status.cause)).toContain('secret')
      }
    })
  }

  it('keeps the code, details and trailers of a status that was meant', async () => {
    const { channel } = await serve({
      greet: () => abort(Code.NOT_FOUND, 'not here'),
      greetMany: async function* () {
        yield { text: 'one' }
        throw new RpcError(Code.ABORTED, 'half way')
      },
      greetAll: (_call, callback) => callback({ code: Code.DATA_LOSS, details: 'plain object' }),
      chat: () =>
        Promise.reject(Object.assign(new Error('11: by shape'), { code: Code.OUT_OF_RANGE, details: 'by shape' })),
    })
    const client = createClient(Greeter, channel)
    expect(await failureOf(client.greet({ name: 'x' }))).toMatchObject({ code: 5, details: 'not here' })
    const many = await drainStream(client.greetMany({ name: 'x' }))
    expect(many).toMatchObject({ n: 1, error: { code: Code.ABORTED, details: 'half way' } })
    expect(await failureOf(client.greetAll([]))).toMatchObject({ code: Code.DATA_LOSS, details: 'plain object' })
    expect((await drainStream(client.chat([]))).error).toMatchObject({ code: 11, details: 'by shape' })
  })

  it('passes on the status of a call the handler made, and not its trailers', async () => {
    const behind = await serve({
      greet: async () => {
        const metadata = new Metadata()
        metadata.set('grpc-retry-pushback-ms', '50')
        throw new RpcError(Code.RESOURCE_EXHAUSTED, 'too many', { metadata })
      },
    })
    const inner = createClient(Greeter, behind.channel)
    const { channel } = await serve({ greet: async (call) => await inner.greet(call.request) })
    const error = await failureOf(createClient(Greeter, channel).greet({ name: 'x' }))
    expect(error).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, details: 'too many' })
    expect((error as RpcError).metadata.get('grpc-retry-pushback-ms')).toEqual([])
  })

  it('answers INTERNAL where a handler returns nothing', async () => {
    const { channel } = await serve({ greet: async (_call) => undefined as never })
    expect(await failureOf(createClient(Greeter, channel).greet({ name: 'x' }))).toMatchObject({ code: Code.INTERNAL })
  })

  it('answers UNIMPLEMENTED for a method without a handler', async () => {
    const { channel, seen } = await serve({})
    expect(await failureOf(createClient(Greeter, channel).greet({ name: 'x' }))).toMatchObject({ code: 12 })
    expect(seen).toHaveLength(1)
  })

  it('stops a generator when its call is cancelled, and runs its finally', async () => {
    let finished: () => void = () => undefined
    const ended = new Promise<void>((resolve) => {
      finished = resolve
    })
    const { channel } = await serve({
      greetMany: async function* () {
        try {
          for (;;) yield { text: 'on and on' }
        } finally {
          finished()
        }
      },
    })
    for await (const _ of createClient(Greeter, channel).greetMany({ name: 'x' })) break
    await ended
  })

  it('yields no faster than the client reads', async () => {
    let yielded = 0
    const { channel } = await serve({
      greetMany: async function* () {
        for (; yielded < 10_000; yielded++) yield { text: 'x'.repeat(10_000) }
      },
    })
    const Stub = makeGenericClientConstructor(Greeter, 'Greeter')
    const stub = channel.client(Stub) as unknown as { greetMany(request: object): ClientReadableStream<unknown> }
    const stream = stub.greetMany({ name: 'x' })
    stream.on('error', () => undefined)
    await new Promise((resolve) => stream.once('readable', resolve))
    // Flow control windows and buffers hold some messages; all 100 MB do not fit.
    let before = -1
    while (before !== yielded) {
      before = yielded
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(yielded).toBeLessThan(1_000)
    stream.cancel()
  })

  describe('grpc-js ends an RPC by itself: interceptors learn the true code', () => {
    const limits = { 'grpc.max_receive_message_length': 1_000, 'grpc.max_send_message_length': 1_000 }

    it.each([
      ['request too large', { name: 'x'.repeat(2_000) }, Code.RESOURCE_EXHAUSTED],
      ['response too large', { name: 'long' }, Code.RESOURCE_EXHAUSTED],
      ['response unserializable', { name: 'unserializable' }, Code.INTERNAL],
    ])('%s', async (_what, request, code) => {
      const text = (name: string): string => (name === 'long' ? 'y'.repeat(2_000) : name)
      const { channel, seen } = await serve(
        {
          greet: async (call) => ({ text: text(call.request.name) }),
          greetMany: (call) => [{ text: text(call.request.name) }],
          greetAll: async (call) => {
            for await (const { name } of call) return { text: text(name) }
            return { text: '' }
          },
          chat: async function* (call) {
            for await (const { name } of call) yield { text: text(name) }
          },
        },
        limits,
      )
      const client = createClient(Greeter, channel)
      const errors = [
        await failureOf(client.greet(request)),
        (await drainStream(client.greetMany(request))).error,
        await failureOf(client.greetAll([request])),
        (await drainStream(client.chat([request]))).error,
      ]
      for (const error of errors) expect(error).toMatchObject({ code })
      expect(seen.map(({ status }) => status.code)).toEqual([code, code, code, code])
    })

    // reference: deviation 25
    it('request unreadable', async () => {
      const { channel, seen } = await serve({ greet: async () => ({ text: '' }) })
      const broken = { ...Greeter, greet: { ...Greeter.greet, requestSerialize: () => Buffer.from('not JSON') } }
      expect(await failureOf(createClient(broken, channel).greet({ name: 'x' }))).toMatchObject({ code: 13 })
      expect(seen.map(({ status }) => status.code)).toEqual([Code.INTERNAL])
    })
  })

  it('shows interceptors RPCs to unregistered methods, before UNIMPLEMENTED, and caches nothing of them', async () => {
    const methods: unknown[] = []
    const watch: Interceptor = (call, next) => {
      methods.push(call.method)
      return next()
    }
    const { channel, seen } = await serve({}, { interceptors: [watch] })
    const elsewhere = { nowhere: { ...Greeter.greet, path: '/greet.v1.Greeter/Nowhere' } }
    const client = createClient(elsewhere, channel)
    for (let i = 0; i < 2; i++) {
      expect(await failureOf(client.nowhere({ name: 'x' }))).toMatchObject({
        code: Code.UNIMPLEMENTED,
        details: 'The server does not implement the method /greet.v1.Greeter/Nowhere',
      })
    }
    expect(methods).toHaveLength(2)
    expect(methods[0]).toMatchObject({ registered: false, pattern: 'unknown', service: 'greet.v1.Greeter' })
    expect(methods[0]).not.toBe(methods[1])
    expect(seen.map(({ status }) => status.code)).toEqual([12, 12])
  })

  it('lets an interceptor refuse an unregistered path with a status of its own', async () => {
    const refuse: Interceptor = () => ({ code: Code.UNAUTHENTICATED, details: 'who are you' })
    const { channel } = await serve({}, { interceptors: [refuse] })
    const elsewhere = { nowhere: { ...Greeter.chat, path: '/nobody.Knows/This' } }
    expect((await drainStream(createClient(elsewhere, channel).nowhere([]))).error).toMatchObject({ code: 16 })
  })

  it('names what is wrong with its options', () => {
    expect(() => createServer({ interceptors: [42 as never] })).toThrow(
      /option "interceptors": interceptor 0 .* got 42/,
    )
    expect(() => createServer({ interceptors: {} as never })).toThrow(/"interceptors" must be a list/)
    expect(() => createServer([] as never)).toThrow(/options must be an object/)
  })
})

describe('server.drain', () => {
  it('lets calls finish and refuses new connections', async () => {
    const arrived = gate()
    const release = gate()
    const { server, channel } = await serve({
      greet: async () => {
        arrived.open()
        await release.opened
        return { text: 'done' }
      },
    })
    const client = createClient(Greeter, channel)
    const answer = Promise.resolve(client.greet({ name: 'x' }))
    await arrived.opened
    const drained = server.drain(60_000)
    const late = createChannel(channel.getTarget(), credentials.createInsecure())
    closers.push(() => late.close())
    expect(await failureOf(createClient(Greeter, late).greet({ name: 'x' }))).toMatchObject({ code: 14 })
    release.open()
    expect(await answer).toEqual({ text: 'done' })
    await drained
  })

  // reference: deviation 23
  it('ends what is left after the grace with UNAVAILABLE', async () => {
    let arrived: () => void = () => undefined
    const started = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const { server, channel, seen } = await serve({
      greet: (call) =>
        new Promise((resolve) => {
          arrived()
          call.once('cancelled', () => resolve({ text: 'too late' }))
        }),
    })
    const failure = failureOf(createClient(Greeter, channel).greet({ name: 'x' }))
    await started
    await server.drain(0)
    expect(await failure).toMatchObject({ code: Code.UNAVAILABLE, details: 'The server is shutting down' })
    expect(seen.map(({ status }) => status.code)).toEqual([Code.UNAVAILABLE])
  })

  it('is one promise however often it is asked for, and takes only a number', async () => {
    const { server } = await serve({})
    expect(server.drain(0)).toBe(server.drain(10))
    expect(() => server.drain(Number.NaN)).toThrow(/graceMs must be a number/)
  })
})
