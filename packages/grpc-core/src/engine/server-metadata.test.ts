import { status as Code, Metadata } from '@grpc/grpc-js'
import { type Behaviour, metadataOf, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Interceptor, Next, ServerCall, Status } from '../index.ts'

const answering: Behaviour = async (rpc) => {
  rpc.sendHeaders({ handler: 'headers', both: 'of the handler' })
  await rpc.readAll()
  await rpc.write({ text: 'x' })
  rpc.end({ metadata: metadataOf({ handler: 'trailers', both: 'of the handler' }) })
}
const silent: Behaviour = async (rpc) => {
  await rpc.readAll()
  await rpc.write({ text: 'x' })
  rpc.end()
}
const refusing: Behaviour = (rpc) => rpc.end({ code: Code.ABORTED, metadata: metadataOf({ handler: 'trailers' }) })

const adding = (call: ServerCall, next: Next): Promise<Status> => {
  call.responseMetadata.set('both', 'of the interceptor')
  call.responseMetadata.set('header-bin', Buffer.from([1, 2, 3]))
  call.trailers.set('both', 'of the interceptor')
  call.trailers.set('trailer', 'yes')
  return next()
}

describe.each([true, false])('response metadata and trailers of interceptors, stock server: %s', (stock) => {
  it.each(patterns)('are merged over the handler’s: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors: [adding], behaviour: answering })
    const rpc = await runRpc(server.client(), pattern)
    expect(rpc.headers?.getMap()).toMatchObject({ handler: 'headers', both: 'of the interceptor' })
    expect(rpc.headers?.get('both')).toEqual(['of the interceptor'])
    expect(rpc.headers?.get('header-bin')).toEqual([Buffer.from([1, 2, 3])])
    expect(rpc.status?.metadata.getMap()).toMatchObject({
      handler: 'trailers',
      both: 'of the interceptor',
      trailer: 'yes',
    })
    expect(rpc.status?.metadata.get('header-bin')).toEqual([])
  })

  it.each(patterns)('go out where the handler sends no headers of its own: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors: [adding], behaviour: silent })
    const rpc = await runRpc(server.client(), pattern)
    expect(rpc.headers?.get('both')).toEqual(['of the interceptor'])
    expect(rpc.status?.metadata.get('trailer')).toEqual(['yes'])
  })

  it.each(patterns)('go with the trailers of a response that is trailers-only: %s', async (pattern) => {
    await using server = await startTestServer({ stock, interceptors: [adding], behaviour: refusing })
    const rpc = await runRpc(server.client(), pattern)
    expect(rpc.headers).toBeUndefined()
    expect(rpc.error?.metadata.getMap()).toMatchObject({ handler: 'trailers', trailer: 'yes' })
    expect(rpc.error?.metadata.get('header-bin')).toEqual([Buffer.from([1, 2, 3])])
  })

  it.each(patterns)(
    'what is set after the headers were sent goes nowhere, trailers go out till the end: %s',
    async (pattern) => {
      const late: Interceptor = async (call, next) => {
        const status = await next()
        ;(call as ServerCall).responseMetadata.set('late', 'header')
        ;(call as ServerCall).trailers.set('late', 'trailer')
        return status
      }
      await using server = await startTestServer({ stock, interceptors: [late], behaviour: answering })
      const rpc = await runRpc(server.client(), pattern)
      expect(rpc.headers?.get('late')).toEqual([])
      expect(rpc.status?.metadata.get('late')).toEqual(['trailer'])
    },
  )

  it.each(patterns)('a tap sees the headers once, merged, and may replace them: %s', async (pattern) => {
    const seen: object[] = []
    const replacing: Interceptor = (call, next) => {
      call.onResponseMetadata((metadata) => {
        seen.push(metadata.getMap())
        return metadataOf({ replaced: 'yes' })
      })
      return next()
    }
    await using server = await startTestServer({ stock, interceptors: [replacing, adding], behaviour: answering })
    const rpc = await runRpc(server.client(), pattern)
    expect(seen).toMatchObject([{ handler: 'headers', both: 'of the interceptor' }])
    expect(rpc.headers?.get('replaced')).toEqual(['yes'])
    expect(rpc.headers?.get('handler')).toEqual([])
  })

  // reference: deviation 24
  it('the status may be changed on its way out, code, details and trailers', async () => {
    const mapping: Interceptor = async (_call, next) => {
      const status = await next()
      return status.code === Code.OK ? status : { ...status, code: Code.NOT_FOUND, details: 'mapped' }
    }
    await using server = await startTestServer({ stock, interceptors: [mapping], behaviour: refusing })
    const rpc = await runRpc(server.client(), 'bidi')
    expect(rpc.error).toMatchObject({ code: Code.NOT_FOUND, details: 'mapped' })
    expect(rpc.error?.metadata.get('handler')).toEqual(['trailers'])
  })
})

