import { status as Code, type Metadata, type ServiceError, type StatusObject } from '@grpc/grpc-js'
import {
  type Behaviour,
  type ClientRpc,
  echo,
  endWith,
  manual,
  metadataOf,
  patterns,
  type RpcSettings,
  settle,
  startRpc,
  startTestServer,
  type TestClient,
  type TestPattern,
  type TestServer,
  testService,
  unparsable,
  unserializable,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClientInterceptor, ClientInterceptorLike, Interceptor, Status } from '../index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const passing: ClientInterceptor = {
  interceptUnaryUnary: (continuation, details, request) => continuation(details, request),
  interceptUnaryStream: (continuation, details, request) => continuation(details, request),
  interceptStreamUnary: (continuation, details, requests) => continuation(details, requests),
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
}
const awaiting: ClientInterceptor = {
  interceptUnaryUnary: async (continuation, details, request) => await continuation(details, request),
  interceptUnaryStream: async (continuation, details, request) => continuation(details, request),
  interceptStreamUnary: async (continuation, details, requests) => await continuation(details, requests),
  interceptStreamStream: async (continuation, details, requests) => continuation(details, requests),
}
const plain: Interceptor = (_call, next) => next()
const observing: Interceptor = async (_call, next) => await next()

const stacks: Record<string, readonly ClientInterceptorLike[]> = {
  'one object': [passing],
  'three objects': [passing, passing, passing],
  'an object among functions': [plain, passing, observing, passing, plain],
}

/** All that an application can observe of a call. */
async function seen(rpc: ClientRpc): Promise<unknown> {
  await rpc.done
  const told = (status: StatusObject | ServiceError | undefined) =>
    status && { keys: Reflect.ownKeys(status).sort(), code: status.code, trailers: undated(status.metadata) }
  return {
    events: rpc.events,
    messages: rpc.messages,
    headers: undated(rpc.headers),
    peer: rpc.peer,
    error: told(rpc.error),
    details: rpc.error?.details.replace(/(Deadline exceeded) .*/, '$1'),
    status: told(rpc.status),
  }
}

/** Node's server adds the second. */
function undated(metadata: Metadata | undefined): unknown {
  const { date: _date, ...rest } = metadata?.getMap() ?? {}
  return rest
}

interface Scenario {
  readonly behaviour?: Behaviour
  readonly settings?: RpcSettings
  /** What the application does after the call was made. */
  act?(rpc: ClientRpc, index: number): Promise<void> | void
  readonly only?: readonly TestPattern[]
}

const trailers = metadataOf({ trailer: 't' })
const failure = { code: Code.DATA_LOSS, details: 'lost', metadata: trailers }
const responds: Behaviour = async (rpc) => {
  await rpc.readAll()
  rpc.sendHeaders({ header: 'h' })
  for (const text of ['one', 'two', 'three']) await rpc.write({ text })
}

const scenarios: Record<string, Scenario> = {
  'ends OK': {},
  'answers, then fails': {
    behaviour: async (rpc) => {
      await responds(rpc)
      rpc.end(failure)
    },
  },
  'answers with trailers': {
    behaviour: async (rpc) => {
      await responds(rpc)
      rpc.end({ code: Code.OK, metadata: trailers })
    },
  },
  'fails without headers': { behaviour: endWith(failure) },
  'fails while requests are open': { behaviour: endWith(failure), settings: {}, only: ['clientStream', 'bidi'] },
  'answers with what cannot be read': {
    behaviour: async (rpc) => {
      await rpc.readAll()
      await rpc.write(unparsable)
      rpc.end()
    },
  },
  'is asked what cannot be sent': { settings: { requests: [unserializable] } },
  'is cancelled at once': { act: (rpc) => rpc.cancel() },
  'is cancelled once headers have come': {
    behaviour: (rpc) => rpc.sendHeaders({ header: 'h' }),
    act: async (rpc) => {
      await rpc.headersSeen
      rpc.cancel()
    },
  },
  'is cancelled in the middle of its responses': {
    behaviour: responds,
    act: async (rpc) => {
      await rpc.messageSeen
      rpc.cancel()
    },
    only: ['serverStream', 'bidi'],
  },
  'has no time': { settings: { options: { deadline: Date.now() - 1000 }, requests: [{}] } },
  'is not read': { behaviour: echo, settings: { requests: [{ n: 3 }], reading: false }, act: (rpc) => readLater(rpc) },
  'is not read and fails': {
    behaviour: async (rpc) => {
      await responds(rpc)
      rpc.end(failure)
    },
    settings: { requests: [{}], reading: false },
    only: ['serverStream', 'bidi'],
  },
}

async function readLater(rpc: ClientRpc): Promise<void> {
  await settle()
  rpc.read()
}

async function play(client: TestClient, pattern: TestPattern, scenario: Scenario): Promise<unknown> {
  const { behaviour = echo, settings = { requests: [{ text: 'a', n: 2 }] }, act } = scenario
  const rpc = startRpc(client, pattern, { ...settings, metadata: server.behave(behaviour) })
  await act?.(rpc, 0)
  return seen(rpc)
}

/** Where client and server both end an RPC at its deadline: it has trailers if the server's status comes first. */
function withoutTrailers(outcome: unknown): unknown {
  return JSON.parse(JSON.stringify(outcome, (name, value) => (name === 'trailers' ? undefined : value)))
}

