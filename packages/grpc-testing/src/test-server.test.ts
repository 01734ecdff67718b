import { connect } from 'node:http2'
import { status as Code, credentials, Metadata } from '@grpc/grpc-js'
import { afterAll, describe, expect, it } from 'vitest'
import {
  endWith,
  failing,
  Gate,
  heldBy,
  manual,
  metadataOf,
  patterns,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  TestClient,
  testService,
} from './index.ts'

const server = await startTestServer()
const client = server.client()
afterAll(() => server.stop())

const collectGarbage = globalThis.gc as () => void

describe('a handler that grpc-js starts after the deadline', () => {
  it.each(['unary', 'serverStream'] as const)('has an RPC that is over: %s', async (pattern) => {
    await using stock = await startTestServer({ stock: true, behaviour: manual })
    const session = connect(`http://${stock.address}`)
    try {
      const stream = session.request(
        {
          ':method': 'POST',
          ':path': testService[pattern].path,
          'content-type': 'application/grpc',
          'grpc-timeout': '20m',
        },
        { endStream: false },
      )
      const answered = new Promise((resolve) => stream.on('response', resolve))
      stream.write(Buffer.from([0, 0, 0, 0, 2, 0x7b, 0x7d])) // {}
      expect(await answered).toMatchObject({ 'grpc-status': String(Code.DEADLINE_EXCEEDED) })
      expect(stock.calls).toEqual([])
      stream.end()
      const rpc = await stock.received(0)
      expect(rpc).toMatchObject({ isClosed: true, cancelled: true })
      await rpc.closed
      expect(await rpc.readAll()).toEqual([{}])
      expect(rpc.events).toEqual(['closed', 'request'])
    } finally {
      session.destroy()
    }
  })
})

describe('a behaviour that writes', () => {
  it('keeps nothing of a message that has left while its RPC goes on', async () => {
    const MANY = 3000
    const written = new Gate()
    const over = new Gate()
    const heap: number[] = []
    const writing = async (rpc: ServerRpc): Promise<void> => {
      const message = { text: 'x' }
      const write = async (count: number): Promise<number> => {
        for (let n = 0; n < count; n++) await rpc.write(message)
        await settle()
        collectGarbage()
        return process.memoryUsage().heapUsed
      }
      for (let round = 0; round < 5; round++) heap.push(await write(MANY))
      written.open()
      await over.opened
      rpc.end()
    }
    const stream = client.serverStream({}, server.behave(writing)).resume()
    await written.opened
    over.open()
    await new Promise((resolve) => stream.on('end', resolve))
    // What messages leave behind grows in each round; what the process compiles meanwhile does not.
    const growths = heap.slice(1).map((after, round) => (after - (heap[round] ?? 0)) / MANY)
    expect(Math.min(...growths)).toBeLessThan(100) // bytes
  })

  it('is not held up by a client that has gone', async () => {
    const gone = new Gate()
    const rpc = startRpc(client, 'serverStream', {
      requests: [{}],
      reading: false,
      metadata: server.behave(async (handler) => {
        const large = { text: 'x'.repeat(1_000_000) }
        await Promise.all(Array.from({ length: 5 }, () => handler.write(large)))
        await handler.write(large)
        gone.open()
      }),
    })
    await rpc.headersSeen
    rpc.cancel()
    await gone.opened
    expect(gone.isOpen).toBe(true)
  })
})

