import { promisify } from 'node:util'
import {
  type Client,
  status as Code,
  credentials,
  Metadata,
  makeGenericClientConstructor,
  ServerCredentials,
} from '@grpc/grpc-js'
import {
  type ClientInterceptorLike,
  createChannel,
  createServer,
  type Interceptor,
  interceptChannel,
  type ServerInterceptorLike,
} from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  endWith,
  manual,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  type TestPattern,
  type TestServer,
  unparsable,
  unserializable,
} from '@grpc-stack/grpc-testing'
import { SpanStatusCode } from '@opentelemetry/api'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

const requests = [{ text: 'a', n: 3 }]

let log: SpanLog
let server: TestServer | undefined

beforeAll(() => {
  log = registerSdk()
})
afterAll(unregisterSdk)
beforeEach(() => log.clear())
afterEach(async () => {
  vi.useRealTimers()
  await server?.stop()
  server = undefined
})

/** A server and a client with tracing() outermost on both. */
async function start(
  inner: { client?: readonly ClientInterceptorLike[]; server?: readonly ServerInterceptorLike[] } = {},
  options: { stock?: boolean; serverOptions?: object } = {},
): Promise<[TestServer, TestClient]> {
  const { client = [], server: onServer = [] } = inner
  server = await startTestServer({ ...options, interceptors: [tracing(), ...onServer] })
  const stub = options.stock
    ? server.client(tracing(), ...client)
    : server.channel(tracing(), ...client).client(TestClient)
  return [server, stub]
}

/** Until then, a short deadline may pass before a handler has heard of the call. */
async function connected(client: Client): Promise<void> {
  await promisify(client.waitForReady.bind(client))(Number.POSITIVE_INFINITY)
}

/** What every ending comes to: so many spans, each ended once, with these codes. */
async function expectSpans(codes: { client?: keyof typeof Code; server?: keyof typeof Code }): Promise<void> {
  const expected = Object.keys(codes).length
  await log.count(expected)
  await settle(20)
  expect(log.started).toHaveLength(expected)
  expect(log.ended).toHaveLength(expected)
  if (codes.client) expect(log.client.attributes['rpc.status_code']).toBe(codes.client)
  if (codes.server) {
    expect(log.server.attributes['rpc.status_code']).toBe(codes.server)
    if (codes.client) expect(log.server.parentSpanContext?.spanId).toBe(log.client.spanContext().spanId)
  }
}

const refuse = (code: Code): Interceptor =>
  function gatekeeper() {
    return { code, details: 'not today' }
  }

