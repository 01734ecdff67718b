import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerOptions,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import * as core from '@grpc-stack/grpc-core'
import { type Behaviour, echo } from './behaviours.ts'
import { metadataOf, type RawServerCall, ServerRpc } from './server-rpc.ts'
import { patterns, TestClient, type TestMessage, type TestPattern, testService } from './test-service.ts'

const BEHAVIOUR_KEY = 'test-behaviour'

/** Options of `startTestServer`. */
export interface TestServerOptions {
  /** Around every RPC, first outermost. Default: none. */
  readonly interceptors?: readonly core.ServerInterceptorLike[]
  /** A `grpc.Server` with `serverInterceptors(…)` instead of `createServer`. Default: false. */
  readonly stock?: boolean
  /** For RPCs that bring none of their own. Default: `echo`. */
  readonly behaviour?: Behaviour
  /** As `createServer` has it, for interceptors whose matchers name services that the test server does not have. */
  readonly unmatched?: core.CreateServerOptions['unmatched']
  /** grpc-js server options. */
  readonly serverOptions?: ServerOptions
  /** Default: insecure. */
  readonly credentials?: ServerCredentials
  /** Of the clients. Default: insecure. */
  readonly channelCredentials?: ChannelCredentials
}

/** A running server with the test service, and its clients. */
export class TestServer {
  readonly server: Server
  /** `127.0.0.1:port`, with encryption `localhost:port`: stock stubs reach no IP address over TLS on Node 26. */
  readonly address: string
  readonly definition: typeof testService = testService
  /** Every RPC whose handler was started, in order. */
  readonly calls: readonly ServerRpc[]
  readonly #shared: Shared
  readonly #credentials: ChannelCredentials
  readonly #closers: (() => void)[] = []
  readonly #connections: Connections

  /** Made by `startTestServer`. */
  constructor(server: Server, port: number, shared: Shared, channelCredentials: ChannelCredentials) {
    const address = `${channelCredentials._isSecure() ? 'localhost' : '127.0.0.1'}:${port}`
    this.#connections = watchConnections(port)
    this.server = server
    this.address = address
    this.#shared = shared
    this.calls = shared.calls
    this.#credentials = channelCredentials
  }

  /** For RPCs that bring none of their own. */
  get behaviour(): Behaviour {
    return this.#shared.behaviour
  }

  set behaviour(behaviour: Behaviour) {
    this.#shared.behaviour = behaviour
  }

  /** A stock stub with these interceptors and a connection of its own, closed by `stop`. */
  client(...interceptors: readonly core.ClientInterceptorLike[]): TestClient {
    return this.clientWith({}, ...interceptors)
  }

