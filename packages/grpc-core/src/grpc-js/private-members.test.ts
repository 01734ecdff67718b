import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import {
  status as Code,
  credentials,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
  Metadata,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js'
import { runRpc, TestClient, testService } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

// What the engine reads of grpc-js and of Node that neither promises, a test each. A failure says what is no longer as it was and what
// relied on it; docs/internals/relied-upon.md has all of it, with the tests of what the engine makes of it.

type Members = Readonly<Record<string, unknown>>

const { version } = JSON.parse(
  readFileSync(createRequire(import.meta.url).resolve('@grpc/grpc-js/package.json'), 'utf8'),
) as { version: string }

/** What is at the end of a path of members. */
function at(from: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, member) => (value as Members | undefined)?.[member], from)
}

const className = (value: unknown): string | undefined => (value as object | undefined)?.constructor.name

/** How messages of failures begin. */
const gone = (what: string, usedBy: string): string => `grpc-js ${version}: ${what}; ${usedBy} relies on it`

let server: Server
let client: TestClient
/** Made around the innermost call of grpc-js, of the last RPC. */
let clientCall: InterceptingCall
let serverCall: ServerInterceptingCall
/** The object that the last handler of a bidi stream got, and the listeners of its 'error' events by then. */
let streamCall: unknown
let errorListeners = 0

beforeAll(async () => {
  const watching: ServerInterceptor = (_definition, call) => {
    serverCall = new ServerInterceptingCall(call)
    return serverCall
  }
  server = new Server({ interceptors: [watching] })
  server.addService(testService, {
    unary: (_call: unknown, respond: (error: null, answer: object) => void) => respond(null, {}),
    bidi: (call: NodeJS.EventEmitter & { end(): void }) => {
      streamCall = call
      errorListeners = call.listenerCount('error')
      call.end()
    },
  } as never)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
  const around: GrpcInterceptor = (options, nextCall) => {
    clientCall = new InterceptingCall(nextCall(options))
    return clientCall
  }
  const options = { interceptors: [around] }
  expect((await runRpc(client, 'unary', { options })).status?.code).toBe(Code.OK)
  expect((await runRpc(client, 'bidi')).status?.code).toBe(Code.OK)
})

afterAll(() => {
  client.close()
  server.forceShutdown()
})

describe('a client call', () => {
  it.each([
    ['nextCall', 'BaseUnaryInterceptingCall', 'channel-facts.ts'],
    ['nextCall.call', 'ResolvingCall', 'channel-facts.ts'],
    ['nextCall.call.channel', 'InternalChannel', 'channel-facts.ts'],
  ])('leads to its channel by InterceptingCall.%s, a %s', (path, name, usedBy) => {
    expect(className(at(clientCall, path)), gone(`InterceptingCall.${path} is no ${name}`, usedBy)).toBe(name)
  })

  it.each(['getOptions', 'getTarget', 'credentials._isSecure'])('asks that channel by its %s', (path) => {
    const member = at(clientCall, `nextCall.call.channel.${path}`)
    expect(typeof member, gone(`InternalChannel.${path} is no function`, 'channel-facts.ts')).toBe('function')
  })

  it('serializes by the methodDefinition that it has when a message is sent', async () => {
    const written: unknown[] = []
    const replacing: GrpcInterceptor = (options, nextCall) => {
      const call = nextCall(options)
      const inside = call as unknown as { methodDefinition: { requestSerialize(value: unknown): Buffer } }
      const { methodDefinition } = inside
      inside.methodDefinition = {
        ...methodDefinition,
        requestSerialize: (value) => {
          written.push(value)
          return methodDefinition?.requestSerialize(value)
        },
      }
      return call as InterceptingCall
    }
    await runRpc(client, 'unary', { requests: [{ text: 'a' }], options: { interceptors: [replacing] } })
    const what = gone('BaseInterceptingCall does not serialize by its methodDefinition', 'serialized-request.ts')
    expect(written, what).toEqual([{ text: 'a' }])
  })

  it.each(['unary', 'bidi'] as const)(
    'says of a message it cannot serialize what policies know: %s',
    async (pattern) => {
      const serialize = (): Buffer => {
        throw new Error('no such field')
      }
      const { path } = testService[pattern]
      const error = await new Promise<Members | null>((resolve) => {
        const heard = (given: unknown): void => resolve(given as Members | null)
        if (pattern === 'unary') client.makeUnaryRequest(path, serialize, String, {}, heard)
        else client.makeBidiStreamRequest(path, serialize, String).on('error', heard).write({})
      })
      const usedBy = 'interceptor-circuit/verdict.ts and interceptor-ratelimit/throttle-evidence.ts'
      expect(
        { code: error?.code, details: error?.details },
        gone('the status of such a request is another', usedBy),
      ).toEqual({
        code: Code.INTERNAL,
        details: expect.stringMatching(/^Request message serialization failure/),
      })
    },
  )
})

