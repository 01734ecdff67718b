import { Readable, Transform } from 'node:stream'
import {
  status as Code,
  type Server,
  type ServerDuplexStream,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { connect, Greeter } from '../../test/greeter.ts'
import { collect, failureOf, streamFailureOf } from '../../test/greeter-server.ts'
import { createClient, createServer, type ServiceClient } from '../index.ts'

// biome-ignore lint/suspicious/noExplicitAny: the handlers have no types, as in JavaScript
type Loose = any
type Handler = (call: Loose, callback: Loose) => unknown

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close()
  vi.useRealTimers()
})

async function serve(implementation: object): Promise<ServiceClient<typeof Greeter>> {
  const server: Server = createServer()
  server.addService(Greeter, implementation as UntypedServiceImplementation)
  const channel = await connect(server)
  closers.push(
    () => server.forceShutdown(),
    () => channel.close(),
  )
  return createClient(Greeter, channel)
}

const soon = (work: () => void): unknown => setImmediate(work)
const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const ANSWER = { text: 'the answer' }
const IGNORED = { text: 'ignored' }

/** Handlers that answer by their callback, and what they return. */
const byCallback: Record<string, Handler> = {
  'a function': (_call, callback) => {
    soon(() => callback(null, ANSWER))
  },
  'an arrow with a value': (_call, callback) => soon(() => callback(null, ANSWER)) && IGNORED,
  'an arrow with a timer': (_call, callback) => soon(() => callback(null, ANSWER)),
  'an async function': async (_call, callback) => {
    soon(() => callback(null, ANSWER))
  },
  'an async function with a value': async (_call, callback) => {
    soon(() => callback(null, ANSWER))
    return IGNORED
  },
  'a function that returns its call': (call, callback) => {
    soon(() => callback(null, ANSWER))
    return call
  },
  'a function that returns a stream': (_call, callback) => {
    soon(() => callback(null, ANSWER))
    return Readable.from([IGNORED])
  },
}

/** Handlers that answer by what they return. */
const byValue: Record<string, Handler> = {
  'an async function': async (_call) => {
    await later()
    return ANSWER
  },
  'a promise': (_call) => later().then(() => ANSWER),
  'a value': (_call) => ANSWER,
  'a method of no parameters': () => ANSWER,
}

class Service {
  readonly #handler: Handler
  constructor(handler: Handler) {
    this.#handler = handler
  }
  declared(call: unknown, callback: unknown): unknown {
    return this.#handler(call, callback)
  }
  async one(call: unknown): Promise<unknown> {
    return this.#handler(call, undefined)
  }
}

function decorated(handler: Handler): Handler {
  return function (this: unknown, ...given) {
    return Reflect.apply(handler, this, given)
  }
}

function noCallback(): void {
  throw new Error('no callback')
}

/** The ways of writing and wrapping a handler that has a callback. */
const waysOfCallbacks: Record<string, (handler: Handler) => object> = {
  declared: (handler) => ({ greet: (call: unknown, callback: unknown) => handler(call, callback) }),
  bound: (handler) => ({ greet: handler.bind(undefined) }),
  'a method of a class': (handler) => {
    const service = new Service(handler)
    return { greet: service.declared.bind(service) }
  },
}

/** Those that hide it: what such a handler returns is its response, unless it cannot be one. */
const waysThatHideCallbacks: Record<string, (handler: Handler) => object> = {
  decorated: (handler) => ({ greet: decorated(handler) }),
  'spied upon': (handler) => ({ greet: vi.fn((...given: [unknown, unknown]) => handler(...given)) }),
  'with rest parameters': (handler) => ({ greet: (...given: [unknown, unknown]) => handler(...given) }),
  'with defaults for all': (handler) => ({
    greet: (call: unknown = undefined, callback: unknown = noCallback) => handler(call, callback),
  }),
}

const waysOfValues: Record<string, (handler: Handler) => object> = {
  ...waysThatHideCallbacks,
  'with one parameter': (handler) => ({ greet: (call: unknown) => handler(call, undefined) }),
  'with a default for the second': (handler) => ({
    greet: (call: unknown, callback: unknown = noCallback) => handler(call, callback),
  }),
  bound: (handler) => ({ greet: handler.bind(undefined) }),
  'a method of a class': (handler) => {
    const service = new Service(handler)
    return { greet: service.one.bind(service) }
  },
}

/** The same handler for both kinds of RPC with one response. */
function both({ greet }: { greet?: unknown }): object {
  return { greet, greetAll: greet }
}

async function answersOf(client: ServiceClient<typeof Greeter>): Promise<unknown[]> {
  return [await client.greet({ name: 'x' }), await client.greetAll([{ name: 'x' }])]
}

