import { type ChannelOptions, credentials, Server, ServerCredentials, type ServerOptions } from '@grpc/grpc-js'
import {
  clientInterceptors,
  createChannel,
  createClient,
  createServer,
  interceptChannel,
  serverInterceptors,
} from '@grpc-stack/grpc-core'
import { MAX_MESSAGE_BYTES, Stub, service } from '../service.ts'
import { actingStacks } from './acting-stacks.ts'
import { callerContext, StubCall } from './client-part.ts'
import { asyncImplementation, type Caller, implementation } from './play.ts'
import { PromiseCall } from './promise-part.ts'
import { type Stack, stacks, worldNames } from './stacks.ts'

/** One way to make the calls of a script: a client and what stands around it. */
export interface CallingSide extends Caller {
  readonly name: string
  /**
   * What must be as in the bare world. `client`: all that the client observes, and what the handler receives. `outcome`: messages,
   * metadata and status, but not in which form they are told.
   */
  readonly compares: NonNullable<Stack['compares']>
  /** What witnesses in the stack have to say about the last run. */
  readonly check: NonNullable<Stack['check']>
  readonly confirmsEarly: boolean
  readonly causes: readonly number[]
  close(): void
}

/** One way to serve them. */
export interface ServingSide {
  readonly port: number
  close(): void
}

/** One way to run a script: a server and a client. */
export type World = CallingSide

const LIMITS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  // Channels of one process share connections otherwise.
  'grpc.use_local_subchannel_pool': 1,
  // Connections are broken on purpose, and the next call is not to wait long.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 200,
  'grpc.dns_min_time_between_resolutions_ms': 100,
}

/** The two worlds without interceptors, which everything is compared with. */
export async function openBare(): Promise<World[]> {
  return [await open('bare', {}), await open('bare again', {})]
}

export function openWorldNamed(name: string, through?: (port: number) => Promise<number>): Promise<World> {
  return open(name, stackNamed(name), through)
}

/** All ways to run a script. */
export const fuzzWorlds: readonly string[] = [...worldNames, ...Object.keys(actingStacks)]

/** The stack of this name, made anew. */
export function stackNamed(name: string): Stack {
  const stack = stacks[name] ?? actingStacks[name]
  if (stack === undefined) throw new Error(`no world "${name}"; there are ${fuzzWorlds.join(', ')}`)
  return stack()
}

/** @param through what leads to the server from a port of its own */
async function open(name: string, stack: Stack, through?: (port: number) => Promise<number>): Promise<World> {
  const serving = await openServer(stack)
  const calling = openClient(name, stack, through === undefined ? serving.port : await through(serving.port))
  await calling.ready
  return {
    ...calling,
    close: () => {
      calling.close()
      serving.close()
    },
  }
}

export async function openServer(stack: Stack, more: ChannelOptions = {}): Promise<ServingSide> {
  const server = serverOf(stack, { 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES, ...more })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { port, close: () => server.forceShutdown() }
}

function serverOf({ server: interceptors = [], own, handlers }: Stack, options: ServerOptions): Server {
  if (own === undefined) {
    const server = new Server({ ...options, interceptors: serverInterceptors(...interceptors) })
    server.addService(service, implementation)
    return server
  }
  const server = createServer({ ...options, interceptors })
  if (handlers === undefined) server.addService(service, implementation)
  else server.addService(service, asyncImplementation)
  return server
}

/** `ready` resolves when there is a connection. */
export function openClient(
  name: string,
  stack: Stack,
  port: number,
  { host = '127.0.0.1', options = {} }: { readonly host?: string; readonly options?: ChannelOptions } = {},
): CallingSide & { readonly ready: Promise<void> } {
  const { client: interceptors = [], before = [], own, compares = 'everything' } = stack
  const { check = () => Promise.resolve([]) } = stack
  const address = `${host}:${port}`
  const insecure = credentials.createInsecure()
  let stub: Stub
  let call: Caller['open']
  let cold: Stub | undefined
  if (own === undefined) {
    const settings = { ...LIMITS, ...options, interceptors: [...before, ...clientInterceptors(...interceptors)] }
    stub = new Stub(address, insecure, settings)
    call = (opening) => {
      if (!stack.cold) return new StubCall(stub, opening, interceptors.length > 0)
      cold?.close()
      const fresh = new Stub(address, insecure, settings)
      cold = fresh
      // As where another call of the program has begun it.
      callerContext.run('the connection', () => fresh.getChannel().getConnectivityState(true))
      return new StubCall(fresh, opening, interceptors.length > 0)
    }
  } else {
    const channel = interceptChannel(createChannel(address, insecure, { ...LIMITS, ...options }), ...interceptors)
    stub = channel.client(Stub)
    const promises = createClient(service, channel)
    call =
      own === 'stub' ? (opening) => new StubCall(stub, opening, true) : (opening) => new PromiseCall(promises, opening)
  }
  return {
    name,
    compares,
    check,
    confirmsEarly: stack.confirmsEarly === true,
    causes: stack.causes ?? [],
    headersWithResponse: stack.headersWithResponse === true,
    open: call,
    get ready() {
      return new Promise<void>((resolve, reject) => {
        stub.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve()))
      })
    },
    close: () => {
      stub.close()
      cold?.close()
    },
  }
}