// reference: sentence 2
describe.each(patterns)('exactly one span per RPC and side: %s', (pattern: TestPattern) => {
  it.each([
    ['a channel and a server of grpc-core', false],
    ['a stock stub and a stock server', true],
  ])('success, with %s', async (_where, stock) => {
    const [, client] = await start({}, { stock })
    await runRpc(client, pattern)
    await expectSpans({ client: 'OK', server: 'OK' })
  })

  it('an error of the handler', async () => {
    const [test, client] = await start()
    const behaviour = endWith({ code: Code.NOT_FOUND, details: 'no such thing' })
    await runRpc(client, pattern, { metadata: test.behave(behaviour) })
    await expectSpans({ client: 'NOT_FOUND', server: 'NOT_FOUND' })
  })

  it('a handler that throws', async () => {
    const [test, client] = await start()
    const thrower: Behaviour = () => {
      throw new Error('the handler threw')
    }
    const { status } = await runRpc(client, pattern, { metadata: test.behave(thrower) })
    expect(status?.code).not.toBe(Code.OK)
    const name = Code[status?.code as Code] as keyof typeof Code
    await expectSpans({ client: name, server: name })
  })

  it('a refusal by an interceptor of the server', async () => {
    const [, client] = await start({ server: [refuse(Code.PERMISSION_DENIED)] })
    await runRpc(client, pattern)
    await expectSpans({ client: 'PERMISSION_DENIED', server: 'PERMISSION_DENIED' })
    expect(log.server.attributes['grpc_stack.refused_by']).toBe('gatekeeper')
    expect(log.client.attributes).not.toHaveProperty('grpc_stack.refused_by')
  })

  it('a refusal by an interceptor of the client, which no server hears of', async () => {
    const [, client] = await start({ client: [refuse(Code.RESOURCE_EXHAUSTED)] })
    await runRpc(client, pattern)
    await expectSpans({ client: 'RESOURCE_EXHAUSTED' })
    expect(log.client.attributes['grpc_stack.refused_by']).toBe('gatekeeper')
    expect(log.client.attributes).not.toHaveProperty('network.peer.address')
  })

  it('an interceptor that throws', async () => {
    const broken: Interceptor = function broken() {
      throw new Error('a bug')
    }
    const [, client] = await start({ server: [broken] })
    await runRpc(client, pattern)
    await expectSpans({ client: 'INTERNAL', server: 'INTERNAL' })
  })

  it('a cancel while the handler works', async () => {
    const [test, client] = await start()
    const rpc = startRpc(client, pattern, { requests, metadata: test.behave(manual) })
    const handler = await test.received(0)
    rpc.cancel()
    await Promise.all([rpc.done, handler.closed])
    await expectSpans({ client: 'CANCELLED', server: 'CANCELLED' })
  })

  it('a cancel before anything was sent', async () => {
    const [, client] = await start()
    const rpc = startRpc(client, pattern, { requests })
    rpc.cancel()
    await rpc.done
    await log.count(1)
    await settle(20)
    expect(log.client.attributes['rpc.status_code']).toBe('CANCELLED')
    expect(log.ended).toHaveLength(log.started.length)
  })

  it('a cancel while an inner interceptor of the client hangs', async () => {
    const hanging: Interceptor = () => new Promise(() => undefined)
    const [, client] = await start({ client: [hanging] })
    const rpc = startRpc(client, pattern, { requests })
    rpc.cancel()
    await rpc.done
    await expectSpans({ client: 'CANCELLED' })
  })

  it('a deadline the handler does not meet', async () => {
    const [test, client] = await start()
    await connected(client)
    // Time stands still until the handler has heard of the call.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date', 'performance'] })
    const settings = { requests, metadata: test.behave(manual), options: { deadline: Date.now() + 300 } }
    const rpc = startRpc(client, pattern, settings)
    const handler = await test.received(0)
    vi.advanceTimersByTime(300)
    await Promise.all([rpc.done, handler.closed])
    await log.count(2)
    // Both sides watch the clock: the client's cancellation may come before the server's own deadline.
    expect(['CANCELLED', 'DEADLINE_EXCEEDED']).toContain(log.server.attributes['rpc.status_code'])
    await expectSpans({ client: 'DEADLINE_EXCEEDED', server: log.server.attributes['rpc.status_code'] as 'CANCELLED' })
  })

  it('a deadline of the server', async () => {
    const impatient: Interceptor = (call, next) => {
      call.deadline = Date.now() + 30
      return next()
    }
    const [test, client] = await start({ server: [impatient] })
    await runRpc(client, pattern, { requests, metadata: test.behave(manual) })
    await expectSpans({ client: 'DEADLINE_EXCEEDED', server: 'DEADLINE_EXCEEDED' })
    expect(log.server.status.code).toBe(SpanStatusCode.ERROR)
  })

  it('a deadline that has passed before the call', async () => {
    const [, client] = await start()
    await runRpc(client, pattern, { options: { deadline: Date.now() - 1000 } })
    await log.count(1)
    await settle(20)
    expect(log.client.attributes['rpc.status_code']).toBe('DEADLINE_EXCEEDED')
    expect(log.ended).toHaveLength(log.started.length)
  })

  it('an abandoned stream: the client stops reading and writing, and its connection goes', async () => {
    const [test, client] = await start()
    const rpc = startRpc(client, pattern, { metadata: test.behave(manual), reading: false })
    const handler = await test.received(0)
    test.kill()
    await handler.closed
    rpc.read()
    await rpc.done
    const name = Code[rpc.status?.code as Code] as keyof typeof Code
    await expectSpans({ client: name, server: 'CANCELLED' })
    expect(log.client.status.code).toBe(SpanStatusCode.ERROR)
  })

  it('a request that cannot be serialized', async () => {
    const [, client] = await start()
    await runRpc(client, pattern, { requests: [unserializable] })
    await log.count(1)
    await settle(20)
    expect(log.client.attributes['rpc.status_code']).toBe('INTERNAL')
    expect(log.ended).toHaveLength(log.started.length)
  })

  it('a response that cannot be parsed', async () => {
    const [test, client] = await start()
    const unreadable: Behaviour = async (rpc) => {
      await rpc.write(unparsable)
      rpc.end()
    }
    const { status } = await runRpc(client, pattern, { metadata: test.behave(unreadable) })
    expect(status?.code).toBe(Code.INTERNAL)
    await log.count(2)
    await settle(20)
    expect(log.client.attributes['rpc.status_code']).toBe('INTERNAL')
    expect(log.started).toHaveLength(2)
    expect(log.ended).toHaveLength(2)
  })

  it('a request that is too large for the server', async () => {
    const [, client] = await start({}, { serverOptions: { 'grpc.max_receive_message_length': 64 } })
    const { status } = await runRpc(client, pattern, { requests: [{ data: 'x'.repeat(1000) }] })
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    await expectSpans({ client: 'RESOURCE_EXHAUSTED', server: 'RESOURCE_EXHAUSTED' })
  })

  it('a server that is not there', async () => {
    const channel = createChannel('127.0.0.1:9', credentials.createInsecure())
    try {
      await runRpc(interceptChannel(channel, tracing()).client(TestClient), pattern)
    } finally {
      channel.close()
    }
    await expectSpans({ client: 'UNAVAILABLE' })
    expect(log.client.attributes).not.toHaveProperty('network.peer.address')
  })

  it('a channel that was closed before the call, where grpc-js throws', async () => {
    const channel = createChannel('127.0.0.1:9', credentials.createInsecure())
    const client = interceptChannel(channel, tracing()).client(TestClient)
    channel.close()
    expect(() => startRpc(client, pattern, { requests })).toThrow('Channel has been shut down')
    await expectSpans({ client: 'UNAVAILABLE' })
  })

  it('a tracing() twice in one stack', async () => {
    const [, client] = await start({ client: [tracing()], server: [tracing()] })
    await runRpc(client, pattern)
    await expectSpans({ client: 'OK', server: 'OK' })
  })
})

