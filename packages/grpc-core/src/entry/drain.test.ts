import { status as Code, credentials, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import {
  type Channel,
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  type StackServer,
} from '../index.ts'

const json = {
  requestSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  requestDeserialize: (bytes: Buffer) => JSON.parse(String(bytes)) as unknown,
  responseSerialize: (value: unknown) => Buffer.from(JSON.stringify(value)),
  responseDeserialize: (bytes: Buffer) => JSON.parse(String(bytes)) as unknown,
}
const watch = (path: string) => ({ path, requestStream: false as const, responseStream: true as const, ...json })
const Feed = { watch: watch('/test.Feed/Watch') } satisfies ServiceDefinition
const Health = { watch: watch('/grpc.health.v1.Health/Watch') } satisfies ServiceDefinition

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

it.each<[string, unknown[], string]>([
  [
    'a number in text',
    ['5'],
    'graceMs must be a number of milliseconds ≥ 0, got "5"; to drain one port, write drain(port, graceMs)',
  ],
  ['a port without a time', ['127.0.0.1:80'], 'graceMs must be a number'],
  ['a port and no time', ['127.0.0.1:80', undefined], 'graceMs must be a number'],
  ['a port and a time in text', ['127.0.0.1:80', '5'], 'graceMs must be a number'],
  ['a port and a time before now', ['127.0.0.1:80', -1], 'graceMs must be a number'],
  ['a time and more', [5, () => undefined], 'takes graceMs alone'],
  ['nothing', [], 'graceMs must be a number'],
  ['a Date', [new Date()], 'graceMs must be a number'],
])('drain refuses %s by name, and drains nothing', (_what, args, text) => {
  const server = createServer()
  const drain = () => (server.drain as (...args: unknown[]) => unknown).apply(server, args)
  expect(drain).toThrow(TypeError)
  expect(drain).toThrow(`server.drain: ${text}`)
  expect(server.draining.aborted).toBe(false)
  expect(() => server.drain('127.0.0.1:80', 5)).not.toThrow()
})

type Handler = (call: {
  write(message: unknown): void
  end(): void
  on(event: 'cancelled', heard: () => void): void
}) => void

async function serve(
  definition: ServiceDefinition,
  handler: Handler,
  interceptors: readonly Interceptor[] = [],
): Promise<[StackServer, Channel]> {
  const server = createServer({ interceptors })
  server.addService(definition, { watch: handler as never })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  const channel = createChannel(`127.0.0.1:${port}`, credentials.createInsecure())
  closers.push(
    () => channel.close(),
    () => server.drain(0),
  )
  return [server, channel]
}

/** What a watch was told, and how it ended. */
function watching(definition: typeof Feed, channel: Channel) {
  const messages: unknown[] = []
  const call = createClient(definition, channel).watch({})
  void (async () => {
    for await (const message of call) messages.push(message)
  })().catch(() => undefined)
  return { messages, status: call.status }
}

const passing: Interceptor = (_call, next) => next()

describe.each([
  ['no interceptor', []],
  ['an interceptor', [passing]],
] as const)('server.drain, for calls with %s', (_what, interceptors) => {
  it('ends what is left after the grace with UNAVAILABLE', async () => {
    const [server, channel] = await serve(Feed, (call) => call.write({ begun: true }), interceptors)
    const { messages, status } = watching(Feed, channel)
    await until(() => messages.length === 1)
    await server.drain(0)
    expect(await status).toMatchObject({ code: Code.UNAVAILABLE, details: 'The server is shutting down' })
  })

  it('tells long streams, which can end with OK', async () => {
    const [server, channel] = await serve(
      Feed,
      (call) => {
        call.write({ begun: true })
        server.draining.addEventListener('abort', () => call.end())
      },
      interceptors,
    )
    const { messages, status } = watching(Feed, channel)
    await until(() => messages.length === 1)
    expect(server.draining.aborted).toBe(false)
    await server.drain(60_000)
    expect((await status).code).toBe(Code.OK)
  })

  it('tells watches of the health service NOT_SERVING and does not wait for them', async () => {
    const [server, channel] = await serve(Health, (call) => call.write({ status: 1 }), interceptors)
    const { messages, status } = watching(Health as unknown as typeof Feed, channel)
    await until(() => messages.length === 1)
    await server.drain(60_000)
    expect((await status).code).toBe(Code.OK)
    expect(messages).toEqual([{ status: 1 }, { status: 2 }])
  })
})

describe('call.draining', () => {
  it('is the signal of the server', async () => {
    const seen: boolean[] = []
    const looking: Interceptor = (call, next) => {
      if (call.side === 'server') {
        const { draining } = call as typeof call & { draining: AbortSignal }
        seen.push(draining.aborted)
        draining.addEventListener('abort', () => seen.push(draining.aborted))
      }
      return next()
    }
    const [server, channel] = await serve(Feed, (call) => call.write({ begun: true }), [looking])
    const { messages } = watching(Feed, channel)
    await until(() => messages.length === 1)
    await server.drain(0)
    expect(seen).toEqual([false, true])
  })
})
