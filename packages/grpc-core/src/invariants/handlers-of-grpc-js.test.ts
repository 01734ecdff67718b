import {
  status as Code,
  Server,
  type ServiceError,
  type ServerInterceptor as StockInterceptor,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { failingHandlers, failuresOf } from '../../test/failing-handlers.ts'
import { connect, Greeter } from '../../test/greeter.ts'
import { unreadable } from '../../test/unreadable.ts'
import { createClient, createServer, type Interceptor, type ServerCall, select, serverInterceptors } from '../index.ts'

// No interceptor of this file awaits: once one does, in any call of the process, stock servers have a call of ours for all paths.

const escaped: unknown[] = []
const catchEscaped = (error: unknown): void => void escaped.push(error)
beforeEach(() => {
  process.on('unhandledRejection', catchEscaped).on('uncaughtException', catchEscaped)
})
afterEach(() => {
  process.removeListener('unhandledRejection', catchEscaped).removeListener('uncaughtException', catchEscaped)
  expect(escaped.splice(0)).toEqual([])
})

const passThrough: Interceptor = (_call, next) => next()
const servers: Record<string, () => Server> = {
  'createServer without interceptors': () => createServer(),
  'createServer with one': () => createServer({ interceptors: [passThrough] }),
  'a stock server with an interceptor': () => new Server({ interceptors: serverInterceptors(passThrough) }),
  'a stock server with none for the path': () =>
    new Server({ interceptors: serverInterceptors(select('other.Service', passThrough)) }),
}

/** What handlers give to grpc-js that gets past it, and used to be lost on the way out. */
const givenToGrpcJs = Object.fromEntries(
  ['metadata that are a revoked proxy', 'metadata that cannot be copied', 'a message without a text'].map((what) => [
    what,
    unreadable[what] as () => unknown,
  ]),
)
const cut = 'no such user: \u{1F600}'.slice(0, -1)

describe.each(Object.entries(servers))('on %s', (_name, open) => {
  const byCallback = (make: () => unknown) => failingHandlers(make).filter(([way]) => way.startsWith('callback'))

  describe.each(Object.entries(givenToGrpcJs))('an error of a handler with %s', (_what, odd) => {
    it.each(byCallback(odd))('ends its RPC: %s', async (_way, handlers) => {
      const failures = await callAll(open(), handlers as UntypedServiceImplementation)
      for (const { code } of failures) expect([Code.INTERNAL, Code.UNKNOWN]).toContain(code)
    })
  })

  it.each(byCallback(() => Object.assign(new Error(), { code: Code.INVALID_ARGUMENT, details: cut })))(
    'half a surrogate pair in details becomes a replacement character: %s',
    async (_way, handlers) => {
      for (const failure of await callAll(open(), handlers as UntypedServiceImplementation)) {
        expect(failure).toMatchObject({ code: Code.INVALID_ARGUMENT, details: 'no such user: \uFFFD' })
      }
    },
  )
})

async function callAll(server: Server, handlers: UntypedServiceImplementation): Promise<ServiceError[]> {
  server.addService(Greeter, handlers)
  const channel = await connect(server)
  try {
    return await failuresOf(createClient(Greeter, channel))
  } finally {
    channel.close()
    server.forceShutdown()
  }
}

// biome-ignore lint/suspicious/noExplicitAny: what no type allows
const odd: any = { a: 'b' }
const error = { code: 5, details: 'x', metadata: odd }

/** A handler of each kind that gives something else where Metadata belong. */
const giving: Record<string, UntypedServiceImplementation> = {
  'trailers of the callback, or of end()': handlers({
    greet: (_call, callback) => callback(null, { text: 'x' }, odd),
    greetMany: (call) => call.end(odd),
    greetAll: (_call, callback) => setImmediate(() => callback(null, { text: 'x' }, odd)),
    chat: (call) => {
      call.write({ text: 'x' })
      setImmediate(() => call.end(odd))
    },
  }),
  'trailers of an error': handlers({
    greet: (_call, callback) => callback({ code: 5, details: 'x' }, null, odd),
    greetMany: (call) => call.emit('error', error),
    greetAll: (_call, callback) => setImmediate(() => callback(error)),
    chat: (call) => setImmediate(() => call.emit('error', error)),
  }),
  'response headers': handlers(
    Object.fromEntries(
      Object.keys(Greeter).map((name) => [name, (call) => void setImmediate(() => call.sendMetadata(odd))]),
    ),
  ),
}

// biome-ignore lint/suspicious/noExplicitAny: handlers without types, as JavaScript has them
type Untyped = Record<string, (call: any, callback: any) => unknown>

function handlers(untyped: Untyped): UntypedServiceImplementation {
  return untyped as UntypedServiceImplementation
}

describe.each(Object.entries(servers))('on %s', (_name, open) => {
  it.each(Object.entries(giving))('what is no Metadata ends the RPC at once: %s', async (_where, handlers) => {
    for (const failure of await callAll(open(), handlers)) {
      expect(failure).toMatchObject({ code: Code.INTERNAL, details: 'Internal error' })
    }
  })

  it('no Metadata at all are none, as grpc-js has it', async () => {
    const server = open()
    const greet = (call: Untyped, callback: (...given: unknown[]) => void): void => {
      call.sendMetadata?.(undefined, undefined)
      callback(null, { text: 'x' }, null)
    }
    server.addService(Greeter, handlers({ greet }))
    const channel = await connect(server)
    try {
      expect(await createClient(Greeter, channel).greet({ name: 'x' })).toEqual({ text: 'x' })
    } finally {
      channel.close()
      server.forceShutdown()
    }
  })
})

describe('headers that a handler leaves out', () => {
  it('pass the taps of interceptors, and take what those add', async () => {
    const adding: Interceptor = (call, next) => {
      ;(call as ServerCall).responseMetadata.set('x-added', '1')
      call.onResponseMetadata((metadata) => metadata.set('x-tapped', '1'))
      return next()
    }
    const server = new Server({ interceptors: serverInterceptors(adding) as StockInterceptor[] })
    const greet = (call: Untyped, callback: (...given: unknown[]) => void): void => {
      call.sendMetadata?.(undefined, undefined)
      callback(null, { text: 'x' })
    }
    server.addService(Greeter, handlers({ greet }))
    const channel = await connect(server)
    try {
      const call = createClient(Greeter, channel).greet({ name: 'x' })
      const headers = await call.headers
      expect([headers?.get('x-added'), headers?.get('x-tapped')]).toEqual([['1'], ['1']])
      await call
    } finally {
      channel.close()
      server.forceShutdown()
    }
  })
})
