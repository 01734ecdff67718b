import type { ClientMiddleware, ServerMiddleware } from 'nice-grpc'
import { type CallContext, createChannel, createClientFactory, createServer, ServerError, Status } from 'nice-grpc'
import { channelOptions, clientCredentials, serverCredentials } from './endpoint.ts'
import { Echo, LARGE, MESSAGES, type Payload, SMALL } from './service.ts'
import type { BenchClient, BenchServer } from './variant.ts'

/** The echo service as nice-grpc's users write it. */
const implementation = {
  unary: async (request: Payload) => request,
  fail: async () => {
    throw new ServerError(Status.NOT_FOUND, 'no such thing')
  },
  hold: () => new Promise<Payload>(() => undefined),
  async *serverStream(request: Payload) {
    for (let i = 0; i < MESSAGES; i++) yield request
  },
  async clientStream(requests: AsyncIterable<Payload>) {
    for await (const _ of requests);
    return SMALL
  },
  async *bidi(requests: AsyncIterable<Payload>) {
    for await (const request of requests) yield request
  },
}

export async function serveNice(middleware: readonly ServerMiddleware[]): Promise<BenchServer> {
  let server = createServer()
  for (const one of middleware) server = server.use(one) as typeof server
  server.add(Echo, implementation as never)
  const port = await server.listen('127.0.0.1:0', serverCredentials())
  return { port, close: () => server.forceShutdown() }
}

/** What the calls of the echo service look like through nice-grpc's client. */
interface EchoClient {
  unary(request: Payload): Promise<Payload>
  fail(request: Payload): Promise<Payload>
  serverStream(request: Payload): AsyncIterable<Payload>
  clientStream(requests: AsyncIterable<Payload>): Promise<Payload>
  bidi(requests: AsyncIterable<Payload>): AsyncIterable<Payload>
}

/** `middleware` innermost first, as nice-grpc's factory takes it. */
export function openNice(port: number, middleware: readonly ClientMiddleware[]): BenchClient {
  const channel = createChannel(`127.0.0.1:${port}`, clientCredentials(), channelOptions)
  let factory = createClientFactory()
  for (const one of middleware) factory = factory.use(one) as typeof factory
  const client = factory.create(Echo, channel) as unknown as EchoClient
  return {
    unary: async (large) => void (await client.unary(large ? LARGE : SMALL)),
    fail: async () => {
      const failed = await client.fail(SMALL).then(
        () => false,
        () => true,
      )
      if (!failed) throw new Error('fail did not fail')
    },
    async serverStream() {
      for await (const _ of client.serverStream(SMALL));
    },
    async clientStream() {
      const requests = async function* () {
        for (let i = 0; i < MESSAGES; i++) yield SMALL
      }
      await client.clientStream(requests())
    },
    async bidi() {
      let wake: () => void = () => undefined
      const requests = async function* () {
        for (let i = 0; i < MESSAGES; i++) {
          const echoed = new Promise<void>((resolve) => {
            wake = resolve
          })
          yield SMALL
          await echoed
        }
      }
      for await (const _ of client.bidi(requests())) wake()
    },
    hold: () => {
      throw new Error('not measured with nice-grpc')
    },
    close: () => channel.close(),
  }
}

export const passThroughClient: ClientMiddleware = async function* (call, options) {
  return yield* call.next(call.request, options)
}

export const passThroughServer: ServerMiddleware = async function* (call, context: CallContext) {
  return yield* call.next(call.request, context)
}
