import {
  type ChannelCredentials,
  type Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type MethodDefinition,
  makeClientConstructor,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import {
  type ClientCall,
  type ClientInterceptor,
  type ClientInterceptorLike,
  clientInterceptors,
  type Interceptor,
  type ServerInterceptor,
  type ServerInterceptorLike,
  type Status,
  serverInterceptors,
  wrapHandler,
} from '../index.ts'

interface Item {
  readonly text: string
}

/** Texts that a serializer has turned into bytes: what never was cannot have been sent. */
let serialized: string[] = []

function serialize({ text }: Item): Buffer {
  if (text === 'bad') throw new Error('this message cannot be serialized')
  serialized.push(text)
  return Buffer.from(text)
}

const method: MethodDefinition<Item, Item> = {
  path: '/writes.Writes/Bidi',
  requestStream: true,
  responseStream: true,
  requestSerialize: serialize,
  requestDeserialize: (bytes) => ({ text: String(bytes) }),
  responseSerialize: serialize,
  responseDeserialize: (bytes) => ({ text: String(bytes) }),
}

type Stub = Client & { bidi(): ClientDuplexStream<Item, Item> }
const Stub = makeClientConstructor({ bidi: method }, 'writes.Writes') as unknown as new (
  address: string,
  credentials: ChannelCredentials,
  options: object,
) => Stub

type ServerStream = ServerDuplexStream<Item, Item>

const passes: Interceptor = (_call, next) => next()
const awaits: Interceptor = async (_call, next) => await next()
const late: Interceptor = async (_call, next) => {
  await new Promise((resolve) => setImmediate(resolve))
  return next()
}
const repeats: Interceptor = (call, next) => {
  // Only a client's call has attempts.
  if (call.side === 'client') (call as ClientCall).makeReplayable({ maxBytes: 1000, maxMessages: 10 })
  return next()
}
const tapped: Interceptor = (call, next) => {
  call.onRequest(() => undefined)
  call.onResponse(() => undefined)
  return next()
}

async function* each<T>(messages: AsyncIterable<T>): AsyncGenerator<T> {
  for await (const message of messages) yield message
}

const object: ClientInterceptor & ServerInterceptor = {
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
  interceptService: (continuation, details) => continuation(details),
}

const rebuilding: ClientInterceptor & ServerInterceptor = {
  interceptStreamStream: async (continuation, details, requests) => each(continuation(details, each(requests))),
  interceptService: async (continuation, details) =>
    wrapHandler(await continuation(details), (behavior) => async (input, context) => {
      const answer = await behavior(each(input as AsyncIterable<unknown>), context)
      return each(answer as AsyncIterable<unknown>)
    }),
}

const stacks: Record<string, readonly (ClientInterceptorLike & ServerInterceptorLike)[]> = {
  'next()': [passes],
  'await next()': [awaits, passes, awaits],
  'a late next()': [late],
  'a replayable call': [repeats],
  taps: [tapped],
  'an interceptor object': [object],
}
const withRebuilding = { ...stacks, 'an interceptor object that rebuilds the call': [rebuilding] }

/** A call, its handler once it runs, and how each write was answered. */
interface Opened {
  readonly call: ClientDuplexStream<Item, Item>
  readonly handler: Promise<ServerStream>
  readonly write: (
    stream: { write(item: Item, written: (error?: Error | null) => void): unknown },
    text: string,
  ) => void
  readonly answers: Record<string, string>
  /** The code of the status, once it has come. */
  readonly code: () => number | undefined
}

/** Nothing listens there. */
const NOWHERE = '127.0.0.1:1'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
  serialized = []
})

async function open(
  client: readonly ClientInterceptorLike[] = [],
  atServer: readonly ServerInterceptorLike[] = [],
  elsewhere?: string,
): Promise<Opened> {
  const server = new Server({ interceptors: serverInterceptors(...atServer) })
  let started: (stream: ServerStream) => void
  const handler = new Promise<ServerStream>((resolve) => {
    started = resolve
  })
  const implementation: UntypedServiceImplementation = {
    bidi: (stream: ServerStream) => {
      stream.on('error', () => undefined)
      stream.on('data', () => undefined)
      started(stream)
    },
  }
  server.addService({ bidi: method }, implementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const stub = new Stub(elsewhere ?? `127.0.0.1:${port}`, credentials.createInsecure(), {
    interceptors: clientInterceptors(...client),
    'grpc.use_local_subchannel_pool': 1,
  })
  closing.push(() => {
    stub.close()
    server.forceShutdown()
  })
  if (elsewhere === undefined) {
    await new Promise<void>((resolve, reject) => {
      stub.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve()))
    })
  }
  const call = stub.bidi()
  let code: number | undefined
  call.on('data', () => undefined)
  call.on('error', () => undefined)
  call.on('status', (ended) => {
    code = ended.code
  })
  const answers: Record<string, string> = {}
  return {
    call,
    handler,
    answers,
    code: () => code,
    write: (stream, text) => {
      answers[text] = 'unanswered'
      stream.write({ text }, (error) => {
        expect(answers[text]).toBe('unanswered')
        answers[text] = error ? `failed: ${error.message}` : 'confirmed'
      })
    },
  }
}