describe('a server call', () => {
  // reference: flaw 13
  it.each(patterns)('tells method, peer, host, deadline, metadata and encryption: %s', async (pattern) => {
    const seen: ServerCall[] = []
    const looking = (call: ServerCall, next: Next): Promise<Status> => {
      seen.push(call)
      return next()
    }
    await using server = await startTestServer({ interceptors: [looking] })
    const deadline = Date.now() + 60_000
    await runRpc(server.client(), pattern, { metadata: metadataOf({ a: 'b' }), options: { deadline } })
    const call = seen[0] as ServerCall
    expect(call.side).toBe('server')
    expect(call.method).toMatchObject({ pattern, service: 'grpcstack.testing.Test', registered: true })
    expect(Object.isFrozen(call.method)).toBe(true)
    expect(call.peer()).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(call.host).toBe(server.address)
    expect(Math.abs(call.deadline - deadline)).toBeLessThan(5000)
    expect(call.metadata.get('a')).toEqual(['b'])
    expect(call.authContext).toEqual({})
    expect(call.signal.aborted).toBe(false)
  })

  it('its peer is still known when the connection is gone', async () => {
    let after: string | undefined
    const looking: Interceptor = async (call, next) => {
      const status = await next()
      after = call.peer()
      return status
    }
    await using server = await startTestServer({ interceptors: [looking], behaviour: () => undefined })
    const rpc = runRpc(server.client(), 'unary')
    await server.received(0)
    server.kill()
    await rpc
    await server.calls[0]?.closed
    expect(after).toMatch(/^127\.0\.0\.1:\d+$/)
  })

  // reference: sentence 22
  it.each(patterns)('metadata changed or assigned before next() is what the handler gets: %s', async (pattern) => {
    const changing: Interceptor = (call, next) => {
      call.metadata.set('added', '1')
      return next()
    }
    const replacing: Interceptor = (call, next) => {
      const metadata = new Metadata()
      metadata.merge(call.metadata)
      metadata.set('assigned', '1')
      call.metadata = metadata
      return next()
    }
    await using server = await startTestServer({ interceptors: [changing, replacing] })
    await runRpc(server.client(), pattern)
    expect(server.calls[0]?.metadata.getMap()).toMatchObject({ added: '1', assigned: '1' })
  })

  // reference: sentence 2
  it.each(patterns)('requests and responses may be replaced by taps, outermost first and last: %s', async (pattern) => {
    const marking =
      (mark: string): Interceptor =>
      (call, next) => {
        const add = (message: unknown): object => ({
          ...(message as object),
          text: `${(message as { text?: string }).text ?? ''}${mark}`,
        })
        call.onRequest(add)
        call.onResponse(add)
        return next()
      }
    await using server = await startTestServer({ interceptors: [marking('a'), marking('b')], behaviour: silent })
    const rpc = await runRpc(server.client(), pattern, { requests: [{ text: '' }] })
    expect(server.calls[0]?.requests).toEqual([{ text: 'ab' }])
    expect(rpc.messages).toEqual([{ text: 'xba' }])
  })

  it('a unary RPC is answered once', async () => {
    const problems: unknown[] = []
    const twice: Interceptor = async (call) => {
      await call.respond({ text: 'one' })
      await call.respond({ text: 'two' }).catch((error: unknown) => problems.push(error))
      return { code: Code.OK }
    }
    await using server = await startTestServer({ interceptors: [twice] })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.messages).toEqual([{ text: 'one' }])
    expect(problems).toEqual([expect.objectContaining({ message: expect.stringContaining('already answered') })])
  })
})