  /** The same, with grpc-js channel options. */
  clientWith(options: ChannelOptions, ...interceptors: readonly core.ClientInterceptorLike[]): TestClient {
    const client = new TestClient(this.address, this.#credentials, {
      ...OWN_CONNECTION,
      ...options,
      interceptors: core.clientInterceptors(...interceptors),
    })
    this.#closers.push(() => client.close())
    return client
  }

  /** A channel of grpc-core with these interceptors and a connection of its own, closed by `stop`. */
  channel(...interceptors: readonly core.ClientInterceptorLike[]): core.Channel {
    return this.channelWith({}, ...interceptors)
  }

  /** The same, with grpc-js channel options. */
  channelWith(options: ChannelOptions, ...interceptors: readonly core.ClientInterceptorLike[]): core.Channel {
    const base = core.createChannel(this.address, this.#credentials, { ...OWN_CONNECTION, ...options })
    this.#closers.push(() => base.close())
    return core.interceptChannel(base, ...interceptors)
  }

  /** Metadata that makes the server do this with the RPC that carries it. */
  behave(behaviour: Behaviour, metadata?: Metadata): Metadata {
    const id = String(this.#shared.behaviours.push(behaviour) - 1)
    const chosen = metadata?.clone() ?? metadataOf({})
    chosen.set(BEHAVIOUR_KEY, id)
    return chosen
  }

  /** The nth RPC whose handler is started, counting from 0, as soon as there is one. */
  received(n: number): Promise<ServerRpc> {
    const { calls, waiting } = this.#shared
    const rpc = calls[n]
    if (rpc !== undefined) return Promise.resolve(rpc)
    return new Promise((resolve) => waiting.push({ n, resolve }))
  }

  /** Forgets the RPCs so far, so that nothing keeps what they held. `received` counts from 0 again. */
  forget(): void {
    this.#shared.calls.length = 0
    this.#shared.behaviours.length = 0
  }

  /** Breaks every connection and stops listening, as a crash would: the RPCs end UNAVAILABLE. */
  kill(): void {
    // forceShutdown alone is more polite: it cancels each RPC.
    for (const socket of this.#connections.sockets) socket.destroy()
    this.server.forceShutdown()
  }

  /**
   * Closes the clients and the server.
   * @throws AggregateError with what behaviours rejected with, which no RPC shows.
   */
  async stop(): Promise<void> {
    for (const close of this.#closers.splice(0)) close()
    this.server.forceShutdown()
    this.#connections.forget()
    await Promise.resolve()
    const { failures } = this.#shared
    if (failures.length > 0) throw new AggregateError(failures, `a behaviour failed: ${String(failures[0])}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}

/** What the handlers and the `TestServer` both know. */
interface Shared {
  behaviour: Behaviour
  readonly behaviours: Behaviour[]
  readonly calls: ServerRpc[]
  readonly waiting: { readonly n: number; readonly resolve: (rpc: ServerRpc) => void }[]
  readonly failures: unknown[]
}

// Channels of one process share connections otherwise, so that closing one would close nothing.
const OWN_CONNECTION: ChannelOptions = { 'grpc.use_local_subchannel_pool': 1 }

/**
 * Starts a real server with the test service on a free port of 127.0.0.1.
 *
 *     const server = await startTestServer({ interceptors: [myInterceptor()] })
 *     const stub = server.client(myClientInterceptor())
 *     stub.unary({ text: 'hello' }, (error, response) => …)
 *     await server.stop()
 */
export async function startTestServer(options: TestServerOptions = {}): Promise<TestServer> {
  checkOptions(options)
  const interceptors = options.interceptors ?? []
  const server = options.stock
    ? new Server({ ...options.serverOptions, interceptors: core.serverInterceptors(...interceptors) })
    : core.createServer({
        ...options.serverOptions,
        interceptors,
        ...(options.unmatched && { unmatched: options.unmatched }),
      })
  const shared: Shared = {
    behaviour: options.behaviour ?? echo,
    behaviours: [],
    calls: [],
    waiting: [],
    failures: [],
  }
  server.addService(testService, implementation(shared))
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', options.credentials ?? ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return new TestServer(server, port, shared, options.channelCredentials ?? credentials.createInsecure())
}

const OPTIONS: readonly string[] = [
  'interceptors',
  'stock',
  'behaviour',
  'unmatched',
  'serverOptions',
  'credentials',
  'channelCredentials',
] satisfies (keyof TestServerOptions)[]

/** A test whose interceptors were lost on the way would pass. */
function checkOptions(options: TestServerOptions): void {
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(`startTestServer: unknown option "${unknown}"; known are ${OPTIONS.join(', ')}`)
  }
  if ('interceptors' in options && options.interceptors === undefined) {
    throw new TypeError('startTestServer: option "interceptors" is undefined; leave it out, or write [], for none')
  }
}

interface Connections {
  readonly sockets: ReadonlySet<Socket>
  forget(): void
}

/** The sockets a port accepts. grpc-js has no public list of its connections; Node tells of each. */
function watchConnections(port: number): Connections {
  const sockets = new Set<Socket>()
  const onSocket = (message: unknown): void => {
    const { socket } = message as { socket: Socket }
    if (socket.localPort !== port) return
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  subscribe('net.server.socket', onSocket)
  return { sockets, forget: () => unsubscribe('net.server.socket', onSocket) }
}

function implementation(shared: Shared): UntypedServiceImplementation {
  const handler = (pattern: TestPattern) => (call: RawServerCall, respond?: sendUnaryData<TestMessage>) => {
    const rpc = new ServerRpc(pattern, call, respond)
    shared.calls.push(rpc)
    for (const waiter of shared.waiting.filter(({ n }) => n === shared.calls.length - 1)) waiter.resolve(rpc)
    const [id] = rpc.metadata.get(BEHAVIOUR_KEY)
    const behaviour = (id === undefined ? undefined : shared.behaviours[Number(id)]) ?? shared.behaviour
    // A behaviour that throws at once is a handler that throws; one that rejects is a broken test.
    behaviour(rpc)?.catch((error: unknown) => {
      shared.failures.push(error)
      rpc.end({ code: 2, details: 'the behaviour of the test server failed' })
    })
  }
  return Object.fromEntries(patterns.map((pattern) => [pattern, handler(pattern)]))
}
