import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status as Code, credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import { createChannel, interceptChannel, not, serverInterceptors } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  endWith,
  metadataOf,
  patterns,
  runRpc,
  startTestServer,
  TestClient,
  testService,
} from '@grpc-stack/grpc-testing'
import { type Attributes, SpanKind, trace } from '@opentelemetry/api'
import { SamplingDecision } from '@opentelemetry/sdk-trace-node'
import * as semconv from '@opentelemetry/semantic-conventions'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

let log: SpanLog
/** What the sampler was shown, by kind of span. */
const sampled = new Map<SpanKind, Attributes>()

beforeAll(() => {
  const sampler = {
    shouldSample(_context: unknown, _traceId: string, _name: string, kind: SpanKind, attributes: Attributes) {
      sampled.set(kind, { ...attributes })
      return { decision: SamplingDecision.RECORD_AND_SAMPLED }
    },
    toString: () => 'watching',
  }
  log = registerSdk({ sampler })
})
afterAll(unregisterSdk)
beforeEach(() => {
  log.clear()
  sampled.clear()
})

const portOf = (address: string) => Number(address.split(':').at(-1))

describe.each(patterns)('a span: %s', (pattern) => {
  const name = { unary: 'Unary', clientStream: 'ClientStream', serverStream: 'ServerStream', bidi: 'Bidi' }[pattern]

  it('has the name, the kind and exactly the attributes of the conventions, on both sides', async () => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.channel(tracing()).client(TestClient), pattern)
    await log.count(2)
    const port = portOf(server.address)
    for (const span of [log.client, log.server]) expect(span.name).toBe(`grpcstack.testing.Test/${name}`)
    const common = {
      [semconv.ATTR_RPC_SYSTEM_NAME]: 'grpc',
      [semconv.ATTR_RPC_METHOD]: `grpcstack.testing.Test/${name}`,
      [semconv.ATTR_RPC_STATUS_CODE]: 'OK',
      [semconv.ATTR_SERVER_ADDRESS]: '127.0.0.1',
      [semconv.ATTR_SERVER_PORT]: port,
      [semconv.ATTR_NETWORK_PEER_ADDRESS]: '127.0.0.1',
    }
    expect(log.client.attributes).toEqual({ ...common, [semconv.ATTR_NETWORK_PEER_PORT]: port })
    expect(log.server.attributes).toEqual({ ...common, [semconv.ATTR_NETWORK_PEER_PORT]: expect.any(Number) })
    expect(log.server.attributes[semconv.ATTR_NETWORK_PEER_PORT]).not.toBe(port)
    expect(log.client.instrumentationScope).toEqual({
      name: '@grpc-stack/interceptor-tracing',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      schemaUrl: undefined,
    })
  })

  it('shows the sampler its attributes', async () => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.channel(tracing()).client(TestClient), pattern)
    const expected = {
      'rpc.system.name': 'grpc',
      'rpc.method': `grpcstack.testing.Test/${name}`,
      'server.address': '127.0.0.1',
      'server.port': portOf(server.address),
    }
    expect(sampled.get(SpanKind.CLIENT)).toEqual(expected)
    expect(sampled.get(SpanKind.SERVER)).toEqual(expected)
  })

  it('has an event per message with messageEvents', async () => {
    const events = tracing({ messageEvents: true })
    await using server = await startTestServer({ interceptors: [events] })
    await runRpc(server.client(events), pattern, {
      requests: pattern === 'clientStream' || pattern === 'bidi' ? [{}, {}, {}] : [{ n: 3 }],
    })
    await log.count(2)
    const sent = pattern === 'clientStream' || pattern === 'bidi' ? 3 : 1
    const answered = pattern === 'serverStream' || pattern === 'bidi' ? 3 : 1
    const numbers = (span: typeof log.client, event: string) =>
      span.events.filter((e) => e.name === event).map((e) => e.attributes?.['sequence-number'])
    expect(numbers(log.client, 'Outbound message')).toEqual([...Array(sent).keys()])
    expect(numbers(log.client, 'Inbound message')).toEqual([...Array(answered).keys()])
    expect(numbers(log.server, 'Inbound message')).toEqual([...Array(sent).keys()])
    expect(numbers(log.server, 'Outbound message')).toEqual([...Array(answered).keys()])
  })

  it('has the links of the messages it received with messageLinks', async () => {
    const linkTo = (message: unknown, n: number) => ({
      context: { traceId: '1'.repeat(32), spanId: `000000000000000${n}`, traceFlags: 1 },
      attributes: { text: (message as { text?: string }).text ?? '' },
    })
    const links = tracing({
      messageLinks: (message, call) =>
        call.side === 'client' ? linkTo(message, 1) : [linkTo(message, 2), linkTo(message, 3)],
    })
    const answer: Behaviour = async (rpc) => {
      await rpc.readAll()
      await rpc.write({ text: 'answer' })
      rpc.end()
    }
    await using server = await startTestServer({ interceptors: [links], behaviour: answer })
    await runRpc(server.client(links), pattern, { requests: [{ text: 'request' }] })
    await log.count(2)
    const linksOf = (span: typeof log.client) => span.links.map((link) => [link.context.spanId.at(-1), link.attributes])
    expect(linksOf(log.client)).toEqual([['1', { text: 'answer' }]])
    expect(linksOf(log.server)).toEqual([
      ['2', { text: 'request' }],
      ['3', { text: 'request' }],
    ])
  })
})