describe('an unregistered path', () => {
  it('has a span whose name and method no caller can make up', async () => {
    const own = createServer({ interceptors: [tracing()] })
    const port = await new Promise<number>((resolve, reject) => {
      own.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const Raw = makeGenericClientConstructor({}, 'Raw')
    const client = new Raw(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      const bytes = (value: Buffer) => value
      const code = await new Promise((resolve) => {
        client.makeUnaryRequest('/made.Up/Name', bytes, bytes, Buffer.alloc(0), new Metadata(), (error) =>
          resolve(error?.code),
        )
      })
      expect(code).toBe(Code.UNIMPLEMENTED)
      await expectSpans({ server: 'UNIMPLEMENTED' })
      expect(log.server.name).toBe('grpc')
      expect(log.server.attributes).toMatchObject({ 'rpc.method': '_OTHER', 'rpc.method_original': 'made.Up/Name' })
      expect(log.server.status.code).toBe(SpanStatusCode.ERROR)
    } finally {
      client.close()
      own.forceShutdown()
    }
  })
})

describe('the span of a client call', () => {
  it('has ended when the application hears of the end, so that it may flush and exit', async () => {
    const [, client] = await start()
    const endedBefore = await new Promise<number>((resolve) => {
      client.unary({}, () => resolve(log.ended.filter((span) => span === log.client).length))
    })
    expect(endedBefore).toBe(1)
  })
})
