// The packages as an application uses them: RPCs through a full stack on both sides. Prints what happened, as JSON. It is compiled,
// bundled and run in every way module-systems.test.ts knows, also by erasing its types.
import { credentials, Metadata, ServerCredentials, type ServiceDefinition, status } from '@grpc/grpc-js'
import { errorInfo, findDetail } from '@grpc-stack/error-details'
import { freeEndedCalls } from '@grpc-stack/free-ended-calls'
import {
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  interceptChannel,
  RpcError,
  type ServerCall,
} from '@grpc-stack/grpc-core'
import { named } from '@grpc-stack/grpc-core/authoring'
import { FakeClock } from '@grpc-stack/grpc-testing'
import { clientAuth, principalVar, serverAuth } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { logging, requestId, requestIdVar } from '@grpc-stack/interceptor-logging'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { openTelemetry } from '@grpc-stack/interceptor-metrics/opentelemetry'
import { prometheus } from '@grpc-stack/interceptor-metrics/prometheus'
import { rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'

interface Message {
  readonly text: string
}

const codec = {
  serialize: (message: Message): Buffer => Buffer.from(JSON.stringify(message)),
  deserialize: (bytes: Buffer): Message => JSON.parse(bytes.toString()) as Message,
}
const method = <Path extends string>(path: Path, responseStream: boolean) => ({
  path,
  requestStream: false as const,
  responseStream,
  requestSerialize: codec.serialize,
  requestDeserialize: codec.deserialize,
  responseSerialize: codec.serialize,
  responseDeserialize: codec.deserialize,
})
const Greeter = {
  greet: { ...method('/acme.Greeter/Greet', false), responseStream: false as const },
  greetings: { ...method('/acme.Greeter/Greetings', true), responseStream: true as const },
} satisfies ServiceDefinition

/** Serves, calls, and tells what came of it. */
export async function run(): Promise<Record<string, unknown>> {
  const freeing = freeEndedCalls()
  const recorder = prometheus()
  const records: object[] = []
  const write = (fields: object): void => {
    records.push(fields)
  }
  const logger = { debug: write, info: write, warn: write, error: write }
  let failures = 1
  const fails: Interceptor<ServerCall> = (_call, next) => {
    if (failures-- > 0) throw new RpcError(status.UNAVAILABLE, 'not yet')
    return next()
  }
  const server = createServer({
    interceptors: [
      requestId(),
      logging({ logger }),
      metrics({ recorder }),
      tracing(),
      serverAuth({ verify: (token) => Promise.resolve(token === 'secret' ? { subject: 'ada' } : null) }),
      rateLimit({ rate: 100 }),
      named('flaky', fails),
    ],
  })
  server.addService(Greeter, {
    greet: (call) => {
      if (call.request.text === '') {
        throw new RpcError(status.INVALID_ARGUMENT, 'whom?', {
          details: [errorInfo({ reason: 'NOBODY', domain: 'acme' })],
        })
      }
      return Promise.resolve({
        text: `${principalVar.get().subject} greets ${call.request.text} ${requestIdVar.get()}`,
      })
    },
    async *greetings(call) {
      for (const name of ['Bob', 'Eve']) yield { text: `${call.request.text} ${name}` }
    },
  })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const base = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  const client = createClient(
    Greeter,
    interceptChannel(
      base,
      metrics({ recorder: openTelemetry() }),
      retry({ idempotent: '*', initialBackoffMs: 1 }),
      circuitBreaker(),
      clientAuth({ token: 'secret', allowInsecure: true }),
    ),
  )
  try {
    const metadata = new Metadata()
    metadata.set('x-request-id', 'request-1')
    const { text } = await client.greet({ text: 'Bob' }, { metadata })
    const stream: string[] = []
    for await (const response of client.greetings({ text: 'hi' })) stream.push(response.text)
    const error: unknown = await client.greet({ text: '' }).catch((reason: unknown) => reason)
    return {
      text,
      stream,
      error: error instanceof RpcError ? error.code : String(error),
      reason: findDetail(error, 'ErrorInfo')?.reason,
      records: records.length,
      series: (await recorder.registry.metrics()).includes('grpc_server_handled_total'),
      clock: new FakeClock().pending,
      copiesOfGrpcJs: freeing.grpcJs.length,
    }
  } finally {
    base.close()
    server.forceShutdown()
  }
}

/** Not run: these lines must not compile, so that types which fall back to `any` are noticed in every project. */
export function mistakes(client: ReturnType<typeof createClient<typeof Greeter>>): void {
  // @ts-expect-error a request without its text
  void client.greet({})
  // @ts-expect-error an option that does not exist
  retry({ attempts: 3 })
  // @ts-expect-error of a sub-path
  named(1, (_call: unknown, next: () => unknown) => next())
}
