import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  Gate,
  manual,
  patterns,
  runRpc,
  settle,
  standstill,
  startRpc,
  startTestServer,
  TestClient,
  type TestMessage,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { inFlight } from '../../test/in-flight.ts'
import { until } from '../../test/observing.ts'
import type { ClientCall, Interceptor, Next, Status } from '../index.ts'

const PIECE = 'x'.repeat(32 * 1024)
const PIECES = 60

const passThrough: Interceptor = (_call, next) => next()
const tapping: Interceptor = async (call, next) => {
  call.onRequest((message) => ({ ...(message as object) }))
  call.onResponse((message) => ({ ...(message as object) }))
  return await next()
}
const replayable = (call: ClientCall, next: Next): Promise<Status> => {
  call.makeReplayable({ maxBytes: 100_000, maxMessages: 1000 })
  return next()
}

const stacks = [
  ['nothing', []],
  ['eight that pass through', Array.from({ length: 8 }, () => passThrough)],
  ['three that tap', [tapping, tapping, tapping]],
] as const

describe('invariant 7: backpressure holds end to end', () => {
  it.each(['serverStream', 'bidi'] as const)('a slow reader stops the server: %s', async (pattern) => {
    const ahead: { [name: string]: number; nothing?: number } = {}
    for (const [name, interceptors] of stacks) {
      let written = 0
      const behaviour: Behaviour = async (rpc) => {
        for (let n = 0; n < PIECES && !rpc.isClosed; n++, written++) await rpc.write({ n, data: PIECE })
        rpc.end()
      }
      await using server = await startTestServer({ interceptors, behaviour })
      const rpc = startRpc(server.client(...interceptors), pattern, { requests: [{}] })
      await rpc.messageSeen
      rpc.pause()
      ahead[name] = await standstill(() => written)
      rpc.resume()
      await rpc.done
      expect(rpc.messages.map(({ n }) => n)).toEqual(Array.from({ length: PIECES }, (_, n) => n))
    }
    const bare = Number(ahead.nothing)
    expect(bare).toBeLessThan(PIECES)
    for (const amount of Object.values(ahead)) expect(amount).toBeLessThanOrEqual(bare + 3)
  })

  it.each(['clientStream', 'bidi'] as const)('a slow server stops the writer, replay or not: %s', async (pattern) => {
    const ahead: { [name: string]: number; nothing?: number } = {}
    for (const [name, interceptors] of [...stacks, ['a replayable call', [replayable]]] as const) {
      let written = 0
      await using server = await startTestServer({ behaviour: manual })
      const rpc = startRpc(server.client(...interceptors), pattern)
      const writing = (async () => {
        for (let n = 0; n < PIECES; n++, written++) await rpc.write({ n, data: PIECE })
        rpc.end()
      })()
      const handler = await server.received(0)
      ahead[name] = await standstill(() => written)
      expect((await handler.readAll()).map(({ n }) => n)).toEqual(Array.from({ length: PIECES }, (_, n) => n))
      await writing
      handler.end()
      await rpc.done
    }
    const bare = Number(ahead.nothing)
    expect(bare).toBeLessThan(PIECES)
    for (const amount of Object.values(ahead)) expect(amount).toBeLessThanOrEqual(bare + 3)
  })

  it.each(['clientStream', 'bidi'] as const)(
    'while an interceptor has not let the call through, the first write waits: %s',
    async (pattern) => {
      const token = new Gate()
      const fetching: Interceptor = async (_call, next) => {
        await token.opened
        return await next()
      }
      await using server = await startTestServer()
      const rpc = startRpc(server.client(fetching), pattern)
      let written = 0
      for (let n = 0; n < 5; n++) void rpc.write({ n }).then(() => written++)
      rpc.end()
      await settle(20)
      expect(written).toBe(0)
      token.open()
      await rpc.done
      await until(() => written === 5)
      expect(server.calls[0]?.requests).toEqual([0, 1, 2, 3, 4].map((n) => ({ n })))
    },
  )

  it.each(['clientStream', 'bidi'] as const)(
    'one outgoing message at a time, on a cold channel too: %s',
    async (pattern) => {
      const wire = inFlight()
      await using server = await startTestServer()
      const client = server.channel(passThrough, tapping).client(TestClient)
      const requests: TestMessage[] = Array.from({ length: 30 }, (_, n) => ({ n }))
      await runRpc(client, pattern, { requests, options: { interceptors: [wire.interceptor] } })
      expect(wire.most()).toBe(1)
      expect(server.calls[0]?.requests).toEqual(requests)
    },
  )

  it.each(['serverStream', 'bidi'] as const)(
    'respond() on a server resolves no faster than the client reads: %s',
    async (pattern) => {
      let answered = 0
      const answering: Interceptor = async (call) => {
        for (let n = 0; n < PIECES; n++, answered++) await call.respond({ n, data: PIECE })
        return { code: Code.OK }
      }
      await using server = await startTestServer({ interceptors: [answering] })
      const rpc = startRpc(server.client(), pattern, { requests: [{}] })
      await rpc.messageSeen
      rpc.pause()
      expect(await standstill(() => answered)).toBeLessThan(PIECES)
      rpc.resume()
      await rpc.done
      expect(rpc.messages.length).toBe(PIECES)
      expect(rpc.status?.code).toBe(Code.OK)
    },
  )

  it.each(['serverStream', 'bidi'] as const)(
    'respond() on a client resolves no faster than the application reads: %s',
    async (pattern) => {
      let answered = 0
      const answering: Interceptor = async (call) => {
        for (let n = 0; n < PIECES; n++, answered++) await call.respond({ n })
        return { code: Code.OK }
      }
      await using server = await startTestServer()
      const rpc = startRpc(server.client(answering), pattern, { reading: false })
      // A stream that is not read buffers its high-water mark and no more.
      expect(await standstill(() => answered)).toBeLessThanOrEqual(20)
      rpc.read()
      await rpc.done
      expect(rpc.messages.map(({ n }) => n)).toEqual(Array.from({ length: PIECES }, (_, n) => n))
      expect(rpc.status?.code).toBe(Code.OK)
      expect(server.calls).toEqual([])
    },
  )

  it.each(patterns)('a respond() whose message is never read is released by the cancel: %s', async (pattern) => {
    const done = new Gate()
    const answering: Interceptor = async (call) => {
      if (call.method.responseStream) for (let n = 0; n < PIECES; n++) await call.respond({ n, data: PIECE })
      done.open()
      return { code: Code.OK }
    }
    await using server = await startTestServer({ interceptors: [answering] })
    const rpc = startRpc(server.client(), pattern, { requests: [{}], reading: false })
    if (pattern === 'serverStream' || pattern === 'bidi') {
      await rpc.headersSeen
      rpc.cancel()
    }
    await rpc.done
    await done.opened
  })

  it.each(['clientStream', 'bidi'] as const)(
    'writes after the end do not hang the writer for good: %s',
    async (pattern) => {
      const refusing: Interceptor = () => ({ code: Code.ABORTED })
      await using server = await startTestServer()
      const rpc = startRpc(server.client(refusing), pattern)
      await rpc.done
      await rpc.write({ n: 1 })
      await rpc.write({ n: 2 })
      expect(rpc.status?.code).toBe(Code.ABORTED)
    },
  )
})