describe('an RPC with one response is answered by the declared callback alone', () => {
  for (const [way, make] of Object.entries(waysOfCallbacks)) {
    it.each(Object.entries(byCallback))(`${way}: %s`, async (_what, handler) => {
      const client = await serve(both(make(handler)))
      expect(await answersOf(client)).toEqual([ANSWER, ANSWER])
    })
  }
})

describe('an RPC with one response is answered by the callback of a handler that hides it', () => {
  const noValue = Object.entries(byCallback).filter(([what]) => !what.endsWith('with a value'))
  for (const [way, make] of Object.entries(waysThatHideCallbacks)) {
    it.each(noValue)(`${way}: %s`, async (_what, handler) => {
      const client = await serve(both(make(handler)))
      expect(await answersOf(client)).toEqual([ANSWER, ANSWER])
    })
  }

  it('with a default for the second parameter, before its promise resolves', async () => {
    const greet = async (_call: unknown, callback: Loose = noCallback): Promise<void> => {
      await later()
      callback(null, ANSWER)
    }
    expect(await answersOf(await serve(both({ greet })))).toEqual([ANSWER, ANSWER])
  })
})

describe('an RPC with one response is answered by what a handler without a declared callback returns', () => {
  for (const [way, make] of Object.entries(waysOfValues)) {
    it.each(Object.entries(byValue))(`${way}: %s`, async (_what, handler) => {
      const client = await serve(both(make(handler)))
      expect(await answersOf(client)).toEqual([ANSWER, ANSWER])
    })
  }

  it('or by its callback, if that comes first', async () => {
    const greet = async (...given: Loose[]): Promise<unknown> => {
      given[1](null, ANSWER)
      return IGNORED
    }
    expect(await answersOf(await serve(both({ greet })))).toEqual([ANSWER, ANSWER])
  })
})

describe('a handler that gives no response', () => {
  it('ends with INTERNAL at once where its one parameter is the call', async () => {
    const client = await serve(both({ greet: async (_call: unknown) => undefined }))
    expect(await failureOf(client.greet({ name: 'x' }))).toMatchObject({ code: Code.INTERNAL })
    expect(await failureOf(client.greetAll([]))).toMatchObject({ code: Code.INTERNAL })
  })

  it.each([
    ['a promise of nothing without a declared parameter', async () => undefined],
    ['nothing with one declared parameter', (_call: unknown) => undefined],
    ['a value beside a declared callback', async (_call: unknown, _callback: unknown) => IGNORED],
  ])('is waited for, and named in a warning once after ten seconds: %s', async (_what, greet) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const started = vi.fn()
    const handler = Object.defineProperty(
      function (this: unknown, ...given: Loose[]): unknown {
        started()
        return Reflect.apply(greet as Handler, this, given)
      },
      'length',
      { value: greet.length },
    )
    const client = await serve(both({ greet: handler }))
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const calls = [client.greet({ name: 'x' }), client.greet({ name: 'x' })]
    await expect.poll(() => started.mock.calls).toHaveLength(2)
    await later()
    vi.advanceTimersByTime(10_000)
    const told = warned.mock.calls.filter(([text]) => String(text).includes('/greet.v1.Greeter/Greet'))
    expect(told).toHaveLength(1)
    expect(told[0]?.[0]).toContain('callback')
    vi.useRealTimers()
    for (const call of calls) {
      call.cancel()
      expect(await failureOf(call)).toMatchObject({ code: Code.CANCELLED })
    }
  })
})

type Out = ServerWritableStream<unknown, unknown>
type Chat = ServerDuplexStream<{ name: string }, unknown>

/** Handlers of a stream that answer by the call: what they return is ignored. */
const answeringThemselves: Record<string, (call: Chat) => unknown> = {
  'call.pipe(call)': (call) => call.pipe(call),
  'call.on(…)': (call) => call.on('data', (message) => call.write(message)).on('end', () => call.end()),
  'call.pipe(transform).on(…)': (call) =>
    call
      .pipe(new Transform({ objectMode: true, transform: (message, _encoding, done) => done(null, message) }))
      .on('data', (message) => call.write(message))
      .on('end', () => call.end()),
  'another stream’s .on(…)': (call) => {
    call.on('data', () => undefined)
    return Readable.from([{ name: 'x' }])
      .on('data', (message) => call.write(message))
      .on('end', () => call.end())
  },
  'async, with rows that are ignored': async (call) => {
    for await (const message of call) call.write(message)
    call.end()
    return [IGNORED]
  },
  'a timer': (call) => {
    call.resume()
    return setImmediate(() => {
      call.write({ name: 'x' })
      call.end()
    })
  },
  'a number': (call) => {
    call.resume()
    call.write({ name: 'x' })
    call.end()
    return 7
  },
}

