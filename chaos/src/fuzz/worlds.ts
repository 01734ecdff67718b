import {
  type ChannelOptions,
  type Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerOptions,
} from '@grpc/grpc-js'
import {
  type Channel,
  type ClientInterceptorLike,
  clientInterceptors,
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  interceptChannel,
  type ServerInterceptorLike,
  serverInterceptors,
} from '@grpc-stack/grpc-core'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { requestId } from '@grpc-stack/interceptor-logging'
import { concurrencyLimit, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { MAX_MESSAGE_BYTES, Stub, service } from '../service.ts'
import { StubCall } from './client-part.ts'
import {
  asking,
  awaiting,
  eight,
  late,
  lateByPromise,
  passingObject,
  rebuildingObject,
  recovering,
  returning,
  tapping,
  Witness,
} from './layers.ts'
import { Observers } from './observers.ts'
import { type Caller, implementation, type Played } from './play.ts'
import { PromiseCall } from './promise-part.ts'

/** One way to run a script: a server, a client, and what stands between them. */
export interface World extends Caller {
  readonly name: string
  /** What must be as in the bare world. `outcome`: messages, metadata and status, but not in which form they are told. */
  readonly compares: 'everything' | 'outcome'
  /** What witnesses in the stack have to say about the last run. */
  check(played: Played): Promise<string[]>
  close(): void
}

interface Stack {
  readonly client?: readonly ClientInterceptorLike[]
  readonly server?: readonly ServerInterceptorLike[]
  /** Channel, client and server of grpc-core instead of those of grpc-js. */
  readonly own?: 'stub' | 'promises'
  readonly compares?: World['compares']
  readonly check?: World['check']
  readonly headersWithResponse?: true
}

const LIMITS: ChannelOptions = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  // Channels of one process share connections otherwise.
  'grpc.use_local_subchannel_pool': 1,
}

const bareNames = ['bare', 'bare again'] as const

const stacks: Readonly<Record<string, () => Stack>> = {
  'eight that return next()': () => witnessed([...eight(returning, tapping)], [...eight(returning, tapping)]),
  'eight that await': () => witnessed(eight(awaiting, asking, recovering), eight(awaiting, asking, recovering)),
  'eight that start late': () => ({ client: eight(late, lateByPromise), server: eight(late, lateByPromise) }),
  'full stack': fullStack,
  'retry() armed': () => ({ client: [retry({ retryIf: () => false })], server: [returning] }),
  'hedge() armed': () => ({
    client: [returning, hedge({ delayMs: 120_000, idempotent: '*', nonFatalStatusCodes: [] })],
    server: [returning],
    headersWithResponse: true,
  }),
  'interceptor objects': () => ({
    client: [returning, passingObject, awaiting, passingObject],
    server: [returning, passingObject, awaiting, passingObject],
  }),
  'rebuilding objects': () => ({
    client: [rebuildingObject],
    server: [rebuildingObject],
    compares: 'outcome',
    headersWithResponse: true,
  }),
  'own channel and server': () => ({ client: [returning, awaiting], server: [returning, awaiting], own: 'stub' }),
  'promise client': () => ({ own: 'promises', client: [awaiting], compares: 'outcome' }),
}

export const worldNames: readonly string[] = Object.keys(stacks)

function witnessed(client: Interceptor[], server: Interceptor[]): Stack {
  const outer = new Witness()
  const inner = new Witness()
  return {
    client: [outer.interceptor, ...client, inner.interceptor],
    server: [outer.interceptor, ...server, inner.interceptor],
    check: async ({ client }) => {
      await outer.settle()
      return [...outer.violations(client?.code), ...inner.violations(client?.code)]
    },
  }
}

/** Every package, in the recommended order. */
function fullStack(): Stack {
  const ofClient = new Observers('client')
  const ofServer = new Observers('server')
  return {
    client: [
      ...ofClient.interceptors,
      requestId(),
      retry({ retryIf: () => false }),
      circuitBreaker({ isFailure: () => false }),
      throttle({ rate: 1e6 }),
      clientAuth({ token: 'a-token', allowInsecure: true }),
    ],
    server: [
      requestId(),
      ...ofServer.interceptors,
      concurrencyLimit({ limit: 100 }),
      serverAuth({ verify: () => ({ subject: 'chaos' }) }),
      rateLimit({ rate: 1e9 }),
    ],
    check: async ({ client, handlers, thrown }) => {
      await ofServer.settle()
      const made = thrown === undefined ? 1 : 0
      return [
        ...ofClient.disagreements({ least: made, most: made }, client?.code),
        ...ofServer.disagreements({ least: handlers, most: 1 }, undefined),
      ]
    },
  }
}

export async function openBare(): Promise<World[]> {
  return [await openWorld(bareNames[0], {}), await openWorld(bareNames[1], {})]
}

export async function openWorldNamed(name: string): Promise<World> {
  const stack = stacks[name]
  if (stack === undefined) throw new Error(`no world "${name}"; there are ${worldNames.join(', ')}`)
  return await openWorld(name, stack())
}

async function openWorld(name: string, stack: Stack): Promise<World> {
  const {
    client: around = [],
    server: behind = [],
    own,
    compares = 'everything',
    check = () => Promise.resolve([]),
  } = stack
  const headersWithResponse = stack.headersWithResponse === true
  const serverOptions: ServerOptions = { 'grpc.max_receive_message_length': MAX_MESSAGE_BYTES }
  const server =
    own === undefined
      ? new Server({ ...serverOptions, interceptors: serverInterceptors(...behind) })
      : createServer({ ...serverOptions, interceptors: behind })
  server.addService(service, implementation)
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const address = `127.0.0.1:${port}`
  let channel: Channel | undefined
  let stub: Client
  let open: Caller['open']
  if (own === undefined) {
    const made = new Stub(address, credentials.createInsecure(), {
      ...LIMITS,
      interceptors: clientInterceptors(...around),
    })
    stub = made
    open = (opening) => new StubCall(made, opening, around.length > 0)
  } else {
    channel = interceptChannel(createChannel(address, credentials.createInsecure(), LIMITS), ...around) as Channel
    const made = channel.client(Stub)
    stub = made
    const promises = createClient(service, channel)
    open =
      own === 'stub' ? (opening) => new StubCall(made, opening, true) : (opening) => new PromiseCall(promises, opening)
  }
  await new Promise<void>((resolve, reject) => {
    stub.waitForReady(Date.now() + 20_000, (error) => (error ? reject(error) : resolve()))
  })
  return {
    name,
    compares,
    headersWithResponse,
    open,
    check,
    close: () => {
      stub.close()
      server.forceShutdown()
    },
  }
}