describe('server.address on the client', () => {
  it('comes from the target, not from the connection', async () => {
    await using server = await startTestServer()
    const port = portOf(server.address)
    const channel = createChannel(`dns:///localhost:${port}`, credentials.createInsecure())
    try {
      await runRpc(interceptChannel(channel, tracing()).client(TestClient), 'unary')
    } finally {
      channel.close()
    }
    expect(log.client.attributes).toMatchObject({
      'server.address': 'localhost',
      'server.port': port,
      'network.peer.address': '127.0.0.1',
      'network.peer.port': port,
    })
  })

  it('is known on a stock stub too, but not to the sampler', async () => {
    await using server = await startTestServer()
    const client = server.client(tracing())
    for (const state of ['cold', 'warm']) {
      log.clear()
      await runRpc(client, 'unary')
      expect(log.client.attributes, state).toMatchObject({
        'server.address': '127.0.0.1',
        'server.port': portOf(server.address),
      })
      expect(sampled.get(SpanKind.CLIENT), state).not.toHaveProperty('server.address')
    }
  })

  it('can be given for a stock stub', async () => {
    await using server = await startTestServer()
    await runRpc(server.client(tracing({ target: 'shop.example:443' })), 'unary')
    expect(sampled.get(SpanKind.CLIENT)).toMatchObject({ 'server.address': 'shop.example', 'server.port': 443 })
    expect(log.client.attributes).toMatchObject({ 'server.address': 'shop.example', 'server.port': 443 })
  })

  it('is the path of a Unix socket', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tracing-'))
    const path = join(folder, 'app.sock')
    const server = new Server({ interceptors: serverInterceptors(tracing()) })
    server.addService(testService, {
      unary: (_call: unknown, callback: (error: null, answer: object) => void) => callback(null, {}),
    } as never)
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      )
    })
    const channel = createChannel(`unix:${path}`, credentials.createInsecure())
    try {
      await runRpc(interceptChannel(channel, tracing()).client(TestClient), 'unary')
      await log.count(2)
      expect(log.client.attributes).toMatchObject({ 'server.address': path, 'network.peer.address': path })
      expect(log.client.attributes).not.toHaveProperty('server.port')
      expect(log.server.attributes).not.toHaveProperty('network.peer.port')
    } finally {
      channel.close()
      server.forceShutdown()
      await rm(folder, { recursive: true })
    }
  })
})

