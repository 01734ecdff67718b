import { getEventListeners } from 'node:events'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RpcError } from '../contract/rpc-error.ts'
import type { Status } from '../contract/status.ts'
import { clientInterceptors } from '../entry/client-interceptors.ts'
import type { StreamCall, UnaryCall } from './call-handle.ts'
import { type CallMethod, openCall } from './open-call.ts'

interface Message {
  text: string
}

const serialize = (message: Message): Buffer => Buffer.from(JSON.stringify(message))
const deserialize = (bytes: Buffer): Message => JSON.parse(bytes.toString()) as Message

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: serialize,
    requestDeserialize: deserialize,
    responseSerialize: serialize,
    responseDeserialize: deserialize,
  }
}

const service = {
  one: method('one', false, false),
  collect: method('collect', true, false),
  list: method('list', false, true),
  chat: method('chat', true, true),
  idle: method('idle', true, true),
}

/** What the server saw and how far it got. */
const seen = { cancelled: 0, received: 0 }

const implementation: grpc.UntypedServiceImplementation = {
  one(call: grpc.ServerUnaryCall<Message, Message>, callback: grpc.sendUnaryData<Message>) {
    const trailers = new grpc.Metadata()
    trailers.set('t', 'trailer')
    if (call.request.text === 'hang') {
      call.on('cancelled', () => seen.cancelled++)
      return
    }
    const headers = new grpc.Metadata()
    headers.set('h', 'header')
    if (call.request.text !== 'no headers') call.sendMetadata(headers)
    if (call.request.text.startsWith('fail'))
      callback({ code: grpc.status.NOT_FOUND, details: 'nothing', metadata: trailers })
    else if (call.request.text === 'silent') callback(null, undefined as unknown as Message)
    else callback(null, { text: call.request.text }, trailers)
  },
  collect(call: grpc.ServerReadableStream<Message, Message>, callback: grpc.sendUnaryData<Message>) {
    const texts: string[] = []
    call.on('data', (message: Message) => {
      seen.received++
      texts.push(message.text)
      if (message.text === 'stop') callback({ code: grpc.status.ABORTED, details: 'enough' })
    })
    call.on('cancelled', () => seen.cancelled++)
    call.on('end', () => callback(null, { text: texts.join(',') }))
  },
  list(call: grpc.ServerWritableStream<Message, Message>) {
    call.on('cancelled', () => seen.cancelled++)
    const [count, ending] = call.request.text.split(' ')
    let n = 0
    const more = (): void => {
      while (n < Number(count) && !call.cancelled) {
        n++
        if (!call.write({ text: String(n) })) {
          call.once('drain', more)
          return
        }
      }
      if (ending === 'fail') call.emit('error', { code: grpc.status.DATA_LOSS, details: 'lost' })
      else if (ending !== 'open') call.end()
    }
    more()
  },
  chat(call: grpc.ServerDuplexStream<Message, Message>) {
    call.on('cancelled', () => seen.cancelled++)
    call.on('data', (message: Message) => call.write({ text: message.text.toUpperCase() }))
    call.on('end', () => call.end())
  },
  idle() {
    // Never reads.
  },
}

let server: grpc.Server
let client: grpc.Client

beforeAll(async () => {
  server = new grpc.Server()
  server.addService(service, implementation)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure())
})

afterAll(() => {
  client.close()
  server.forceShutdown()
})

function unary(
  m: CallMethod<Message, Message>,
  input: Message | AsyncIterable<Message> | Iterable<Message>,
  signal?: AbortSignal,
  options: grpc.CallOptions = {},
) {
  return openCall(client, m, input, new grpc.Metadata(), options, signal) as UnaryCall<Message>
}

function stream(
  m: CallMethod<Message, Message>,
  input: Message | AsyncIterable<Message> | Iterable<Message>,
  signal?: AbortSignal,
  options: grpc.CallOptions = {},
) {
  return openCall(client, m, input, new grpc.Metadata(), options, signal) as StreamCall<Message>
}

async function texts(call: AsyncIterable<Message>): Promise<string[]> {
  const all: string[] = []
  for await (const message of call) all.push(message.text.trim())
  return all
}

