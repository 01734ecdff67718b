import type { Interceptor as GrpcInterceptor } from '@grpc/grpc-js'
import type { ClientInterceptorLike, Interceptor, ServerInterceptorLike } from '@grpc-stack/grpc-core'
import { clientAuth, serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { requestId } from '@grpc-stack/interceptor-logging'
import { concurrencyLimit, rateLimit, throttle } from '@grpc-stack/interceptor-ratelimit'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { withTrailers } from './async-part.ts'
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
import type { Played } from './play.ts'

/** What stands around the calls of a world. */
export interface Stack {
  /** Interceptors of grpc-js, outside of those of the client. */
  readonly before?: readonly GrpcInterceptor[]
  readonly client?: readonly ClientInterceptorLike[]
  readonly server?: readonly ServerInterceptorLike[]
  /** Channel, client and server of grpc-core instead of those of grpc-js. */
  readonly own?: 'stub' | 'promises'
  /** Handlers that are async functions and generators, on a server of grpc-core. */
  readonly handlers?: 'async'
  readonly compares?: 'everything' | 'client' | 'outcome'
  readonly check?: (played: Pick<Played, 'client' | 'handlers' | 'thrown'>) => Promise<string[]>
  readonly headersWithResponse?: true
  /** Each call is made on a channel of its own, whose connection is begun in another context. */
  readonly cold?: true
  /** Writes are confirmed before the requests are sent. */
  readonly confirmsEarly?: true
  /** Statuses that the stack causes by itself, where a call ends before it is done with it. */
  readonly causes?: readonly number[]
}

export const stacks: Readonly<Record<string, () => Stack>> = {
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
  'async handlers': asyncHandlers,
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
        ...ofServer.disagreements({ least: handlers, most: handlers + 1 }, undefined),
      ]
    },
  }
}

function asyncHandlers(): Stack {
  const { server = [], ...full } = fullStack()
  return { ...full, server: [...server, withTrailers], own: 'stub', handlers: 'async', compares: 'client' }
}
