import * as http2 from 'node:http2'
import { create, createFileRegistry, fromBinary } from '@bufbuild/protobuf'
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { type Code as ConnectCode, ConnectError, createClient as createConnectClient } from '@connectrpc/connect'
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from '@connectrpc/connect-node'
import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import {
  abort,
  type Channel,
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  interceptChannel,
  RpcError,
  type ServiceClient,
  serverInterceptors,
} from '@grpc-stack/grpc-core'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker, consecutive } from '@grpc-stack/interceptor-circuit'
import { logging, requestId } from '@grpc-stack/interceptor-logging'
import { inMemory, metrics } from '@grpc-stack/interceptor-metrics'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import {
  type ClientError,
  createChannel as createNiceChannel,
  createClient as createNiceClient,
  createServer as createNiceServer,
  Metadata as NiceMetadata,
  ServerError,
} from 'nice-grpc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fileDescriptors, Interop, type Request, type Response } from './interop-service.ts'

const closers: (() => unknown)[] = []
const seen: { path: string; code: Code }[] = []
const watch: Interceptor = async (call, next) => {
  const status = await next()
  seen.push({ path: `${call.side} ${call.method.name}`, code: status.code })
  return status
}

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
const recorder = inMemory()

/** A server's stack of every concern. */
const serverStack = () => [
  watch,
  requestId(),
  metrics({ recorder }),
  logging({ logger: quiet }),
  serverAuth({ verify: (token) => (token === 'good' ? { subject: 'peer' } : null) }),
  rateLimit({ rate: 10_000 }),
]

const clientStack = () => [
  watch,
  metrics({ recorder }),
  logging({ logger: quiet }),
  retry({ initialBackoffMs: 1 }),
  // Every status code in turn must not open it.
  circuitBreaker({ policy: consecutive(100) }),
  clientAuth({ token: 'good', allowInsecure: true }),
]

/** The service, in the style nice-grpc and connect share: requests in, responses out. */
const behaviour = {
  unary(request: Request, fail: (code: Code) => never): Response {
    if (request.code) fail(request.code)
    return { text: request.text ?? '', payload: request.payload ?? Buffer.alloc(0) }
  },
  async *serverStream(request: Request, fail: (code: Code) => never): AsyncGenerator<Response> {
    for (let count = 0; count < (request.count ?? 0); count++) yield { count }
    if (request.code) fail(request.code)
  },
  async clientStream(requests: AsyncIterable<Request>): Promise<Response> {
    const texts: string[] = []
    for await (const { text } of requests) texts.push(text ?? '')
    return { text: texts.join(' ') }
  },
  async *bidi(requests: AsyncIterable<Request>): AsyncGenerator<Response> {
    for await (const { text } of requests) yield { text: text ?? '' }
  },
}

async function startOurs(): Promise<number> {
  const server = createServer({ interceptors: serverStack() })
  const fail = (code: Code): never => abort(code, 'asked for')
  server.addService(Interop, {
    Unary: async (call) => behaviour.unary(call.request, fail),
    ServerStream: (call) => behaviour.serverStream(call.request, fail),
    ClientStream: (call) => behaviour.clientStream(call as AsyncIterable<Request>),
    Bidi: (call) => behaviour.bidi(call as AsyncIterable<Request>),
  })
  closers.push(() => server.drain(0))
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(port),
    )
  })
}

/** nice-grpc goes by the names in the definition; protobuf's own start with a capital. */
const niceDefinition = Object.fromEntries(
  Object.entries(Interop).map(([name, method]) => [name.charAt(0).toLowerCase() + name.slice(1), method]),
)

async function startNice(): Promise<number> {
  // nice-grpc hands its options to grpc-js's Server, interceptors too.
  const server = createNiceServer({ interceptors: serverInterceptors(...serverStack()) } as object)
  const fail = (code: Code): never => {
    throw new ServerError(code as number, 'asked for')
  }
  server.add(
    niceDefinition as never,
    {
      unary: async (request: Request) => behaviour.unary(request, fail),
      serverStream: (request: Request) => behaviour.serverStream(request, fail),
      clientStream: behaviour.clientStream,
      bidi: behaviour.bidi,
    } as never,
  )
  closers.push(() => server.forceShutdown())
  return server.listen('127.0.0.1:0')
}

/** protobufjs does not describe maps as protoc does, and names no fields for JSON; connect's protobuf asks for both. */
function completed(file: FileDescriptorProto): FileDescriptorProto {
  for (const message of file.messageType) {
    message.field = message.field.filter(({ name }) => name !== 'seen')
    for (const field of message.field) field.jsonName ||= field.name
  }
  return file
}

const registry = createFileRegistry(
  create(FileDescriptorSetSchema, {
    file: fileDescriptors.map((bytes) => completed(fromBinary(FileDescriptorProtoSchema, bytes))),
  }),
)
const service = registry.getService('interop.v1.Interop')
if (!service) throw new Error('the descriptors of the service are broken')

async function startConnect(): Promise<number> {
  const fail = (code: Code): never => {
    throw new ConnectError('asked for', code as number as ConnectCode)
  }
  const handler = connectNodeAdapter({
    grpcWeb: false,
    connect: false,
    routes: (router) => {
      router.service(
        service as never,
        {
          unary: async (request: Request) => behaviour.unary(request, fail),
          serverStream: (request: Request) => behaviour.serverStream(request, fail),
          clientStream: behaviour.clientStream,
          bidi: behaviour.bidi,
        } as never,
      )
    },
  })
  const server = http2.createServer(handler)
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => sessions.add(session))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return address.port
}