describe.each(Object.entries(stacks))(
  '%s that pass everything on: the application sees what it sees without',
  (_, stack) => {
    for (const [name, scenario] of Object.entries(scenarios)) {
      it.each(scenario.only ?? patterns)(`when the server or the call ${name}: %s`, async (pattern) => {
        const bare = await play(server.client(), pattern, scenario)
        expect(await play(server.client(...stack), pattern, scenario)).toEqual(bare)
      })
    }

    it.each(patterns)('when a deadline passes: %s', async (pattern) => {
      const deadline = () => ({ options: { deadline: Date.now() + 100 }, requests: [{}] })
      await play(server.client(), pattern, {}) // the connection is up
      const ended = async (client: TestClient) =>
        withoutTrailers(await play(client, pattern, { behaviour: manual, settings: deadline() }))
      const bare = await ended(server.client())
      expect(await ended(server.client(...stack))).toEqual(bare)
    })

    it('when no response comes to a method with one', async () => {
      const observed: Status[] = []
      const watching: Interceptor = (call, next) => {
        call.onStatus((status) => void observed.push(status))
        return next()
      }
      const silent = (client: TestClient) =>
        new Promise((resolve) => {
          const { path, requestSerialize, responseDeserialize } = testService.serverStream
          let error: ServiceError | null = null
          const events: unknown[] = []
          client
            .makeUnaryRequest(path, requestSerialize, responseDeserialize, { n: 0 }, (failed, response) => {
              error = failed
              events.push(['callback', response])
            })
            .on('metadata', () => events.push('metadata'))
            .on('status', ({ code, details }) => resolve([events, code, details, error?.code, error?.details]))
        })
      const bare = await silent(server.client())
      expect(bare).toEqual([[['callback', undefined]], Code.OK, 'OK', Code.UNIMPLEMENTED, 'No message received'])
      expect(await silent(server.client(watching, ...stack))).toEqual(bare)
      expect(observed).toEqual([expect.objectContaining({ code: Code.UNIMPLEMENTED, details: 'No message received' })])
    })

    it.each(patterns)(
      'a closed channel throws out of the method itself, and interceptors hear UNAVAILABLE: %s',
      async (pattern) => {
        const observed: Status[] = []
        const watching: Interceptor = (call, next) => {
          call.onStatus((status) => void observed.push(status))
          return next()
        }
        const client = server.client(watching, ...stack)
        client.close()
        expect(() => startRpc(client, pattern, { requests: [{}] })).toThrow('Channel has been shut down')
        await settle()
        expect(observed.map(({ code }) => code)).toEqual([Code.UNAVAILABLE])
      },
    )

    it('requests are as they were when they were written', async () => {
      const client = server.client(...stack)
      const before = server.calls.length
      const rpc = startRpc(client, 'bidi')
      const message = { text: 'a' }
      const call = rpc.call as unknown as { write(message: object): void }
      for (const text of ['a', 'b', 'c']) {
        message.text = text
        call.write(message)
        message.text = 'changed'
        await settle(1)
      }
      rpc.end()
      await rpc.done
      expect(server.calls[before]?.requests.map(({ text }) => text)).toEqual(['a', 'b', 'c'])
    })
  },
)

describe('an object that awaits', () => {
  // Not of messages: grpc-js gives those from a promise of its own.
  it.each(['metadata', 'status'])('what a listener of %s throws surfaces as it does without', async (event) => {
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const surfaces = async (client: TestClient): Promise<unknown> => {
      const thrown = new Promise<string>((resolve) => {
        process.once('uncaughtException', (error, origin) => resolve(`${origin}: ${error.message}`))
      })
      const stream = client.serverStream({ n: 1 }, server.behave(echo))
      stream.on('data', () => undefined)
      stream.once(event, () => {
        throw new Error('of the application')
      })
      const how = await thrown
      stream.on('error', () => undefined)
      stream.cancel()
      return how
    }
    try {
      const bare = await surfaces(server.client())
      expect(await surfaces(server.client(awaiting))).toBe(bare)
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
  })

  it.each(patterns)('holds no response headers back: %s', async (pattern) => {
    let next = server.calls.length
    for (const stack of [[awaiting], [awaiting, passing, awaiting], [plain, awaiting, observing]]) {
      const rpc = startRpc(server.client(...stack), pattern, {
        requests: [{ n: 0 }],
        metadata: server.behave((handler) => handler.sendHeaders({ from: 'server' })),
      })
      const handler = await server.received(next++)
      await rpc.headersSeen
      expect(rpc.headers?.get('from')).toEqual(['server'])
      expect(rpc.isDone).toBe(false)
      await handler.write({ text: 'x' })
      handler.end()
      expect((await rpc.done).status?.code).toBe(Code.OK)
    }
  })

  it.each(Object.entries(scenarios))(
    'sees and gives the same outcome when the server or the call %s',
    async (_, scenario) => {
      for (const pattern of scenario.only ?? patterns) {
        const bare = await play(server.client(), pattern, scenario)
        const { events: _events, ...outcome } = (await play(server.client(awaiting), pattern, scenario)) as {
          events: string[]
        }
        expect(bare).toMatchObject(outcome)
      }
    },
  )
})
