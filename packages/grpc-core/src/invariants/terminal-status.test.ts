import { status as Code } from '@grpc/grpc-js'
import {
  type ClientRpc,
  endWith,
  manual,
  metadataOf,
  patterns,
  type RpcSettings,
  settle,
  startRpc,
  startTestServer,
  type TestPattern,
  type TestServer,
  testService,
  unparsable,
  unserializable,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { awaiting, listening, type Observer, until } from '../../test/observing.ts'
import { headersAndTrailers, messageFrame, startRawPeer } from '../../test/raw-peer.ts'
import { type Interceptor, RpcError } from '../index.ts'

interface Ending {
  readonly name: string
  /** What the interceptors of each side must see; undefined where several codes are right, or no RPC at all. */
  readonly client: Code
  readonly server?: Code
  play(start: (settings?: RpcSettings) => ClientRpc, server: TestServer, pattern: TestPattern): Promise<ClientRpc>
}

const request = { text: 'a', n: 2 }
const whole: RpcSettings = { requests: [request] }

const endings: readonly Ending[] = [
  { name: 'success', client: Code.OK, server: Code.OK, play: (start) => start(whole).done },
  {
    name: 'an error of the handler',
    client: Code.NOT_FOUND,
    server: Code.NOT_FOUND,
    play(start, server) {
      const metadata = server.behave(
        endWith({ code: Code.NOT_FOUND, details: 'gone', metadata: metadataOf({ a: 'b' }) }),
      )
      return start({ ...whole, metadata }).done
    },
  },
  {
    name: 'a handler that throws',
    client: Code.INTERNAL,
    server: Code.INTERNAL,
    play(start, server) {
      const metadata = server.behave(() => {
        throw new Error('oops')
      })
      return start({ ...whole, metadata }).done
    },
  },
  {
    name: 'a cancel',
    client: Code.CANCELLED,
    server: Code.CANCELLED,
    async play(start, server) {
      const rpc = start({ ...whole, metadata: server.behave(manual) })
      await server.received(0)
      rpc.cancel()
      return await rpc.done
    },
  },
  {
    name: "the client's deadline",
    client: Code.DEADLINE_EXCEEDED,
    play: (start, server) =>
      start({ ...whole, metadata: server.behave(manual), options: { deadline: Date.now() + 60 } }).done,
  },
  {
    name: "the server's deadline",
    client: Code.DEADLINE_EXCEEDED,
    server: Code.DEADLINE_EXCEEDED,
    // Without a deadline of its own the client cannot be faster.
    play: (start, server) =>
      start({ ...whole, metadata: server.behave(manual, metadataOf({ 'grpc-timeout': '60m' })) }).done,
  },
  {
    name: 'a refusal by an inner interceptor of the server',
    client: Code.PERMISSION_DENIED,
    server: Code.PERMISSION_DENIED,
    play: (start) => start({ ...whole, metadata: metadataOf({ refuse: 'server' }) }).done,
  },
  {
    name: 'a refusal by an inner interceptor of the client',
    client: Code.PERMISSION_DENIED,
    play: (start) => start({ ...whole, metadata: metadataOf({ refuse: 'client' }) }).done,
  },
  {
    name: 'a lost connection',
    client: Code.UNAVAILABLE,
    server: Code.CANCELLED,
    async play(start, server) {
      const rpc = start({ ...whole, metadata: server.behave(manual) })
      await server.received(0)
      server.kill()
      return await rpc.done
    },
  },
  {
    name: 'a request too large',
    client: Code.RESOURCE_EXHAUSTED,
    server: Code.RESOURCE_EXHAUSTED,
    play: (start) => start({ requests: [{ data: 'x'.repeat(5000) }] }).done,
  },
  {
    name: 'a response too large',
    client: Code.RESOURCE_EXHAUSTED,
    play(start, server) {
      const metadata = server.behave(async (rpc) => {
        await rpc.readAll()
        await rpc.write({ data: 'x'.repeat(5000) })
        rpc.end()
      })
      return start({ ...whole, metadata }).done
    },
  },
  {
    name: 'a request that cannot be parsed',
    client: Code.INTERNAL,
    server: Code.INTERNAL,
    play: (start) => start({ requests: [unparsable] }).done,
  },
  {
    name: 'a request that cannot be serialized',
    client: Code.INTERNAL,
    play: (start) => start({ requests: [unserializable] }).done,
  },
  {
    name: 'a response that cannot be parsed',
    client: Code.INTERNAL,
    play(start, server) {
      const metadata = server.behave(async (rpc) => {
        await rpc.readAll()
        await rpc.write(unparsable)
        rpc.end()
      })
      return start({ ...whole, metadata }).done
    },
  },
  {
    name: 'a response that cannot be serialized',
    client: Code.INTERNAL,
    server: Code.INTERNAL,
    play(start, server) {
      const metadata = server.behave(async (rpc) => {
        await rpc.readAll()
        await rpc.write(unserializable)
        rpc.end()
      })
      return start({ ...whole, metadata }).done
    },
  },
]

describe('invariant 1: one terminal status reaches every interceptor and the application', () => {
  describe.each(endings)('$name', (ending) => {
    it.each(patterns)('%s', async (pattern) => {
      const onClient = [awaiting(), listening(), awaiting(), listening()]
      const onServer = [listening(), awaiting(), listening(), awaiting()]
      const refusing =
        (side: string): Interceptor =>
        (call, next) => {
          if (call.metadata.get('refuse')[0] === side) throw new RpcError(Code.PERMISSION_DENIED, 'not you')
          return next()
        }
      await using server = await startTestServer({
        interceptors: [...onServer.map(({ interceptor }) => interceptor), refusing('server')],
        serverOptions: { 'grpc.max_receive_message_length': 1000 },
      })
      const client = server.clientWith(
        { 'grpc.max_receive_message_length': 1000 },
        ...onClient.map(({ interceptor }) => interceptor),
        refusing('client'),
      )

      const rpc = await ending.play((settings) => startRpc(client, pattern, settings), server, pattern)
      const reached = (observers: Observer[]) =>
        observers.every(({ statuses, calls }) => statuses.length === calls.length)
      await until(() => reached(onServer) && reached(onClient), 'a status for every interceptor')
      const atTheEnd = rpc.events.slice()
      await settle(20)

      expect(rpc.status?.code).toBe(ending.client)
      expect(rpc.events.filter((event) => event === 'status' || event === 'callback').sort()).toEqual(
        pattern === 'unary' || pattern === 'clientStream' ? ['callback', 'status'] : ['status'],
      )
      expect(rpc.events, 'nothing after the end').toEqual(atTheEnd)
      for (const { codes, calls } of onClient) {
        expect(calls.length).toBe(1)
        expect(codes).toEqual([ending.client])
      }
      for (const { codes, calls } of onServer) {
        expect(calls.length).toBeLessThanOrEqual(1)
        expect(codes.length).toBe(calls.length)
        if (ending.server !== undefined) expect(codes).toEqual([ending.server])
      }
    })
  })

  it('a status is complete, whether an interceptor, the engine or grpc-js made it', async () => {
    const outer = awaiting()
    await using server = await startTestServer()
    const client = server.client(outer.interceptor, () => ({ code: Code.ABORTED }))
    await startRpc(client, 'unary', whole).done
    expect(outer.statuses[0]).toMatchObject({ code: Code.ABORTED, details: '', origin: 'local' })
    expect(outer.statuses[0]?.metadata?.getMap()).toEqual({})
  })

  it('one that an interceptor changed has no refusedBy, because the RPC was let through', async () => {
    const outer = awaiting()
    const mapping: Interceptor = async function mapping(_call, next) {
      await next()
      return { code: Code.NOT_FOUND, details: 'mapped' }
    }
    await using server = await startTestServer()
    await startRpc(server.client(outer.interceptor, mapping), 'unary', whole).done
    expect(outer.statuses[0]).toMatchObject({ code: Code.NOT_FOUND, origin: 'local' })
    expect(outer.statuses[0]?.refusedBy).toBeUndefined()
  })

  it('a unary response that is missing is UNIMPLEMENTED to interceptors and to the application', async () => {
    const outer = awaiting()
    await using server = await startTestServer({ stock: true, interceptors: [() => ({ code: Code.OK })] })
    const client = server.client(outer.interceptor)
    for (const pattern of ['unary', 'clientStream'] as const) {
      const rpc = await startRpc(client, pattern, whole).done
      expect(rpc.error?.code).toBe(Code.UNIMPLEMENTED)
    }
    expect(outer.codes).toEqual([Code.UNIMPLEMENTED, Code.UNIMPLEMENTED])
  })

  it.each(['unary', 'clientStream'] as const)(
    'where the peer says OK without a response, the status beside the error is its own: %s',
    async (pattern) => {
      const outer = awaiting()
      await using peer = await startRawPeer(headersAndTrailers({ 'grpc-status': '0' }))
      for (const client of [peer.stub(), peer.stub(outer.interceptor)]) {
        const rpc = await startRpc(client, pattern, whole).done
        expect([rpc.error?.code, rpc.status?.code]).toEqual([Code.UNIMPLEMENTED, Code.OK])
      }
      expect(outer.codes).toEqual([Code.UNIMPLEMENTED])
    },
  )

  it('a second response to a method that has one is UNIMPLEMENTED, as without interceptors', async () => {
    const outer = awaiting()
    const frame = messageFrame(testService.clientStream.responseSerialize({ text: 'r' }))
    await using peer = await startRawPeer((stream) => {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.write(Buffer.concat([frame, frame]))
      stream.resume()
    })
    for (const client of [peer.stub(), peer.stub(outer.interceptor)]) {
      const rpc = await startRpc(client, 'clientStream', { requests: [] }).done
      expect(rpc.status).toMatchObject({ code: Code.UNIMPLEMENTED, details: 'Too many responses received' })
      expect(rpc.messages).toEqual([])
    }
    expect(outer.codes).toEqual([Code.UNIMPLEMENTED])
  })
})