describe('option "semanticConventions"', () => {
  const today = { 'rpc.system.name': 'grpc', 'rpc.status_code': 'NOT_FOUND' }
  const before = { 'rpc.system': 'grpc', 'rpc.service': 'grpcstack.testing.Test', 'rpc.grpc.status_code': 5 }

  it.each([
    ['stable', { ...today, 'rpc.method': 'grpcstack.testing.Test/Unary' }, Object.keys(before)],
    ['legacy', { ...before, 'rpc.method': 'Unary' }, Object.keys(today)],
    ['both', { ...today, ...before, 'rpc.method': 'grpcstack.testing.Test/Unary' }, []],
  ] as const)('%s', async (semanticConventions, has, hasNot) => {
    const own = tracing({ semanticConventions })
    await using server = await startTestServer({ interceptors: [own], behaviour: endWith({ code: Code.NOT_FOUND }) })
    await runRpc(server.client(own), 'unary')
    await log.count(2)
    for (const span of [log.client, log.server]) {
      expect(span.attributes).toMatchObject(has)
      for (const key of hasNot) expect(span.attributes).not.toHaveProperty([key])
      expect(span.name).toBe('grpcstack.testing.Test/Unary')
    }
  })
})

describe('option "metadata"', () => {
  const metadata = {
    requestHeaders: ['X-Tenant', 'x-key-bin', 'x-absent'],
    responseHeaders: ['x-served-by'],
    responseTrailers: ['x-cost'],
  }
  const answer: Behaviour = async (rpc) => {
    rpc.sendHeaders({ 'x-served-by': 'a', 'x-secret': 'h' })
    await rpc.write({})
    rpc.end({ metadata: metadataOf({ 'x-cost': '7', 'x-secret': 't' }) })
  }
  const request = metadataOf({ 'x-tenant': 'acme', 'x-key-bin': Buffer.from([1, 2]), authorization: 'Bearer secret' })
  request.add('x-tenant', 'other')

  it.each(patterns)('copies what is listed and nothing else: %s', async (pattern) => {
    const own = tracing({ metadata })
    await using server = await startTestServer({ interceptors: [own], behaviour: answer })
    await runRpc(server.client(own), pattern, { metadata: request })
    await log.count(2)
    const copied = {
      'rpc.request.header.x-key-bin': ['AQI='],
      'rpc.response.header.x-served-by': ['a'],
      'rpc.response.trailer.x-cost': ['7'],
    }
    // grpc-js joins several values of one key with a comma on the wire.
    expect(log.client.attributes).toMatchObject({ ...copied, 'rpc.request.header.x-tenant': ['acme', 'other'] })
    expect(log.server.attributes).toMatchObject(copied)
    expect(log.server.attributes['rpc.request.header.x-tenant']?.toString()).toMatch(/^acme, ?other$/)
    const all = JSON.stringify([log.client.attributes, log.server.attributes])
    expect(all).not.toContain('secret')
    expect(all).not.toContain('x-absent')
  })

  it('has the names of before with the conventions of before', async () => {
    const own = tracing({ metadata, semanticConventions: 'both' })
    await using server = await startTestServer({ interceptors: [own], behaviour: answer })
    await runRpc(server.client(own), 'unary', { metadata: request })
    expect(log.client.attributes).toMatchObject({
      'rpc.request.header.x-tenant': ['acme', 'other'],
      'rpc.request.metadata.x_tenant': ['acme', 'other'],
      'rpc.response.metadata.x_served_by': ['a'],
    })
  })

  it('sees what interceptors of the server add', async () => {
    const own = tracing({ metadata: { responseHeaders: ['x-added'], responseTrailers: ['x-cost', 'x-more'] } })
    await using server = await startTestServer({
      behaviour: answer,
      interceptors: [
        own,
        (call, next) => {
          if (call.side === 'server' && 'trailers' in call) {
            const { responseMetadata, trailers } = call as import('@grpc-stack/grpc-core').ServerCall
            responseMetadata.set('x-added', 'yes')
            trailers.set('x-more', 'yes')
          }
          return next()
        },
      ],
    })
    await runRpc(server.client(), 'unary')
    await log.count(1)
    expect(log.server.attributes).toMatchObject({
      'rpc.response.header.x-added': ['yes'],
      'rpc.response.trailer.x-cost': ['7'],
      'rpc.response.trailer.x-more': ['yes'],
    })
  })
})