describe('a server call', () => {
  it('leads to the call at the connection by ServerInterceptingCall.nextCall, and that to its stream', () => {
    const innermost = at(serverCall, 'nextCall')
    expect(className(innermost), gone('ServerInterceptingCall.nextCall is another', 'server-stream.ts')).toBe(
      'BaseServerInterceptingCall',
    )
    const what = gone('BaseServerInterceptingCall.stream is no HTTP/2 stream', 'server-stream.ts')
    expect(className(at(innermost, 'stream')), what).toBe('ServerHttp2Stream')
  })

  it('is ended over its deadline by its own sendStatus', async () => {
    const sent: number[] = []
    const hearing: ServerInterceptor = (_definition, call) => {
      const { sendStatus } = call
      call.sendStatus = function (this: typeof call, status) {
        sent.push(status.code ?? -1)
        sendStatus.call(this, status)
      }
      return new ServerInterceptingCall(call)
    }
    const hanging = new Server({ interceptors: [hearing] })
    hanging.addService(testService, { unary: () => undefined } as never)
    const port = await new Promise<number>((resolve, reject) => {
      hanging.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const stub = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      const metadata = new Metadata()
      // Of no deadline of the client, which would reset the call first.
      metadata.set('grpc-timeout', '20m')
      await runRpc(stub, 'unary', { metadata })
      expect(sent, gone('a deadline does not pass through the call’s sendStatus', 'connection-link.ts')).toEqual([
        Code.DEADLINE_EXCEEDED,
      ])
    } finally {
      stub.close()
      hanging.forceShutdown()
    }
  })

  it('has a stream object whose one listener of errors is of grpc-js, and which sends by call.sendStatus', () => {
    expect(errorListeners, gone('a stream has other listeners of errors', 'stream-handler.ts')).toBe(1)
    const member = at(streamCall, 'call.sendStatus')
    expect(typeof member, gone('ServerDuplexStreamImpl.call.sendStatus is no function', 'stream-handler.ts')).toBe(
      'function',
    )
  })

  it('is looked up by Server._retrieveHandler, as an own member of the server too', async () => {
    const asked: string[] = []
    const internals = server as unknown as { _retrieveHandler?(path: string): unknown }
    const { _retrieveHandler: retrieve } = internals
    expect(typeof retrieve, gone('Server._retrieveHandler is no function', 'entry/server.ts')).toBe('function')
    internals._retrieveHandler = (path) => {
      asked.push(path)
      return retrieve?.call(server, path)
    }
    await runRpc(client, 'unary')
    expect(asked, gone('a server does not ask its _retrieveHandler', 'entry/server.ts')).toEqual([
      testService.unary.path,
    ])
  })
})

// Node 24 and later keep contexts in V8, and nothing of the kind is asked of them.
if (Number.parseInt(process.versions.node, 10) < 24) {
  it('Node before 24 marks an AsyncResource that holds a store', () => {
    const marks = new AsyncLocalStorage().run('here', () =>
      Object.getOwnPropertySymbols(new AsyncResource('TEST')).map(({ description }) => description),
    )
    const what = `Node ${process.versions.node}: an AsyncResource has no kResourceStore; runtime/async-scope.ts relies on it`
    expect(marks, what).toContain('kResourceStore')
  })
}