/** What is due by now has come: nothing further is under way on either side. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

type Moment = (opened: Opened) => Promise<void>

const ended = ({ code }: Opened): Promise<void> => until(() => code() !== undefined)

const answered = ({ answers }: Opened, text: string): Promise<void> => until(() => answers[text] !== 'unanswered')

const moments: Record<string, Moment> = {
  'the handler has ended the RPC': async (opened) => {
    opened.write(opened.call, 'before')
    const handler = await opened.handler
    await answered(opened, 'before')
    handler.end()
    await ended(opened)
    opened.write(opened.call, 'a')
    opened.write(opened.call, 'b')
  },
  'the handler has failed': async (opened) => {
    const handler = await opened.handler
    handler.emit('error', { code: status.ABORTED, details: 'no' })
    await ended(opened)
    opened.write(opened.call, 'a')
    opened.write(opened.call, 'b')
  },
  'it was cancelled': async (opened) => {
    await opened.handler
    opened.call.cancel()
    opened.write(opened.call, 'at once')
    await ended(opened)
    opened.write(opened.call, 'a')
  },
  'it was cancelled after the handler had answered, while a message was in flight': async (opened) => {
    const handler = await opened.handler
    const headers = new Promise((resolve) => opened.call.once('metadata', resolve))
    handler.sendMetadata(new Metadata())
    await headers
    opened.write(opened.call, 'a')
    opened.call.cancel()
    await ended(opened)
  },
  'a request did not serialize': async (opened) => {
    await opened.handler
    opened.write(opened.call, 'a')
    opened.write(opened.call, 'bad')
    opened.write(opened.call, 'behind')
    await ended(opened)
    opened.write(opened.call, 'after')
  },
  'the RPC has ended, a request that does not serialize': async (opened) => {
    const handler = await opened.handler
    handler.end()
    await ended(opened)
    opened.write(opened.call, 'bad')
    opened.write(opened.call, 'behind')
  },
  'a response did not serialize': async (opened) => {
    const handler = await opened.handler
    opened.write(handler, 'r')
    await answered(opened, 'r')
    opened.write(handler, 'bad')
    opened.write(handler, 'behind')
    await ended(opened)
    opened.write(handler, 'after')
  },
  'the handler has ended, another response': async (opened) => {
    const handler = await opened.handler
    opened.call.cancel()
    await ended(opened)
    await until(() => handler.cancelled)
    opened.write(handler, 'a')
  },
}

describe('a write callback says the same as without interceptors, once', () => {
  describe.each(Object.keys(moments))('%s', (name) => {
    const moment = moments[name] as Moment
    it.each(Object.keys(stacks))('%s', async (stack) => {
      const bare = await open()
      await moment(bare)
      await settled()
      const ours = await open(stacks[stack], stacks[stack])
      await moment(ours)
      await settled()
      expect(ours.answers).toEqual(bare.answers)
    })
  })
})

describe('a message that was never sent is never confirmed', () => {
  const untrue = ({ answers }: Opened): string[] =>
    Object.keys(answers).filter((text) => answers[text] === 'confirmed' && !serialized.includes(text))

  describe.each(Object.keys(moments))('%s', (name) => {
    it.each(Object.keys(withRebuilding))('%s', async (stack) => {
      const interceptors = withRebuilding[stack as keyof typeof withRebuilding]
      const opened = await open(interceptors, interceptors)
      await (moments[name] as Moment)(opened)
      await settled()
      expect(untrue(opened)).toEqual([])
    })
  })

  it.each<[string, () => Promise<Status>]>([
    ['an interceptor has answered', () => Promise.resolve({ code: status.ABORTED })],
    ['an interceptor still waits', () => new Promise(() => undefined)],
  ])('as without a connection where no attempt is made: %s', async (_what, answer) => {
    const moment: Moment = async (opened) => {
      opened.write(opened.call, 'a')
      opened.write(opened.call, 'b')
      await settled()
      opened.call.cancel()
      await ended(opened)
      opened.write(opened.call, 'after')
      opened.write(opened.call, 'bad')
      opened.write(opened.call, 'behind')
    }
    const bare = await open([], [], NOWHERE)
    await moment(bare)
    await settled()
    const opened = await open([answer])
    await moment(opened)
    await settled()
    expect(opened.answers).toEqual(bare.answers)
    expect(untrue(opened)).toEqual([])
  })

  it('a tap has refused the message', async () => {
    const refuses: Interceptor = (call, next) => {
      call.onRequest(() => {
        throw new Error('no')
      })
      return next()
    }
    const opened = await open([refuses])
    opened.write(opened.call, 'a')
    await ended(opened)
    await settled()
    expect(opened.answers).toEqual({ a: 'unanswered' })
  })
})
