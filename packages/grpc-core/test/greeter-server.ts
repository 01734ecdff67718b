import { type ChannelOptions, credentials, type Server } from '@grpc/grpc-js'
import {
  type Channel,
  createChannel,
  createClient,
  createServer,
  type Handlers,
  RpcError,
  type ServerInterceptorLike,
  type ServiceClient,
} from '../src/index.ts'
import { connect, Greeter } from './greeter.ts'

/** A running greeter and a channel to it. */
export interface GreeterServer {
  readonly server: Server
  readonly channel: Channel
  readonly client: ServiceClient<typeof Greeter>
  /** Another channel to it, closed by `stop`. */
  connect(options: ChannelOptions): Channel
  stop(): Promise<void>
}

/** Greets everybody by name; in a stream, as often as asked. */
export const greeting: Handlers<typeof Greeter> = {
  greet: ({ request }) => ({ text: `Hello ${request.name}` }),
  greetMany: async function* ({ request }) {
    for (let n = 0; n < (request.times ?? 0); n++) yield { text: `${request.name} ${n}` }
  },
  greetAll: async (call) => {
    const names: string[] = []
    for await (const { name } of call) names.push(name)
    return { text: names.join(' ') }
  },
  chat: async function* (call) {
    for await (const { name } of call) yield { text: `Hello ${name}` }
  },
}

export async function startGreeter(
  interceptors: readonly ServerInterceptorLike[] = [],
  handlers: Handlers<typeof Greeter> = greeting,
): Promise<GreeterServer> {
  const server = createServer({ interceptors })
  server.addService(Greeter, handlers)
  const channel = await connect(server)
  const channels = [channel]
  return {
    server,
    channel,
    client: createClient(Greeter, channel),
    connect: (options) => {
      // Channels of one process share connections otherwise.
      const own = { 'grpc.use_local_subchannel_pool': 1, ...options }
      const another = createChannel(channel.getTarget().replace(/^dns:/, ''), credentials.createInsecure(), own)
      channels.push(another)
      return another
    },
    stop: async () => {
      for (const open of channels) open.close()
      await server.drain(0)
    },
  }
}

/** The messages of a stream. */
export async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const message of messages) all.push(message)
  return all
}

/** The error something fails with. */
export async function failureOf(work: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await work
  } catch (error) {
    if (error instanceof RpcError) return error
    throw error
  }
  throw new Error('it did not fail')
}

/** The error a stream fails with. */
export function streamFailureOf(messages: AsyncIterable<unknown>): Promise<RpcError> {
  return failureOf(collect(messages))
}
