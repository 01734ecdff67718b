import * as http2 from 'node:http2'
import { create, isMessage } from '@bufbuild/protobuf'
import { createClient as createConnectClient } from '@connectrpc/connect'
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { status as Code, credentials, makeGenericClientConstructor, Server, ServerCredentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Greeter, HelloReplySchema, HelloRequestSchema } from '../test/generated/protobuf-es/greeter_pb.ts'
import { createChannel } from './entry/channel.ts'
import { createClient } from './entry/client.ts'
import { createServer } from './entry/server.ts'
import { serviceDefinition } from './protobuf-es.ts'

const definition = serviceDefinition(Greeter)
const id = 2n ** 63n + 5n

async function bind(server: Server): Promise<number> {
  return await new Promise((resolve, reject) => {
    const done = (error: Error | null, port: number) => (error ? reject(error) : resolve(port))
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), done)
  })
}

/** What all servers here answer, ours and connect's. */
const greet = (request: { name: string; id: bigint }) => ({ message: `Hello ${request.name} ${request.id}` })

describe('a service of protoc-gen-es', () => {
  const server = createServer()
  server.addService(definition, {
    sayHello: ({ request }) => greet(request),
    watch: async function* ({ request }) {
      for (const n of [1n, 2n]) yield greet({ name: request.name, id: n })
    },
    collect: async (requests) => {
      const names: string[] = []
      for await (const { name } of requests) names.push(name)
      return { names }
    },
    chat: async function* (requests) {
      for await (const request of requests) yield create(HelloReplySchema, greet(request))
    },
  })
  const connect = http2.createServer(
    connectNodeAdapter({
      routes: (router) =>
        void router.service(Greeter, {
          sayHello: greet,
          async *watch({ name }) {
            for (const n of [1n, 2n]) yield greet({ name, id: n })
          },
          async collect(requests) {
            const names: string[] = []
            for await (const { name } of requests) names.push(name)
            return { names }
          },
          async *chat(requests) {
            for await (const request of requests) yield greet(request)
          },
        }),
    }),
  )
  const ports = { ours: 0, connect: 0 }
  const sessions = new Set<http2.ServerHttp2Session>()

  beforeAll(async () => {
    ports.ours = await bind(server)
    connect.on('session', (session) => sessions.add(session))
    await new Promise<void>((resolve) => connect.listen(0, '127.0.0.1', resolve))
    const address = connect.address()
    if (typeof address === 'object' && address !== null) ports.connect = address.port
  })
  afterAll(async () => {
    server.forceShutdown()
    for (const session of sessions) session.destroy()
    await new Promise((resolve) => connect.close(resolve))
  })

  it.each(['ours', 'connect'] as const)('is called in all four patterns: a server of %s', async (peer) => {
    const channel = createChannel(`127.0.0.1:${ports[peer]}`, credentials.createInsecure())
    try {
      const greeter = createClient(definition, channel)
      const reply = await greeter.sayHello({ name: 'you', id })
      expect(reply.message).toBe(`Hello you ${id}`)
      expect(isMessage(reply, HelloReplySchema)).toBe(true)
      const watched: string[] = []
      for await (const { message } of greeter.watch({ name: 'you' })) watched.push(message)
      expect(watched).toEqual(['Hello you 1', 'Hello you 2'])
      const names = ['a', 'ü', '']
      expect((await greeter.collect(names.map((name) => ({ name })))).names).toEqual(names)
      const chatted: string[] = []
      const requests = [create(HelloRequestSchema, { name: 'a', id: 1n }), { name: 'b' }]
      for await (const { message } of greeter.chat(requests)) chatted.push(message)
      expect(chatted).toEqual(['Hello a 1', 'Hello b 0'])
    } finally {
      channel.close()
    }
  })

  it('answers a client of connect in all four patterns', async () => {
    const baseUrl = `http://127.0.0.1:${ports.ours}`
    const sessionManager = new Http2SessionManager(baseUrl)
    const greeter = createConnectClient(Greeter, createGrpcTransport({ baseUrl, sessionManager }))
    try {
      expect((await greeter.sayHello({ name: 'you', id })).message).toBe(`Hello you ${id}`)
      const watched: string[] = []
      for await (const { message } of greeter.watch({ name: 'you' })) watched.push(message)
      expect(watched).toEqual(['Hello you 1', 'Hello you 2'])
      const requests = async function* () {
        yield { name: 'a' }
        yield { name: 'b' }
      }
      expect((await greeter.collect(requests())).names).toEqual(['a', 'b'])
      const chatted: string[] = []
      for await (const { message } of greeter.chat(requests())) chatted.push(message)
      expect(chatted).toEqual(['Hello a 0', 'Hello b 0'])
    } finally {
      sessionManager.abort()
    }
  })

  it('is a definition that stock servers and stubs take', async () => {
    const stock = new Server()
    stock.addService(definition, {
      sayHello: (call: { request: { name: string; id: bigint } }, respond: (error: null, reply: object) => void) =>
        respond(null, greet(call.request)),
    })
    const port = await bind(stock)
    const Stub = makeGenericClientConstructor(definition, 'Greeter')
    const stub = new Stub(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      const reply = await new Promise((resolve, reject) => {
        stub.sayHello?.({ name: 'you' }, (error: Error | null, value: unknown) =>
          error ? reject(error) : resolve(value),
        )
      })
      expect(reply).toMatchObject({ message: 'Hello you 0' })
    } finally {
      stub.close()
      stock.forceShutdown()
    }
  })

  it('is one definition, however often it is asked for', () => {
    expect(serviceDefinition(Greeter)).toBe(definition)
  })

  it.each([
    ['nothing', undefined, 'got undefined'],
    ['a text', 'Greeter', 'got "Greeter"'],
    ['a message', create(HelloReplySchema), 'got a hello.HelloReply'],
  ])('does not send %s in the place of a request', async (_name, request, found) => {
    const channel = createChannel(`127.0.0.1:${ports.ours}`, credentials.createInsecure())
    try {
      await expect(createClient(definition, channel).sayHello(request as never)).rejects.toMatchObject({
        code: Code.INTERNAL,
        details: expect.stringContaining(`expected a hello.HelloRequest or an object with its fields, ${found}`),
      })
    } finally {
      channel.close()
    }
  })

  it.each([undefined, null, {}, HelloReplySchema, definition])('refuses what is no such service: %#', (service) => {
    expect(() => serviceDefinition(service as never)).toThrow(TypeError)
    expect(() => serviceDefinition(service as never)).toThrow('expected a service that protoc-gen-es 2 generated')
  })
})
