import {
  status as Code,
  type Interceptor as GrpcInterceptor,
  InterceptingCall,
  InterceptorConfigurationError,
  Metadata,
} from '@grpc/grpc-js'
import {
  endWith,
  interceptorSuite,
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { type Call, type ClientCall, clientInterceptors, type Interceptor, type Next, type Status } from '../index.ts'

const passThrough: Interceptor = (_call, next) => next()
const awaiting: Interceptor = async (_call, next) => await next()
const asking: Interceptor = (call, next) => {
  void [call.metadata, call.deadline, call.signal, call.context, call.peer(), call.method, call.side]
  call.onStatus(() => undefined)
  return next()
}
const spreading: Interceptor = async (_call, next) => {
  const status = await next()
  return status
}

interceptorSuite('invariant 9: a stack of eight that pass through', () => Array.from({ length: 8 }, () => passThrough))

interceptorSuite('invariant 9: a mixed stack that looks at everything', () => [
  asking,
  awaiting,
  passThrough,
  (call: Call, next: Next) => {
    call.onRequest(() => undefined)
    call.onResponse(() => undefined)
    call.onResponseMetadata(() => undefined)
    return next()
  },
  spreading,
])

describe('invariant 9: a pass-through stack changes nothing an application can observe', () => {
  it.each(patterns)('a closed channel throws out of the method itself: %s', async (pattern) => {
    await using server = await startTestServer()
    for (const interceptors of [[], [passThrough, asking], [awaiting]]) {
      const client = server.client(...interceptors)
      await runRpc(client, pattern)
      client.close()
      expect(() => startRpc(client, pattern)).toThrow('Channel has been shut down')
    }
  })

  it.each(patterns)('after an asynchronous start the same is UNAVAILABLE: %s', async (pattern) => {
    await using server = await startTestServer()
    const client = server.client(async (_call: ClientCall, next: Next): Promise<Status> => {
      await Promise.resolve()
      return await next()
    })
    client.close()
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.UNAVAILABLE)
  })

  it('both interceptors and interceptor_providers are a configuration error, as ever', async () => {
    await using server = await startTestServer()
    const client = server.client(passThrough)
    const options = {
      interceptors: clientInterceptors(passThrough),
      interceptor_providers: [() => passThrough as never],
    }
    expect(() => startRpc(client, 'unary', { options })).toThrow(InterceptorConfigurationError)
  })

  it.each(patterns)('errors have the own keys grpc-js gives them, and its stack: %s', async (pattern) => {
    await using server = await startTestServer({
      interceptors: [passThrough, awaiting],
      behaviour: endWith({ code: Code.NOT_FOUND, details: 'gone', metadata: metadataOf({ a: 'b' }) }),
    })
    for (const interceptors of [[], [passThrough], [awaiting], [passThrough, awaiting, asking]]) {
      const { error, status } = await runRpc(server.client(...interceptors), pattern)
      expect(Reflect.ownKeys(error ?? {}).sort()).toEqual(['code', 'details', 'message', 'metadata', 'stack'])
      expect(Reflect.ownKeys(status ?? {}).sort()).toEqual(['code', 'details', 'metadata'])
      expect(error?.message).toBe('5 NOT_FOUND: gone')
      expect(error?.stack).toContain('for call at')
      expect(error?.stack).toContain('client-rpc.ts')
    }
  })

  it('what the application throws from its callback surfaces as its own, not as a rejection', async () => {
    await using server = await startTestServer()
    const thrown: [unknown, string][] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException')
    const caught = new Promise<void>((resolve) => {
      process.once('uncaughtException', (error, origin) => {
        thrown.push([error, origin])
        resolve()
      })
    })
    const mine = new Error('of the application')
    try {
      server.client(awaiting).unary({}, () => {
        throw mine
      })
      await caught
    } finally {
      for (const listener of listeners) process.on('uncaughtException', listener)
    }
    expect(thrown).toEqual([[mine, 'uncaughtException']])
  })

  it.each(patterns)('getPeer() and getAuthContext() before, during and after: %s', async (pattern) => {
    await using server = await startTestServer()
    const rpc = startRpc(server.client(passThrough), pattern, { requests: [{ n: 1 }] })
    expect(rpc.call.getPeer()).toMatch(/127\.0\.0\.1/)
    expect(rpc.call.getAuthContext()).toBeNull()
    await rpc.done
    expect(rpc.peer).toBe(server.address)
    expect(rpc.call.getPeer()).toBe(server.address)
    expect(rpc.call.getAuthContext()).toEqual({})
  })

  it.each(patterns)("grpc-js's own interceptors work outside, inside and in between: %s", async (pattern) => {
    const log: string[] = []
    const native =
      (name: string): GrpcInterceptor =>
      (options, nextCall) =>
        new InterceptingCall(nextCall(options), {
          start(metadata, _listener, next) {
            log.push(`${name} start`)
            metadata.set(name, '1')
            next(metadata, {
              onReceiveStatus(status, nextStatus) {
                log.push(`${name} status`)
                nextStatus(status)
              },
            })
          },
          sendMessage(message, next) {
            log.push(`${name} send`)
            next(message)
          },
        })
    const ours =
      (name: string): Interceptor =>
      async (call, next) => {
        log.push(`${name} start`)
        call.metadata.set(name, '1')
        const status = await next()
        log.push(`${name} status`)
        return status
      }
    await using server = await startTestServer()
    const options = {
      interceptors: [native('a'), ...clientInterceptors(ours('b')), native('c'), ...clientInterceptors(ours('d'))],
    }
    const rpc = await runRpc(server.client(), pattern, { requests: [{ n: 1, text: 'x' }], options })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(log.filter((line) => line.endsWith('start'))).toEqual(['a start', 'b start', 'c start', 'd start'])
    expect(log.filter((line) => line.endsWith('status'))).toEqual(['d status', 'c status', 'b status', 'a status'])
    expect(server.calls[0]?.metadata.getMap()).toMatchObject({ a: '1', b: '1', c: '1', d: '1' })
    expect(server.calls[0]?.requests).toEqual([{ n: 1, text: 'x' }])
  })

  it('a stub keeps its other options: a call invocation transformer runs, deadlines and metadata arrive', async () => {
    await using server = await startTestServer()
    let transformed = 0
    const client = server.channel(passThrough).client(TestClient, {
      callInvocationTransformer: (properties) => {
        transformed++
        const metadata = new Metadata()
        metadata.merge(properties.metadata)
        metadata.set('transformed', '1')
        return { ...properties, metadata }
      },
    })
    await runRpc(client, 'unary', { options: { deadline: Date.now() + 60_000 } })
    expect(transformed).toBe(1)
    expect(server.calls[0]?.metadata.get('transformed')).toEqual(['1'])
    expect(server.calls[0]?.deadline).toBeLessThan(Date.now() + 61_000)
  })
})
