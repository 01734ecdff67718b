import { status as Code, credentials, Server, ServerCredentials, type ServerInterceptor } from '@grpc/grpc-js'
import {
  type ClientRpc,
  metadataOf,
  patterns,
  startRpc,
  startTestServer,
  TestClient,
  type TestPattern,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { awaiting } from '../../test/observing.ts'
import { createServer, type Interceptor, type Next, RpcError, type ServerCall, serverInterceptors } from '../index.ts'

const status = { code: Code.PERMISSION_DENIED, details: 'not you' }
const refusals: readonly [name: string, interceptor: Interceptor][] = [
  ['at once', () => ({ ...status, metadata: metadataOf({ why: 'because' }) })],
  [
    'after waiting',
    async () => {
      await new Promise((resolve) => setImmediate(resolve))
      return { ...status, metadata: metadataOf({ why: 'because' }) }
    },
  ],
  [
    'by throwing',
    () => {
      throw new RpcError(status.code, status.details, { metadata: metadataOf({ why: 'because' }) })
    },
  ],
]

// A client of a single-request method always sends it; the others may send nothing, all, or wait for a word first.
const habits = {
  'sends nothing and waits': () => undefined,
  'sends everything at once': (rpc: ClientRpc) => {
    if ('write' in rpc.call) for (let n = 0; n < 10; n++) rpc.call.write({ n })
    rpc.end()
  },
  'sends one and waits': (rpc: ClientRpc) => {
    if ('write' in rpc.call) rpc.call.write({ n: 0 })
  },
  'half-closes without a message': (rpc: ClientRpc) => rpc.end(),
} as const

/** Counts, nearest to the wire, what the server asks for and says. */
function atTheWire(): { interceptor: ServerInterceptor; reads: () => number; headers: () => number } {
  let reads = 0
  let headers = 0
  return {
    reads: () => reads,
    headers: () => headers,
    interceptor: (_method, call) => {
      const read = call.startRead
      call.startRead = () => {
        reads++
        read.call(call)
      }
      const send = call.sendMetadata
      call.sendMetadata = (metadata) => {
        headers++
        send.call(call, metadata)
      }
      return call as never
    },
  }
}

async function listen(server: Server): Promise<TestClient> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return new TestClient(`127.0.0.1:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
}

// reference: sentence 24
describe('invariant 4: a refusal happens at metadata time, is trailers-only, reads nothing, and is the same everywhere', () => {
  describe.each(refusals)('refused %s', (_name, refusing) => {
    describe.each(Object.entries(habits))('a client that %s', (_habit, act) => {
      it('sees the same, whatever it calls', async () => {
        const outer = awaiting()
        const wire = atTheWire()
        let handled = 0
        const server = new Server({
          interceptors: [wire.interceptor, ...serverInterceptors(outer.interceptor, refusing)],
        })
        const handler = (): void => void handled++
        server.addService(testService, Object.fromEntries(patterns.map((pattern) => [pattern, handler])))
        const client = await listen(server)
        try {
          const seen = await Promise.all(
            patterns.map(async (pattern: TestPattern) => {
              const rpc = startRpc(client, pattern)
              act(rpc)
              await rpc.done
              const { code, details, metadata } = rpc.status ?? {}
              return { code, details, trailers: metadata?.toJSON(), headers: rpc.headers, messages: rpc.messages }
            }),
          )
          for (const one of seen) {
            expect(one).toMatchObject({ ...status, trailers: { why: ['because'] }, headers: undefined, messages: [] })
            expect({ ...one, trailers: { ...one.trailers, date: 0 } }).toEqual({
              ...seen[0],
              trailers: { ...seen[0]?.trailers, date: 0 },
            })
          }
          expect(handled).toBe(0)
          expect(wire.reads()).toBe(0)
          expect(wire.headers()).toBe(0)
          expect(outer.codes).toEqual(patterns.map(() => status.code))
        } finally {
          client.close()
          server.forceShutdown()
        }
      })
    })
  })

  it.each(patterns)('what outer interceptors add for the headers goes with the trailers: %s', async (pattern) => {
    const stamping = (call: ServerCall, next: Next) => {
      call.responseMetadata.set('request-id', '7')
      call.trailers.set('cost', '1')
      return next()
    }
    await using server = await startTestServer({ interceptors: [stamping, () => status] })
    const rpc = await startRpc(server.client(), pattern, { requests: [{}] }).done
    expect(rpc.headers).toBeUndefined()
    expect(rpc.status?.metadata.get('request-id')).toEqual(['7'])
    expect(rpc.status?.metadata.get('cost')).toEqual(['1'])
  })

  it('an RPC to an unregistered method can be refused like any other', async () => {
    const refusing: Interceptor = (call) => (call.method.registered ? { code: Code.ABORTED } : status)
    const server = createServer({ interceptors: [refusing] })
    const client = await listen(server)
    try {
      const rpcs = await Promise.all(patterns.map((pattern) => startRpc(client, pattern, { requests: [{}] }).done))
      for (const rpc of rpcs) expect(rpc.status).toMatchObject(status)
    } finally {
      client.close()
      server.forceShutdown()
    }
  })

  it.each(patterns)('an interceptor may answer in place of the handler: %s', async (pattern) => {
    const answering: Interceptor = async (call) => {
      await call.respond({ text: 'from the cache' })
      if (call.method.responseStream) await call.respond({ text: 'and more' })
      return { code: Code.OK, metadata: metadataOf({ source: 'cache' }) }
    }
    await using server = await startTestServer({ interceptors: [answering] })
    const rpc = await startRpc(server.client(), pattern).done
    expect(rpc.status).toMatchObject({ code: Code.OK })
    expect(rpc.status?.metadata.get('source')).toEqual(['cache'])
    const streams = pattern === 'serverStream' || pattern === 'bidi'
    expect(rpc.messages.map(({ text }) => text)).toEqual(streams ? ['from the cache', 'and more'] : ['from the cache'])
    expect(server.calls).toEqual([])
  })
})
