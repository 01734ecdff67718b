import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'
import {
  echo,
  endWith,
  interceptorSuite,
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  type TestServer,
  type TestServerOptions,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { RecordingLogger } from '../test/recording-logger.ts'
import { logging } from './logging.ts'
import { requestId } from './request-id.ts'
import { requestIdVar } from './request-id-var.ts'

const servers: TestServer[] = []
const start = async (options?: TestServerOptions): Promise<TestServer> => {
  const server = await startTestServer(options)
  servers.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

interceptorSuite('requestId()', () => ({ client: requestId(), server: requestId(), adds: ['x-request-id'] }))

describe('requestId() on a server', () => {
  /** What a handler saw: the variable and its metadata. */
  const recorded = () => {
    const seen: { id: string; header: unknown[] }[] = []
    const behaviour: TestServerOptions['behaviour'] = (rpc) => {
      seen.push({ id: requestIdVar.get('none'), header: rpc.metadata.get('x-request-id') })
      return echo(rpc)
    }
    return { seen, behaviour }
  }

  // reference: flaw 42, sentence 30, symbol 67
  it.each(patterns)('takes the id that came with a %s call', async (pattern) => {
    const { seen, behaviour } = recorded()
    const server = await start({ interceptors: [requestId()], behaviour })
    await runRpc(server.client(), pattern, { metadata: metadataOf({ 'x-request-id': 'order-17' }) })
    expect(seen).toEqual([{ id: 'order-17', header: ['order-17'] }])
  })

  // reference: flaw 42, symbol 69, symbol 70
  it.each(patterns)('makes one for a %s call without', async (pattern) => {
    const { seen, behaviour } = recorded()
    const server = await start({ interceptors: [requestId()], behaviour })
    await runRpc(server.client(), pattern)
    await runRpc(server.client(), pattern)
    expect(seen[0]?.id).toMatch(UUID)
    expect(seen[0]?.header).toEqual([seen[0]?.id])
    expect(seen[1]?.id).not.toBe(seen[0]?.id)
  })

  // reference: flaw 43, symbol 69
  it.each(patterns)('sends the id of a %s call back in the response metadata', async (pattern) => {
    const server = await start({ interceptors: [requestId()] })
    const rpc = await runRpc(server.client(), pattern, { metadata: metadataOf({ 'x-request-id': 'order-17' }) })
    expect(rpc.headers?.get('x-request-id')).toEqual(['order-17'])
  })

  // reference: flaw 43
  it('a call that is refused gets its id back too', async () => {
    const refuse: Interceptor = () => ({ code: Code.UNAUTHENTICATED })
    const server = await start({ interceptors: [requestId(), refuse] })
    const rpc = await runRpc(server.client(), 'unary', { metadata: metadataOf({ 'x-request-id': 'order-17' }) })
    expect(rpc.status?.metadata.get('x-request-id') ?? rpc.headers?.get('x-request-id')).toEqual(['order-17'])
  })

  // reference: flaw 44
  it('the id goes along with the calls the handler makes', async () => {
    const back = await start({ interceptors: [requestId()] })
    const inner = back.client(requestId())
    const front = await start({
      interceptors: [requestId()],
      behaviour: async (rpc) => {
        await runRpc(inner, 'unary')
        await echo(rpc)
      },
    })
    const ids = ['order-1', 'order-2', 'order-3']
    const client = front.client()
    await Promise.all(
      ids.map((id) => startRpc(client, 'unary', { requests: [{}], metadata: metadataOf({ 'x-request-id': id }) }).done),
    )
    expect(back.calls.map(({ metadata }) => metadata.get('x-request-id')[0]).sort()).toEqual(ids)
  })

  // reference: flaw 44
  it('also while a stream is being handled', async () => {
    const back = await start()
    const inner = back.client(requestId())
    const front = await start({
      interceptors: [requestId()],
      behaviour: async (rpc) => {
        for (let message = await rpc.read(); message !== undefined; message = await rpc.read()) {
          await runRpc(inner, 'unary')
          await rpc.write(message)
        }
        rpc.end()
      },
    })
    await runRpc(front.client(), 'bidi', { requests: [{}, {}], metadata: metadataOf({ 'x-request-id': 'order-17' }) })
    expect(back.calls.map(({ metadata }) => metadata.get('x-request-id'))).toEqual([['order-17'], ['order-17']])
  })

  // reference: flaw 45
  it.each([
    ['too long', 'x'.repeat(129)],
    ['with a space', 'a b'],
    ['with quotes', '"a"'],
    ['with a brace', '{a}'],
    ['empty', ''],
  ])('an id %s is replaced', async (_what, id) => {
    const { seen, behaviour } = recorded()
    const server = await start({ interceptors: [requestId()], behaviour })
    await runRpc(server.client(), 'unary', { metadata: metadataOf({ 'x-request-id': id }) })
    expect(seen[0]?.id).toMatch(UUID)
    expect(seen[0]?.header).toEqual([seen[0]?.id])
  })

  // reference: flaw 45
  it('an id of 128 characters is not', async () => {
    const { seen, behaviour } = recorded()
    const server = await start({ interceptors: [requestId()], behaviour })
    await runRpc(server.client(), 'unary', { metadata: metadataOf({ 'x-request-id': 'x'.repeat(128) }) })
    expect(seen[0]?.id).toBe('x'.repeat(128))
  })

  // reference: flaw 45
  it('two ids are no id', async () => {
    const { seen, behaviour } = recorded()
    const server = await start({ interceptors: [requestId()], behaviour })
    const metadata = metadataOf({ 'x-request-id': 'one' })
    metadata.add('x-request-id', 'two')
    await runRpc(server.client(), 'unary', { metadata })
    expect(seen[0]?.id).toMatch(UUID)
    expect(seen[0]?.header).toEqual([seen[0]?.id])
  })

  it('takes no id from strangers, if told so', async () => {
    const { seen, behaviour } = recorded()
    const accept = (id: string) => id.startsWith('edge-')
    const server = await start({ interceptors: [requestId({ accept, header: 'X-Correlation-Id' })], behaviour })
    const client = server.client()
    await runRpc(client, 'unary', { metadata: metadataOf({ 'x-correlation-id': 'mine' }) })
    await runRpc(client, 'unary', { metadata: metadataOf({ 'x-correlation-id': 'edge-1' }) })
    expect(seen.map(({ id }) => id)).toEqual([expect.stringMatching(UUID), 'edge-1'])

    const closed = await start({ interceptors: [requestId({ accept: false })], behaviour })
    await runRpc(closed.client(), 'unary', { metadata: metadataOf({ 'x-request-id': 'mine' }) })
    expect(seen[2]?.id).toMatch(UUID)
  })

  it('a log of any interceptor and side has the id', async () => {
    const logger = new RecordingLogger()
    const server = await start({ interceptors: [requestId(), logging({ logger })] })
    await runRpc(server.client(requestId({ generate: () => 'order-17' }), logging({ logger })), 'unary')
    await logger.atLeast(2)
    expect(logger.records.map(({ fields }) => fields['request.id'])).toEqual(['order-17', 'order-17'])
  })
})

describe('requestId() on a client', () => {
  it.each(patterns)('sends a new id with a %s call outside of any request', async (pattern) => {
    const server = await start()
    const client = server.client(requestId())
    await runRpc(client, pattern)
    await runRpc(client, pattern)
    const ids = server.calls.map(({ metadata }) => metadata.get('x-request-id'))
    expect(ids).toEqual([[expect.stringMatching(UUID)], [expect.stringMatching(UUID)]])
    expect(ids[0]).not.toEqual(ids[1])
  })

  it('leaves an id of the application', async () => {
    const server = await start()
    const metadata = metadataOf({ 'x-request-id': 'mine' })
    await runRpc(server.client(requestId()), 'unary', { metadata })
    expect(server.calls[0]?.metadata.get('x-request-id')).toEqual(['mine'])
  })

  it('sends one id, even if the application set two', async () => {
    const server = await start()
    const metadata = metadataOf({ 'x-request-id': 'one' })
    metadata.add('x-request-id', 'two')
    await runRpc(server.client(requestId()), 'unary', { metadata })
    expect(server.calls[0]?.metadata.get('x-request-id')).toEqual([expect.stringMatching(UUID)])
  })

  it('does not touch the metadata object of the application', async () => {
    const server = await start()
    const metadata = metadataOf({})
    await runRpc(server.client(requestId()), 'unary', { metadata })
    expect(metadata.get('x-request-id')).toEqual([])
  })

  it('sends the same id with every attempt', async () => {
    const server = await start({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    const retry: Interceptor<ClientCall> = async (call, next) => {
      call.makeReplayable({ maxBytes: 1e6, maxMessages: 100 })
      await next()
      return next()
    }
    await runRpc(server.client(retry, requestId()), 'unary')
    const ids = server.calls.map(({ metadata }) => metadata.get('x-request-id')[0])
    expect(ids).toHaveLength(2)
    expect(ids[0]).toBe(ids[1])
  })
})

describe('a request id cannot hurt an RPC', () => {
  const explode = () => {
    throw new Error('no entropy')
  }

  it.each([
    ['a generator that throws', { generate: explode }],
    ['a generator of a text that is no id', { generate: () => 'a b' }],
    ['a generator that rejects', { generate: (async () => explode()) as unknown as () => string }],
    ['a generator of nothing', { generate: () => undefined as unknown as string }],
    ['a check that throws', { accept: explode }],
    ['a check that answers with a promise', { accept: (async () => true) as unknown as () => boolean }],
  ])('%s', async (_what, options) => {
    const told: string[] = []
    const interceptor = requestId({ ...options, onFailure: (_error, where) => void told.push(where) })
    const server = await start({ interceptors: [interceptor] })
    const rpc = await runRpc(server.client(), 'unary', {
      metadata: metadataOf('accept' in options ? { 'x-request-id': 'a' } : {}),
    })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.headers?.get('x-request-id')).toEqual([expect.stringMatching(UUID)])
    expect(interceptor.failures).toBe(1)
    expect(told).toEqual(Object.keys(options))
  })
})
