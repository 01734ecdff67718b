import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer as createHttpServer, get } from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { types } from 'node:util'
import grpc from '@grpc/grpc-js'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freeEndedCalls, status } from './index.ts'

const originalBind = AsyncResource.prototype.bind

beforeAll(() => {
  expect(status().boundRequests).toEqual({ state: 'off', reason: 'freeEndedCalls() was not called' })
  freeEndedCalls()
})

const bytes = (value: Buffer): Buffer => value
const method = (name: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${name}`,
  requestStream,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
})
const definition = { unary: method('Unary', false, false), hold: method('Hold', true, true) }

interface EchoClient extends grpc.Client {
  unary(message: Buffer, options: object, callback: (error: grpc.ServiceError | null, reply?: Buffer) => void): void
  hold(): grpc.ClientDuplexStream<Buffer, Buffer>
}
const Client = grpc.makeGenericClientConstructor(definition, 'Echo') as unknown as new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: object,
) => EchoClient

const cleanUp: (() => void)[] = []
afterEach(() => {
  for (const work of cleanUp.splice(0)) work()
})

async function startServer(port = 0): Promise<{ server: grpc.Server; port: number }> {
  const server = new grpc.Server()
  server.addService(definition, {
    unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) =>
      callback(null, call.request),
    hold: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (message) => call.write(message))
      call.on('end', () => call.end())
      call.on('error', () => undefined)
    },
  })
  cleanUp.push(() => server.forceShutdown())
  const bound = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure()
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, to) => (error ? reject(error) : resolve(to)))
  })
  return { server, port: bound }
}

function connect(port: number, options: object = {}): EchoClient {
  const client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), options)
  cleanUp.push(() => client.close())
  return client
}

const unary = (client: EchoClient, options: object = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    client.unary(Buffer.from('hello'), options, (error, reply) => (error ? reject(error) : resolve(String(reply))))
  })

/** A stream that has had one answer, and how it ends. */
async function heldStream(client: EchoClient) {
  const call = client.hold()
  const ended = new Promise<grpc.StatusObject>((resolve) => call.on('status', resolve))
  call.on('error', () => undefined)
  call.write(Buffer.from('one'))
  await once(call, 'data')
  return { call, ended }
}

describe('what is active', () => {
  it('is known once a connection was made', async () => {
    expect(status()).toMatchObject({
      boundRequests: { state: 'waiting' },
      sessionStreams: { state: 'waiting' },
      activeCalls: { state: 'waiting' },
    })
    const { port } = await startServer()
    await unary(connect(port))
    const node = Number.parseInt(process.versions.node, 10)
    const pretenuring = [24, 25, 26].includes(node)
      ? { state: 'active' }
      : { state: 'off', reason: `of no use on Node ${node}` }
    expect(status()).toEqual({
      boundRequests: { state: 'active' },
      sessionStreams: { state: 'active' },
      activeCalls: { state: 'active' },
      pretenuring,
      grpcJs: [expect.stringMatching(/grpc-js$/)],
    })
  })

  it('stays the same when it is asked for again', () => {
    const bind = AsyncResource.prototype.bind
    const connector = grpc.Server.prototype as unknown as { createHttp2Server: unknown }
    const { createHttp2Server } = connector
    expect(freeEndedCalls()).toEqual(status())
    expect(AsyncResource.prototype.bind).toBe(bind)
    expect(connector.createHttp2Server).toBe(createHttp2Server)
  })

  it.each([
    [null, 'freeEndedCalls: the options must be an object'],
    [[], 'freeEndedCalls: the options must be an object'],
    [{ pretenure: false }, 'freeEndedCalls: unknown option "pretenure"; there is: pretenuring'],
    [{ pretenuring: 'no' }, 'freeEndedCalls: option "pretenuring" must be true or false'],
  ])('refuses %j', (options, message) => {
    expect(() => freeEndedCalls(options as never)).toThrow(message)
  })
})

describe('calls of grpc-js', () => {
  it('end as they do without: OK, cancelled, over their deadline, closed by the server', async () => {
    const { server, port } = await startServer()
    const client = connect(port)
    expect(await unary(client)).toBe('hello')
    const cancelled = await heldStream(client)
    cancelled.call.cancel()
    expect((await cancelled.ended).code).toBe(grpc.status.CANCELLED)
    const late = client.hold()
    late.on('error', () => undefined)
    await expect(unary(client, { deadline: Date.now() - 1 })).rejects.toMatchObject({
      code: grpc.status.DEADLINE_EXCEEDED,
    })
    const held = await Promise.all(Array.from({ length: 20 }, () => heldStream(client)))
    server.forceShutdown()
    for (const { ended } of held) expect([grpc.status.CANCELLED, grpc.status.UNAVAILABLE]).toContain((await ended).code)
  })

  it('go on over a new connection after the server was restarted', async () => {
    const first = await startServer()
    const client = connect(first.port, { 'grpc.initial_reconnect_backoff_ms': 10, 'grpc.min_reconnect_backoff_ms': 10 })
    for (let i = 0; i < 100; i++) await unary(client)
    first.server.forceShutdown()
    await startServer(first.port)
    const metadata = { deadline: Date.now() + 8_000, waitForReady: true }
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(metadata.deadline, (error) => (error ? reject(error) : resolve()))
    })
    for (let i = 0; i < 100; i++) expect(await unary(client)).toBe('hello')
  })

  it('lose none of thousands of streams of one connection while others come and go', async () => {
    const { port } = await startServer()
    const client = connect(port)
    const held = await Promise.all(Array.from({ length: 2_000 }, () => heldStream(client)))
    for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, () => unary(client)))
    for (const { call } of held) {
      call.write(Buffer.from('two'))
      call.end()
    }
    for (const { ended } of held) expect((await ended).code).toBe(grpc.status.OK)
  }, 30_000)

  it('end once, all of them, when their connection is lost', async () => {
    const { port, server } = await startServer()
    const client = connect(port)
    const ends: number[] = []
    const held = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const one = await heldStream(client)
        one.call.on('status', ({ code }) => ends.push(code))
        return one
      }),
    )
    server.forceShutdown()
    await Promise.all(held.map(({ ended }) => ended))
    expect(ends).toHaveLength(200)
  })

  it('give way to a graceful shutdown of the server when they have ended', async () => {
    const { port, server } = await startServer()
    const client = connect(port)
    const { call, ended } = await heldStream(client)
    const shut = new Promise<void>((resolve, reject) =>
      server.tryShutdown((error) => (error ? reject(error) : resolve())),
    )
    call.end()
    expect((await ended).code).toBe(grpc.status.OK)
    await shut
  })

  it('keep the context they were made in, also where the connection is made for them', async () => {
    const storage = new AsyncLocalStorage<string>()
    const { port } = await startServer()
    const client = connect(port)
    const seen = await Promise.all(
      ['first', 'second', 'third'].map((name) =>
        storage.run(name, async () => {
          await unary(client)
          return storage.getStore()
        }),
      ),
    )
    expect(seen).toEqual(['first', 'second', 'third'])
  })
})

describe('everything else', () => {
  it('has functions bound to an AsyncResource as Node binds them', () => {
    const resource = new AsyncResource('test')
    const fn = (a: number, b: number): number => a + b
    const bound = resource.bind(fn)
    const native = originalBind.call(resource, fn)
    expect(Object.getOwnPropertyNames(bound)).toEqual(Object.getOwnPropertyNames(native))
    expect(bound.length).toBe(2)
    expect(bound(1, 2)).toBe(3)
    expect(() => resource.bind('nothing' as never)).toThrow(TypeError)
    // One that has the name of Node's own, outside of a request.
    function requestOnConnect(this: unknown): unknown {
      return this
    }
    const pretender = resource.bind(requestOnConnect.bind(null))
    expect(Object.getOwnPropertyNames(pretender)).toEqual(Object.getOwnPropertyNames(native))
    const receiver = {}
    const unbound = resource.bind(function (this: unknown) {
      return this
    })
    expect(unbound.call(receiver)).toBe(receiver)
  })

  it('has HTTP/2 sessions as Node makes them', async () => {
    const sessions: http2.Http2Session[] = []
    const server = http2.createServer((_, response) => response.end('answer'))
    server.on('session', (session) => sessions.push(session))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const request = client.request({ ':path': '/' })
    let text = ''
    for await (const chunk of request) text += chunk
    expect(text).toBe('answer')
    expect(Object.hasOwn(client, 'request')).toBe(false)
    for (const session of [client, ...sessions]) expect(types.isMap(streamsOf(session))).toBe(true)
    client.close()
    server.close()
  })

  it('has HTTP/1 as it is', async () => {
    const server = createHttpServer((_, response) => response.end('answer'))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const [response] = await once(get({ port: (server.address() as AddressInfo).port }), 'response')
    let text = ''
    for await (const chunk of response) text += chunk
    expect(text).toBe('answer')
    server.close()
  })
})

function streamsOf(session: http2.Http2Session): unknown {
  const key = Object.getOwnPropertySymbols(session).find(({ description }) => description === 'state')
  return (session as unknown as Record<symbol, { streams: unknown }>)[key as symbol]?.streams
}
