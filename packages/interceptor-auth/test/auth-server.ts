import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { ServerInterceptorLike } from '@grpc-stack/grpc-core'
import {
  metadataOf,
  runRpc,
  startTestServer,
  type TestClient,
  type TestServer,
  type TestServerOptions,
} from '@grpc-stack/grpc-testing'
import { type Principal, type ServerAuthOptions, serverAuth } from '../src/index.ts'

export const alice: Principal = { subject: 'alice', claims: { role: 'reader' } }

/** Knows one token. */
export const verify = (token: string): Principal | null => (token === 'good' ? alice : null)

export const carrying = (authorization: string): { readonly metadata: Metadata } => ({
  metadata: metadataOf({ authorization }),
})
export const good: ReturnType<typeof carrying> = carrying('Bearer good')

export const REFUSED = 'UNAUTHENTICATED: No valid credentials'
export const DOWN = 'UNAVAILABLE: Credentials cannot be verified at the moment'

/** Interceptors around serverAuth, and what the test server takes. */
export interface Surroundings extends TestServerOptions {
  readonly before?: readonly ServerInterceptorLike[]
  readonly after?: readonly ServerInterceptorLike[]
}

const running = new Set<TestServer>()

/** A test server behind serverAuth. */
export async function startAuthServer(
  options: ServerAuthOptions,
  surroundings: Surroundings = {},
): Promise<TestServer> {
  const { before = [], after = [], ...rest } = surroundings
  const server = await startTestServer({ ...rest, interceptors: [...before, serverAuth(options), ...after] })
  running.add(server)
  return server
}

/** For `afterEach`. */
export async function stopAuthServers(): Promise<void> {
  const servers = [...running]
  running.clear()
  for (const server of servers) await server.stop()
}

const clients = new WeakMap<TestServer, TestClient>()

/** One client per server, for tests that make many calls. */
export function clientOf(server: TestServer): TestClient {
  let client = clients.get(server)
  if (client === undefined) {
    client = server.client()
    clients.set(server, client)
  }
  return client
}

/** The code and text a call with this authorization ends with. */
export async function answerTo(server: TestServer, authorization?: string): Promise<string> {
  const { status } = await runRpc(clientOf(server), 'unary', authorization === undefined ? {} : carrying(authorization))
  return `${Code[status?.code ?? -1]}: ${status?.details}`
}
