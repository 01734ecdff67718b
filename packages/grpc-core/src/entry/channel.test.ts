import {
  status as Code,
  connectivityState,
  credentials,
  Channel as GrpcChannel,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
} from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { clientInterceptors, createChannel, type Interceptor, interceptChannel } from '../index.ts'

function logging() {
  const log: string[] = []
  const named =
    (name: string): Interceptor =>
    (call, next) => {
      log.push(name)
      call.metadata.add('seen', name)
      return next()
    }
  return { log, named }
}

describe('interceptChannel', () => {
  // reference: symbol 28
  it('without interceptors returns the very same channel', async () => {
    await using server = await startTestServer()
    const channel = server.channel()
    expect(interceptChannel(channel)).toBe(channel)
    const stock = new GrpcChannel(server.address, credentials.createInsecure(), {})
    expect(interceptChannel(stock)).toBe(stock)
    stock.close()
  })

  // reference: symbol 28
  it.each(patterns)('of an intercepted channel puts the last wrap outermost: %s', async (pattern) => {
    const { log, named } = logging()
    await using server = await startTestServer()
    const inner = server.channel(named('c'), named('d'))
    const outer = interceptChannel(interceptChannel(inner, named('b')), named('a'))
    await runRpc(outer.client(TestClient), pattern)
    expect(log).toEqual(['a', 'b', 'c', 'd'])
    log.length = 0
    await runRpc(inner.client(TestClient), pattern)
    expect(log).toEqual(['c', 'd'])
  })

  it('wraps a stock channel too, and the result serves as the options of a stub', async () => {
    const { log, named } = logging()
    await using server = await startTestServer()
    const stock = new GrpcChannel(server.address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    const channel = interceptChannel(stock, named('a'))
    if (!('client' in channel)) throw new Error('not wrapped')
    const stub = new TestClient('', credentials.createInsecure(), channel)
    expect((await runRpc(stub, 'unary')).status?.code).toBe(Code.OK)
    expect((await runRpc(channel.client(TestClient), 'bidi')).status?.code).toBe(Code.OK)
    expect(log).toEqual(['a', 'a'])
    channel.close()
  })

  // reference: symbol 27
  it('is a grpc-js channel: target, state, channelz, close', async () => {
    await using server = await startTestServer()
    const channel = server.channel((_call, next) => next())
    expect(channel.getTarget()).toContain(server.address)
    expect(channel.getConnectivityState(false)).toBe(connectivityState.IDLE)
    const client = channel.client(TestClient)
    await new Promise<void>((resolve, reject) => {
      client.waitForReady(Date.now() + 5000, (error) => (error ? reject(error) : resolve()))
    })
    expect(channel.getConnectivityState(false)).toBe(connectivityState.READY)
    expect(channel.getChannelzRef().kind).toBe('channel')
    client.close()
    expect(channel.getConnectivityState(false)).toBe(connectivityState.SHUTDOWN)
  })
})

describe('channel.client', () => {
  // reference: symbol 29
  it('stubs share the connection', async () => {
    await using server = await startTestServer()
    const channel = server.channel()
    const peers = new Set<string>()
    server.behaviour = async (rpc) => {
      peers.add(rpc.call.getPeer())
      rpc.end()
    }
    for (let n = 0; n < 3; n++) await runRpc(channel.client(TestClient), 'unary')
    expect(peers.size).toBe(1)
  })

  it.each(patterns)('interceptors given per call run inside the channel’s: %s', async (pattern) => {
    const { log, named } = logging()
    const native: GrpcInterceptor = (options, nextCall) => {
      log.push('native')
      return new InterceptingCall(nextCall(options))
    }
    await using server = await startTestServer()
    const client = server.channel(named('a'), named('b')).client(TestClient)
    const interceptors = clientInterceptors(named('c'), named('d'))
    await runRpc(client, pattern, { options: { interceptors } })
    await runRpc(client, pattern, { options: { interceptors: [native, ...interceptors] } })
    await runRpc(client, pattern, { options: { interceptors: [...interceptors, native] } })
    await runRpc(client, pattern, { options: { interceptors: [] } })
    await runRpc(client, pattern)
    expect(log).toEqual([...'abcd', ...'ab', 'native', ...'cd', ...'abcd', 'native', ...'ab', ...'ab'])
    expect(server.calls[0]?.metadata.get('seen')[0]).toBe('a, b, c, d')
  })

  it('on a stock stub grpc-js replaces the list', async () => {
    const { log, named } = logging()
    await using server = await startTestServer()
    const client = server.client(named('a'))
    await runRpc(client, 'unary', { options: { interceptors: clientInterceptors(named('b')) } })
    expect(log).toEqual(['b'])
  })

  it('refuses what is no stub class', async () => {
    await using server = await startTestServer()
    expect(() => server.channel().client({} as never)).toThrow('channel.client')
    expect(() => server.channel().client(undefined as never)).toThrow(TypeError)
  })
})

describe('what interceptors know of the channel', () => {
  it('target, encryption and compression', async () => {
    const seen: unknown[] = []
    await using server = await startTestServer()
    const looking: Interceptor = (call, next) => {
      if ('target' in call) seen.push(call.target, (call as { secure?: unknown }).secure)
      return next()
    }
    await runRpc(server.channel(looking).client(TestClient), 'unary')
    await runRpc(server.client(looking), 'unary')
    expect(seen).toEqual([expect.stringContaining(server.address), false, undefined, undefined])
    const secure = createChannel('127.0.0.1:1', credentials.createSsl())
    secure.close()
  })

  // reference: symbol 23
  it('the algorithm a channel has can be named, and switched off per call; another cannot be had', async () => {
    const refusals: unknown[] = []
    await using server = await startTestServer()
    const channel = server.channelWith({ 'grpc.default_compression_algorithm': 2 }, (call, next) => {
      call.compression = 'gzip'
      call.compression = 'identity'
      try {
        call.compression = 'deflate'
      } catch (error) {
        refusals.push(error)
      }
      return next()
    })
    for (const pattern of patterns) {
      expect((await runRpc(channel.client(TestClient), pattern)).status?.code).toBe(Code.OK)
    }
    expect(refusals.length).toBe(4)
    expect(refusals[0]).toBeInstanceOf(TypeError)
  })

  // reference: symbol 22
  it.each(patterns)('waitForReady waits for a server that is not there yet: %s', async (pattern) => {
    await using server = await startTestServer()
    // No server ever listens on port 1; the port of a stopped server could be given to another test.
    const dead = new TestClient('127.0.0.1:1', credentials.createInsecure(), {
      interceptors: clientInterceptors((call, next) => {
        call.waitForReady = call.metadata.get('wait').length > 0
        return next()
      }),
    })
    try {
      expect((await runRpc(dead, pattern)).status?.code).toBe(Code.UNAVAILABLE)
      const metadata = server.behave(() => undefined)
      metadata.set('wait', '1')
      const patient = await runRpc(dead, pattern, { metadata, options: { deadline: Date.now() + 60 } })
      expect(patient.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    } finally {
      dead.close()
    }
  })
})