describe('options that describe a span', () => {
  it('methods: a matcher as everywhere', async () => {
    const own = tracing({ methods: not({ pattern: 'unary' }) })
    await using server = await startTestServer({ interceptors: [own] })
    await runRpc(server.client(), 'unary')
    await runRpc(server.client(), 'serverStream')
    await log.count(1)
    expect(log.server.name).toBe('grpcstack.testing.Test/ServerStream')
    expect(log.started).toHaveLength(1)
  })

  it('spanName', async () => {
    await using server = await startTestServer()
    const spanName = (call: { side: string; method: { name: string } }) => `${call.side} ${call.method.name}`
    await runRpc(server.client(tracing({ spanName })), 'unary')
    expect(log.client.name).toBe('client Unary')
  })

  it('attributes, fixed or by call, which the sampler sees', async () => {
    await using server = await startTestServer({ interceptors: [tracing({ attributes: { 'app.zone': 'b' } })] })
    const attributes = (call: { method: { name: string } }) => ({ 'app.name': call.method.name })
    await runRpc(server.channel(tracing({ attributes })).client(TestClient), 'unary')
    await log.count(2)
    expect(sampled.get(SpanKind.CLIENT)).toMatchObject({ 'app.name': 'Unary', 'rpc.system.name': 'grpc' })
    expect(log.server.attributes).toMatchObject({ 'app.zone': 'b', 'rpc.system.name': 'grpc' })
  })

  it('links from the start', async () => {
    await using server = await startTestServer()
    const context = { traceId: '1'.repeat(32), spanId: '2'.repeat(16), traceFlags: 1 }
    await runRpc(server.client(tracing({ links: () => [{ context }] })), 'unary')
    expect(log.client.links).toMatchObject([{ context }])
  })

  it('requestHook and responseHook get the span, the call and the status', async () => {
    const calls: unknown[] = []
    const own = tracing({
      requestHook: (span, call) => {
        calls.push(['request', call.side])
        span.setAttribute('app.request', call.metadata.get('x-a').join())
        call.onRequest((message) => span.setAttribute('app.text', (message as { text: string }).text) && undefined)
      },
      responseHook: (span, status, call) => {
        calls.push(['response', call.side, Code[status.code]])
        span.updateName('renamed')
      },
    })
    await using server = await startTestServer({ interceptors: [own] })
    await runRpc(server.client(own), 'unary', { metadata: metadataOf({ 'x-a': '1' }), requests: [{ text: 'hi' }] })
    await log.count(2)
    for (const span of [log.client, log.server]) {
      expect(span.attributes).toMatchObject({ 'app.request': '1', 'app.text': 'hi' })
      expect(span.name).toBe('renamed')
    }
    expect(calls).toEqual([
      ['request', 'client'],
      ['request', 'server'],
      ['response', 'server', 'OK'],
      ['response', 'client', 'OK'],
    ])
  })

  it('hooks do not run where nothing is recorded', async () => {
    let ran = 0
    const own = tracing({ requestHook: () => void ran++, responseHook: () => void ran++, attributes: () => ({}) })
    await using server = await startTestServer()
    const unsampled = trace.getTracerProvider()
    unregisterSdk()
    try {
      await runRpc(server.client(own), 'unary')
    } finally {
      trace.setGlobalTracerProvider(unsampled)
    }
    expect(ran).toBe(0)
  })
})