async function failure(work: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await work
  } catch (error) {
    if (error instanceof RpcError) return error
    throw error
  }
  throw new Error('did not fail')
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** The value once it has stopped changing. */
async function settled(value: () => number): Promise<number> {
  let last = Number.NaN
  while (value() !== last) {
    last = value()
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return last
}

describe('a call with a single response', () => {
  // reference: deviation 18, symbol 14
  it('is awaited for the response and tells headers, trailers, status and peer', async () => {
    const call = unary(service.one, { text: 'hello' })
    expect(await call).toEqual({ text: 'hello' })
    expect((await call.headers).get('h')).toEqual(['header'])
    expect((await call.trailers).get('t')).toEqual(['trailer'])
    expect(await call.status).toMatchObject({ code: grpc.status.OK, origin: 'remote' })
    expect(call.peer()).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(await call.response).toEqual({ text: 'hello' })
  })

  it('fails with an RpcError that names the place of the call', async () => {
    const call = unary(service.one, { text: 'fail' })
    const error = await failure(call)
    expect(error).toMatchObject({ code: grpc.status.NOT_FOUND, details: 'nothing', origin: 'remote' })
    expect(error.metadata.get('t')).toEqual(['trailer'])
    expect(error.stack).toMatch(/^RpcError: 5 NOT_FOUND: nothing[\s\S]*call-handle\.test/)
    expect((await call.headers).get('h')).toEqual(['header'])
    expect(await failure(call.response)).toBe(error)
  })

  it('leaves no unhandled rejection when only its status is awaited', async () => {
    const unhandled: unknown[] = []
    const onUnhandled = (reason: unknown) => unhandled.push(reason)
    process.on('unhandledRejection', onUnhandled)
    try {
      const status = await unary(service.one, { text: 'fail' }).status
      expect(status.code).toBe(grpc.status.NOT_FOUND)
      await new Promise((resolve) => setTimeout(resolve, 20))
      expect(unhandled).toEqual([])
    } finally {
      process.off('unhandledRejection', onUnhandled)
    }
  })

  it('has empty headers when it failed without any', async () => {
    const call = unary({ ...service.one, path: '/test.Echo/unknown' }, { text: '' })
    expect((await call.status).code).toBe(grpc.status.UNIMPLEMENTED)
    expect((await call.headers).getMap()).toEqual({})
  })

  it('is UNIMPLEMENTED in status and error alike when it ends OK without a response', async () => {
    const call = unary(service.one, { text: 'silent' }, undefined, {
      interceptors: [
        (options, nextCall) =>
          new grpc.InterceptingCall(nextCall(options), {
            start: (metadata, _listener, next) =>
              next(metadata, {
                onReceiveMessage: (_message, pass) => pass(null),
                onReceiveStatus: (status, pass) => pass({ ...status, code: grpc.status.OK }),
              }),
          }),
      ],
    })
    expect((await call.status).code).toBe(grpc.status.UNIMPLEMENTED)
    expect((await failure(call)).code).toBe(grpc.status.UNIMPLEMENTED)
  })

  it('keeps what only this process knows of a refusal', async () => {
    const cause = new Error('why')
    const interceptors = clientInterceptors(function guard() {
      return { code: grpc.status.PERMISSION_DENIED, details: 'no', cause }
    })
    const call = unary(service.one, { text: 'x' }, undefined, { interceptors })
    const error = await failure(call)
    expect(error).toMatchObject({ code: grpc.status.PERMISSION_DENIED, origin: 'local', refusedBy: 'guard', cause })
    expect(await call.status).toMatchObject({ origin: 'local', refusedBy: 'guard', cause })
  })

  it('can be cancelled, by hand and by a signal, and forgets the signal at its end', async () => {
    const byHand = unary(service.one, { text: 'hang' })
    byHand.cancel('not needed')
    expect(await failure(byHand)).toMatchObject({ code: grpc.status.CANCELLED, details: 'not needed' })

    const controller = new AbortController()
    let listeners = 0
    const { signal } = controller
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++
      add(...args)
    }
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--
      remove(...args)
    }
    expect(await unary(service.one, { text: 'ok' }, signal)).toEqual({ text: 'ok' })
    expect(listeners).toBe(0)
    const bySignal = unary(service.one, { text: 'hang' }, signal)
    const reason = new Error('user left')
    controller.abort(reason)
    expect(await failure(bySignal)).toMatchObject({ code: grpc.status.CANCELLED, cause: reason })
    expect((await bySignal.status).cause).toBe(reason)
    expect(await failure(unary(service.one, { text: 'ok' }, signal))).toMatchObject({ code: grpc.status.CANCELLED })
  })

  it('shares a signal with any number of calls, through one listener', async () => {
    const controller = new AbortController()
    const { signal } = controller
    const hanging = Array.from({ length: 12 }, () => unary(service.one, { text: 'hang' }, signal))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    expect(await unary(service.one, { text: 'ok' }, signal)).toEqual({ text: 'ok' })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    const reason = new Error('user left')
    controller.abort(reason)
    for (const call of hanging) {
      expect(await failure(call)).toMatchObject({ code: grpc.status.CANCELLED, cause: reason })
    }
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('ends UNAVAILABLE on a closed channel, without a throw', async () => {
    const closed = new grpc.Client('127.0.0.1:1', grpc.credentials.createInsecure())
    closed.close()
    for (const m of Object.values(service)) {
      const call = openCall(closed, m, m.requestStream ? [] : { text: '' }, new grpc.Metadata(), {})
      expect((await call.status).code).toBe(grpc.status.UNAVAILABLE)
      const result = 'then' in call ? call.then(() => undefined) : texts(call)
      expect((await failure(result)).code).toBe(grpc.status.UNAVAILABLE)
    }
  })
})

describe('a stream of responses', () => {
  // reference: symbol 15
  it('yields every message and then is done for good', async () => {
    const call = stream(service.list, { text: '3' })
    const responses = call[Symbol.asyncIterator]()
    const all: string[] = []
    for await (const message of responses) all.push(message.text)
    expect(all).toEqual(['1', '2', '3'])
    expect(await responses.next()).toEqual({ done: true, value: undefined })
    expect((await call.status).code).toBe(grpc.status.OK)
    expect(() => call[Symbol.asyncIterator]()).toThrow('once')
  })

  it('answers several reads at once in order', async () => {
    const responses = stream(service.list, { text: '3' })[Symbol.asyncIterator]()
    const results = await Promise.all([
      responses.next(),
      responses.next(),
      responses.next(),
      responses.next(),
      responses.next(),
    ])
    expect(results.map(({ value }) => value?.text)).toEqual(['1', '2', '3', undefined, undefined])
  })

  it('gives the messages that came before the error first, however late they are read', async () => {
    const call = stream(service.list, { text: '3 fail' })
    const responses = call[Symbol.asyncIterator]()
    expect((await responses.next()).value?.text).toBe('1')
    await call.status
    expect((await responses.next()).value?.text).toBe('2')
    expect((await responses.next()).value?.text).toBe('3')
    expect(await failure(responses.next())).toMatchObject({ code: grpc.status.DATA_LOSS, details: 'lost' })
    expect((await responses.next()).done).toBe(true)
  })

  it('reads nothing before it is iterated, and then no faster than it is consumed', async () => {
    let read = 0
    const counted = (bytes: Buffer): Message => {
      read++
      return deserialize(bytes)
    }
    const call = stream({ ...service.list, responseDeserialize: counted }, { text: '1000' })
    await call.headers
    expect(await settled(() => read)).toBe(0)
    const responses = call[Symbol.asyncIterator]()
    for (let consumed = 1; consumed <= 3; consumed++) {
      await responses.next()
      // grpc-js's stream reads up to its high-water mark ahead.
      expect(await settled(() => read)).toBeLessThanOrEqual(consumed + 17)
    }
    expect((await texts(responses)).length).toBe(997)
  })

  it('is cancelled when the loop is left', async () => {
    const before = seen.cancelled
    const call = stream(service.list, { text: '2 open' })
    for await (const _message of call) break
    expect((await call.status).code).toBe(grpc.status.CANCELLED)
    await until(() => seen.cancelled > before)
  })
})

describe('a stream of requests', () => {
  it('takes an iterable, an async iterable and nothing else', async () => {
    expect(await unary(service.collect, [{ text: 'a' }, { text: 'b' }])).toEqual({ text: 'a,b' })
    async function* source() {
      yield { text: 'c' }
      await new Promise((resolve) => setImmediate(resolve))
      yield { text: 'd' }
    }
    expect(await unary(service.collect, source())).toEqual({ text: 'c,d' })
    expect(await texts(stream(service.chat, source()))).toEqual(['C', 'D'])
    expect(() => unary(service.collect, { text: 'a' })).toThrow('/test.Echo/collect: requests must be')
    expect(() => unary(service.collect, 'ab' as unknown as Message)).toThrow(TypeError)
  })

  it('is asked for the next message only when the last was written', async () => {
    let made = 0
    let closed = false
    async function* endless() {
      try {
        for (;;) {
          made++
          yield { text: 'x'.repeat(100_000) }
        }
      } finally {
        closed = true
      }
    }
    const call = stream(service.idle, endless())
    // Flow-control windows and buffers fill up, and then nothing more is made.
    expect(await settled(() => made)).toBeLessThan(300)
    call.cancel()
    await call.status
    await until(() => closed)
  })

  it('is closed, not waited for, when the call ends first', async () => {
    let closed = false
    async function* source() {
      try {
        yield { text: 'stop' }
        yield { text: 'more' }
        yield { text: 'more' }
      } finally {
        closed = true
      }
    }
    expect((await failure(unary(service.collect, source()))).code).toBe(grpc.status.ABORTED)
    await until(() => closed)

    // One that hangs cannot be closed; the call ends all the same.
    const hanging: AsyncIterable<Message> = {
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    }
    const call = unary(service.collect, hanging)
    call.cancel()
    expect((await failure(call)).code).toBe(grpc.status.CANCELLED)
  })

  it('cancels the call when it throws, with its error as the cause', async () => {
    const before = seen.cancelled
    const broken = new Error('disk gone')
    async function* source() {
      yield { text: 'a' }
      throw broken
    }
    const call = unary(service.collect, source())
    expect(await failure(call)).toMatchObject({ code: grpc.status.CANCELLED, cause: broken })
    const ended: Status = await call.status
    expect(ended.cause).toBe(broken)
    await until(() => seen.cancelled > before)
    expect(await failure(texts(stream(service.chat, source())))).toMatchObject({
      code: grpc.status.CANCELLED,
      cause: broken,
    })
  })
})