describe('the test server', () => {
  it.each([
    ['unary', [{ text: 'a' }], [{ text: 'a' }]],
    ['clientStream', [{ text: 'a' }, { text: 'b' }], [{ n: 2, text: 'ab' }]],
    [
      'serverStream',
      [{ text: 'a', n: 2 }],
      [
        { text: 'a', n: 0 },
        { text: 'a', n: 1 },
      ],
    ],
    ['bidi', [{ text: 'a' }, { text: 'b' }], [{ text: 'a' }, { text: 'b' }]],
  ] as const)('echoes: %s', async (pattern, requests, responses) => {
    const rpc = await runRpc(client, pattern, { requests })
    expect(rpc.messages).toEqual(responses)
    expect(rpc.status).toMatchObject({ code: Code.OK })
    expect(rpc.error).toBeUndefined()
    expect(rpc.events).toEqual(
      {
        unary: ['metadata', 'callback', 'status'],
        clientStream: ['metadata', 'callback', 'status'],
        serverStream: ['metadata', 'message', 'message', 'status', 'end'],
        bidi: ['metadata', 'message', 'message', 'status', 'end'],
      }[pattern],
    )
  })

  it.each(patterns)('fails as it is told, per RPC: %s', async (pattern) => {
    const behaviour = endWith({
      code: Code.NOT_FOUND,
      details: 'no such thing',
      metadata: metadataOf({ why: 'because' }),
    })
    const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
    expect(rpc.status).toMatchObject({ code: Code.NOT_FOUND, details: 'no such thing' })
    expect(rpc.error?.metadata.get('why')).toEqual(['because'])
    expect(rpc.messages).toEqual([])
  })

  it.each(patterns)('holds an RPC at a gate: %s', async (pattern) => {
    const gate = new Gate()
    const rpc = startRpc(client, pattern, { requests: [{ n: 1 }], metadata: server.behave(heldBy(gate)) })
    await server.received(server.calls.length)
    expect(rpc.events).toEqual([])
    gate.open()
    expect((await rpc.done).status).toMatchObject({ code: Code.OK })
  })

  it.each(patterns)('lets the test play the handler: %s', async (pattern) => {
    const rpc = startRpc(client, pattern, { requests: [{ text: 'x' }], metadata: server.behave(manual) })
    const handler = await server.received(server.calls.length)
    handler.sendHeaders({ early: 'yes' })
    await rpc.headersSeen
    expect(rpc.headers?.get('early')).toEqual(['yes'])
    expect(rpc.peer).toBe(server.address)
    expect(await handler.read()).toEqual({ text: 'x' })
    expect(await handler.read()).toBeUndefined()
    await handler.write({ text: 'y' })
    handler.end({ metadata: metadataOf({ late: 'yes' }) })
    await rpc.done
    expect(rpc.messages).toEqual([{ text: 'y' }])
    expect(rpc.status?.metadata.get('late')).toEqual(['yes'])
    await handler.closed
    expect(handler.cancelled).toBe(false)
    expect(handler.events).toEqual(['request', 'half-close', 'closed'])
  })

  it.each(patterns)('notices a cancel: %s', async (pattern) => {
    const rpc = startRpc(client, pattern, { requests: [{}], metadata: server.behave(manual) })
    const handler = await server.received(server.calls.length)
    rpc.cancel()
    await handler.closed
    expect(handler.cancelled).toBe(true)
    expect((await rpc.done).status).toMatchObject({ code: Code.CANCELLED })
    handler.end({ code: Code.ABORTED })
    await handler.write({})
    expect(await handler.read()).toBeTypeOf(pattern === 'unary' || pattern === 'serverStream' ? 'object' : 'undefined')
  })

  it.each([true, false])('runs interceptors, stock: %s', async (stock) => {
    const refusing = failing(1, { code: Code.RESOURCE_EXHAUSTED, metadata: metadataOf({ wait: '1' }) })
    await using own = await startTestServer({ stock, interceptors: [refusing] })
    const first = await runRpc(own.client(), 'bidi')
    expect(first.status).toMatchObject({ code: Code.RESOURCE_EXHAUSTED })
    expect(first.status?.metadata.get('wait')).toEqual(['1'])
    const second = await runRpc(own.client(), 'bidi')
    expect(second.status).toMatchObject({ code: Code.OK })
    expect([refusing.calls, refusing.failed]).toEqual([2, 1])
  })

  it('breaks connections when killed', async () => {
    await using own = await startTestServer({ behaviour: manual })
    const rpc = startRpc(own.client(), 'bidi')
    await own.received(0)
    own.kill()
    expect((await rpc.done).status?.code).toBe(Code.UNAVAILABLE)
  })

  it.each(['interceptor', 'behavior', 'interceptors'])(
    'refuses a wrong option "%s", which would leave it without interceptors',
    async (name) => {
      await expect(startTestServer({ [name]: undefined })).rejects.toThrow(
        `startTestServer: ${name === 'interceptors' ? '' : 'unknown '}option "${name}"`,
      )
    },
  )

  it('says when a behaviour failed', async () => {
    const own = await startTestServer({ behaviour: () => Promise.reject(new Error('oops')) })
    expect((await runRpc(own.client(), 'unary')).status?.code).toBe(Code.UNKNOWN)
    await expect(own.stop()).rejects.toThrow('oops')
  })

  it('is reachable by a stub of its class', async () => {
    const stub = new TestClient(server.address, credentials.createInsecure())
    await new Promise<void>((resolve) => stub.unary({ text: 'plain' }, new Metadata(), () => resolve()))
    stub.close()
  })
})