/** Handlers of a stream that return the responses. */
const returningResponses: Record<string, (call: Out) => unknown> = {
  'an async generator': async function* () {
    yield { name: 'x' }
  },
  'a generator': function* () {
    yield { name: 'x' }
  },
  'a generator of promises': function* () {
    yield later().then(() => ({ name: 'x' }))
  },
  'an array': () => [{ name: 'x' }],
  'a set': () => new Set([{ name: 'x' }]),
  'a promise of an array': async () => [{ name: 'x' }],
  'a promise of a generator': async () =>
    (async function* () {
      yield { name: 'x' }
    })(),
  'a promise of an async iterable': async () => ({
    async *[Symbol.asyncIterator]() {
      yield { name: 'x' }
    },
  }),
  'a web stream': () => ReadableStream.from([{ name: 'x' }]),
  'the iterator of a stream': () => Readable.from([{ name: 'x' }]).iterator(),
}

/** The ways of writing and wrapping a stream’s handler. */
const waysOfStreams: Record<string, (handler: (call: Loose) => unknown) => object> = {
  'as it is': (handler) => ({ chat: handler }),
  async: (handler) => ({ chat: async (call: unknown) => handler(call) }),
  decorated: (handler) => ({ chat: decorated(handler as Handler) }),
  'spied upon': (handler) => ({ chat: vi.fn(handler) }),
  bound: (handler) => ({ chat: handler.bind(undefined) }),
  'a method of a class': (handler) =>
    new (class {
      chat(call: unknown): unknown {
        return handler(call)
      }
    })(),
  'with a default': (handler) => ({ chat: (call: unknown, _options = {}) => handler(call) }),
  'with rest parameters': (handler) => ({ chat: (...given: [unknown]) => handler(...given) }),
  'with the callback grpc-js once had': (handler) => ({ chat: (call: unknown, _callback: unknown) => handler(call) }),
}

function bothStreams(implementation: object): object {
  const { chat } = implementation as { chat: Handler }
  return { greetMany: chat.bind(implementation), chat: chat.bind(implementation) }
}

describe('an RPC with a stream of responses, of which the handler sends them itself', () => {
  for (const [way, make] of Object.entries(waysOfStreams)) {
    it.each(Object.entries(answeringThemselves))(
      `has those and no others: ${way}, returning %s`,
      async (_what, handler) => {
        const client = await serve(bothStreams(make(handler)))
        expect(await collect(client.chat([{ name: 'x' }]))).toEqual([{ name: 'x' }])
      },
    )
  }
})

it('the requests themselves can be returned as the responses, by their iterator', async () => {
  const client = await serve(bothStreams({ chat: (call: Loose & { iterator(): unknown }) => call.iterator() }))
  const names = Array.from({ length: 20 }, (_, i) => ({ name: String(i) }))
  expect(await collect(client.chat(names))).toEqual(names)
})

describe('an RPC with a stream of responses, of which the handler returns them', () => {
  for (const [way, make] of Object.entries(waysOfStreams)) {
    it.each(Object.entries(returningResponses))(`has those: ${way}, returning %s`, async (_what, handler) => {
      const client = await serve(bothStreams(make(handler)))
      expect(await collect(client.greetMany({ name: 'x' }))).toEqual([{ name: 'x' }])
      expect(await collect(client.chat([]))).toEqual([{ name: 'x' }])
    })
  }
})

describe('the promise of an async stream handler', () => {
  it('ends the RPC with what its responses throw', async () => {
    const fail = async () => ({
      [Symbol.asyncIterator]: () => {
        throw new Error('secret')
      },
    })
    const client = await serve({ greetMany: fail, chat: fail })
    expect(await streamFailureOf(client.greetMany({ name: 'x' }))).toMatchObject({ code: Code.INTERNAL })
    expect(await streamFailureOf(client.chat([]))).toMatchObject({ code: Code.INTERNAL })
  })

  it('starts nothing once the RPC has ended', async () => {
    let asked = 0
    let resolved: () => void = () => undefined
    const done = new Promise<void>((resolve) => {
      resolved = resolve
    })
    const started = vi.fn()
    const client = await serve({
      greetMany: async (call: Out) => {
        started()
        await new Promise((resolve) => call.once('close', resolve))
        setImmediate(resolved)
        return {
          [Symbol.iterator]: () => ({
            next: () => {
              asked++
              return { done: true, value: undefined }
            },
          }),
        }
      },
    })
    const call = client.greetMany({ name: 'x' })
    await expect.poll(() => started.mock.calls).toHaveLength(1)
    call.cancel()
    await done
    await later()
    expect(asked).toBe(0)
  })
})
