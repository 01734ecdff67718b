import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  endWith,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  type TestServer,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../../test/observing.ts'
import { startRawPeer, trailersOnly } from '../../../test/raw-peer.ts'
import {
  abortHandler,
  type Interceptor,
  RpcError,
  type ServerInterceptor,
  type ServerInterceptorLike,
  select,
} from '../../index.ts'

const passThrough: Interceptor = (_call, next) => next()
const refusing: Interceptor = () => ({ code: Code.UNAUTHENTICATED, details: 'no token' })
const refusingLater: Interceptor = async () => {
  await new Promise((resolve) => setImmediate(resolve))
  throw new RpcError(Code.UNAUTHENTICATED, 'no token')
}
const aborting: ServerInterceptor = { interceptService: () => abortHandler(Code.UNAUTHENTICATED, 'no token') }
const failing: Behaviour = endWith({ code: Code.UNAUTHENTICATED, details: 'no token' })
const answering: Behaviour = async (rpc) => {
  rpc.sendHeaders({ a: 'b' })
  await rpc.write({ text: 'enough' })
  rpc.end(rpc.pattern === 'bidi' ? {} : { code: Code.UNAUTHENTICATED, details: 'no token' })
}

/** What may end an RPC before its requests have. */
const endings: [string, readonly ServerInterceptorLike[], Behaviour][] = [
  ['an interceptor that refuses', [refusing], echo],
  ['an interceptor that refuses later', [passThrough, refusingLater], echo],
  ['an interceptor object', [passThrough, aborting], echo],
  ['a handler', [passThrough], failing],
  ['a handler, with no interceptor for it', [select(() => false, passThrough)], failing],
  ['a handler that has answered', [passThrough], answering],
]

/** Opens a stream of bare HTTP/2 that half-closes never, or when told. */
async function openStream(session: ClientHttp2Session, path: string, body?: Buffer) {
  const stream = session.request(
    { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' },
    { endStream: false },
  )
  const seen = { status: undefined as string | undefined, closed: false }
  stream.on('response', (headers) => {
    seen.status ??= headers['grpc-status'] as string | undefined
  })
  stream.on('trailers', (headers) => {
    seen.status = headers['grpc-status'] as string
  })
  stream.on('error', () => undefined)
  stream.on('close', () => {
    seen.closed = true
  })
  stream.resume()
  if (body !== undefined) stream.end(body)
  return { stream, seen }
}

async function withSession<T>(server: TestServer, run: (session: ClientHttp2Session) => Promise<T>): Promise<T> {
  const session = connect(`http://${server.address}`)
  try {
    return await run(session)
  } finally {
    session.destroy()
  }
}

for (const stock of [false, true]) {
  describe(`an RPC that ends before its client has half-closed${stock ? ', stock server' : ''}`, () => {
    for (const [name, interceptors, behaviour] of endings) {
      it(`is reset with NO_ERROR after its status: ${name}`, async () => {
        await using server = await startTestServer({ stock, interceptors, behaviour })
        await withSession(server, async (session) => {
          for (const pattern of ['clientStream', 'bidi'] as const) {
            const { stream, seen } = await openStream(session, testService[pattern].path)
            await until(() => seen.closed, 'the reset')
            expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
            expect(seen.status).toBe(String(behaviour === answering && pattern === 'bidi' ? 0 : Code.UNAUTHENTICATED))
          }
        })
      })

      it.each(patterns)(`has its own status for a client that goes on sending: ${name}, %s`, async (pattern) => {
        await using server = await startTestServer({ stock, interceptors, behaviour })
        const client = server.client()
        for (let n = 0; n < 20; n++) {
          const rpc = startRpc(client, pattern)
          let writing = true
          const data = 'x'.repeat(50_000)
          const send = async (): Promise<void> => {
            while (writing) {
              await Promise.race([rpc.write({ data }).catch(() => undefined), rpc.done])
              await new Promise((resolve) => setImmediate(resolve))
            }
          }
          const sending = pattern === 'clientStream' || pattern === 'bidi' ? send() : Promise.resolve()
          await rpc.done
          writing = false
          await sending
          const ok = behaviour === answering && pattern === 'bidi'
          expect(rpc.status?.code).toBe(ok ? Code.OK : Code.UNAUTHENTICATED)
          if (!ok) expect(rpc.status?.details).toBe('no token')
          if (ok) expect(rpc.messages).toEqual([{ text: 'enough' }])
        }
      })
    }

    it('gives what the server wrote before, in whole, to a client that reads late', async () => {
      const count = 200
      const behaviour: Behaviour = async (rpc) => {
        for (let n = 0; n < count; n++) void rpc.write({ n, data: 'x'.repeat(5000) })
        rpc.end({ code: Code.ABORTED, details: 'enough' })
      }
      await using server = await startTestServer({ stock, interceptors: [passThrough], behaviour })
      await withSession(server, async (session) => {
        const stream = session.request(
          { ':method': 'POST', ':path': testService.bidi.path, 'content-type': 'application/grpc', te: 'trailers' },
          { endStream: false },
        )
        stream.on('error', () => undefined)
        let [bytes, status] = [0, '']
        stream.on('trailers', (headers) => {
          status = String(headers['grpc-status'])
        })
        await new Promise((resolve) => stream.once('response', resolve))
        for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
        stream.on('data', (chunk: Buffer) => {
          bytes += chunk.length
        })
        await new Promise((resolve) => stream.once('close', resolve))
        expect(bytes).toBeGreaterThan(count * 5000)
        expect(status).toBe(String(Code.ABORTED))
        expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR)
      })
    })
  })
}

describe('an RPC whose client has half-closed', () => {
  it.each([true, false])('is not reset, whichever side ends it: stock server %s', async (stock) => {
    const resets = await watchResets()
    const body = Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d])
    for (const [, interceptors, behaviour] of endings) {
      await using server = await startTestServer({ stock, interceptors, behaviour })
      await withSession(server, async (session) => {
        for (const pattern of patterns) {
          const { seen } = await openStream(session, testService[pattern].path, body)
          await until(() => seen.closed)
          expect(seen.status).toBeDefined()
        }
      })
    }
    expect(resets.stop()).toBe(0)
  })

  it('and that succeeded costs nothing more', async () => {
    const resets = await watchResets()
    await using server = await startTestServer({ interceptors: [passThrough] })
    const client = server.client()
    for (const pattern of patterns) {
      expect((await runRpc(client, pattern, { requests: [{ n: 2 }] })).status?.code).toBe(Code.OK)
    }
    expect(resets.stop()).toBe(0)
  })
})

/** Counts the streams that servers of this process reset. */
async function watchResets(): Promise<{ stop(): number }> {
  let found: object | undefined
  await using peer = await startRawPeer((stream) => {
    found = Object.getPrototypeOf(stream)
    trailersOnly({ 'grpc-status': '5' })(stream)
  })
  await runRpc(peer.stub(), 'unary')
  // The prototype of the streams of servers inherits `close` from one that it has in common with those of clients.
  const prototype = found as { close?: (...given: unknown[]) => void }
  const inherited = prototype.close
  let count = 0
  prototype.close = function counted(this: unknown, ...given: unknown[]) {
    count++
    inherited?.apply(this, given)
  }
  return {
    stop: () => {
      delete prototype.close
      return count
    },
  }
}