const servers = { ours: startOurs, 'nice-grpc': startNice, 'connect-node': startConnect }
const ports = new Map<keyof typeof servers, number>()

beforeAll(async () => {
  for (const [name, start] of Object.entries(servers)) ports.set(name as keyof typeof servers, await start())
})

afterAll(async () => {
  for (const close of closers.reverse()) await close()
})

const portOf = (name: keyof typeof servers): number => ports.get(name) ?? 0

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

async function* requests(...texts: string[]): AsyncGenerator<Request> {
  for (const text of texts) yield { text }
}

/** The four patterns of a client in nice-grpc's and connect's shape. */
interface AnyClient {
  unary(request: Request): Promise<Response>
  serverStream(request: Request): AsyncIterable<Response>
  clientStream(requests: AsyncIterable<Request>): Promise<Response>
  bidi(requests: AsyncIterable<Request>): AsyncIterable<Response>
}

function openNice(port: number, token: string): AnyClient {
  const channel = createNiceChannel(`127.0.0.1:${port}`)
  closers.push(() => channel.close())
  const metadata = NiceMetadata({ authorization: `Bearer ${token}` })
  return createNiceClient(niceDefinition as never, channel, { '*': { metadata } } as never) as unknown as AnyClient
}

function openConnect(port: number, token: string): AnyClient {
  const baseUrl = `http://127.0.0.1:${port}`
  const sessionManager = new Http2SessionManager(baseUrl)
  closers.push(() => sessionManager.abort())
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [
      (next) => (request) => {
        request.header.set('authorization', `Bearer ${token}`)
        return next(request)
      },
    ],
  })
  return createConnectClient(service as never, transport) as unknown as AnyClient
}

describe('our server, with a stack of every concern, behind clients of others', () => {
  for (const [name, open, codeOf] of [
    ['nice-grpc', openNice, (error: unknown) => (error as ClientError).code],
    ['connect-node', openConnect, (error: unknown) => (error as ConnectError).code],
  ] as const) {
    it(`${name}: all four patterns, statuses, refusals`, async () => {
      const client = open(portOf('ours'), 'good')
      expect(await client.unary({ text: 'hi' })).toMatchObject({ text: 'hi' })
      expect(await collect(client.serverStream({ count: 3 }))).toHaveLength(3)
      expect(await client.clientStream(requests('a', 'b'))).toMatchObject({ text: 'a b' })
      expect((await collect(client.bidi(requests('a', 'b')))).map(({ text }) => text)).toEqual(['a', 'b'])

      for (let code = 1; code <= 16; code++) {
        const error = await client.unary({ code }).then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        expect(codeOf(error), `status ${code}`).toBe(code)
      }
      const stranger = open(portOf('ours'), 'stolen')
      for (const call of [
        () => stranger.unary({}),
        () => collect(stranger.serverStream({ count: 1 })),
        () => stranger.clientStream(requests()),
        () => collect(stranger.bidi(requests())),
      ]) {
        const error = await call().then(
          () => undefined,
          (thrown: unknown) => thrown,
        )
        expect(codeOf(error)).toBe(Code.UNAUTHENTICATED)
      }
    })
  }
})

describe('our client, with a stack of every concern, against servers of others', () => {
  let channel: Channel
  const open = (name: keyof typeof servers): ServiceClient<typeof Interop> => {
    channel = createChannel(`127.0.0.1:${portOf(name)}`, credentials.createInsecure())
    const opened = channel
    closers.push(() => opened.close())
    return createClient(Interop, interceptChannel(channel, ...clientStack()))
  }

  for (const name of ['ours', 'nice-grpc', 'connect-node'] as const) {
    it(`${name}: all four patterns, statuses`, async () => {
      const client = open(name)
      expect(await client.Unary({ text: 'hi' })).toMatchObject({ text: 'hi' })
      expect(await collect(client.ServerStream({ count: 3 }))).toHaveLength(3)
      expect(await client.ClientStream(requests('a', 'b'))).toMatchObject({ text: 'a b' })
      expect((await collect(client.Bidi(requests('a', 'b')))).map(({ text }) => text)).toEqual(['a', 'b'])
      for (let code = 1; code <= 16; code++) {
        const error: unknown = await client.Unary({ code }).then(undefined, (thrown: unknown) => thrown)
        expect(error).toBeInstanceOf(RpcError)
        expect((error as RpcError).code, `status ${code}`).toBe(code)
      }
    })
  }
})

describe('our interceptors inside a nice-grpc server', () => {
  it('refuse a call without a token, and see every call end', async () => {
    const channel = createChannel(`127.0.0.1:${portOf('nice-grpc')}`, credentials.createInsecure())
    closers.push(() => channel.close())
    const client = createClient(Interop, channel)
    seen.length = 0
    const error: unknown = await client.Unary({ text: 'x' }).then(undefined, (thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: Code.UNAUTHENTICATED })
    expect(seen).toEqual([{ path: 'server Unary', code: Code.UNAUTHENTICATED }])
  })
})
