import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import {
  type ClientRpc,
  manual,
  metadataOf,
  patterns,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  type TestPattern,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Interceptor } from '../index.ts'

const store = new AsyncLocalStorage<string>()
const streams = (pattern: TestPattern): boolean => pattern === 'serverStream' || pattern === 'bidi'

/** Enters a store around the rest, named by the RPC. */
const entering: Interceptor = (call, next) => store.run(String(call.metadata.get('name')[0]), next)

/** Everything of a handler that may run in a context of its own. */
async function everywhere(rpc: ServerRpc, note: (where: string) => void): Promise<void> {
  const emitter: NodeJS.EventEmitter = rpc.call
  for (const event of ['data', 'end', 'finish', 'close', 'drain']) {
    if ('on' in rpc.call && ('read' in rpc.call || event !== 'data')) emitter.on(event, () => note(event))
  }
  emitter.on('cancelled', () => note('cancelled'))
  note('handler')
  process.nextTick(() => note('nextTick'))
  setImmediate(() => note('immediate'))
  setTimeout(() => note('timer'), 1)
  queueMicrotask(() => note('microtask'))
  await settle(2)
  note('after await')
}

describe('invariant 5: on the server, what an interceptor enters around next() is what the handler sees', () => {
  it.each(patterns)('handler, stream events, write callbacks, timers, one RPC beside another: %s', async (pattern) => {
    const seen = new Map<string, Set<string>>()
    const wrong: string[] = []
    await using server = await startTestServer({ interceptors: [entering], behaviour: manual })
    const client = server.client()
    server.behaviour = async (rpc) => {
      const name = String(rpc.metadata.get('name')[0])
      const note = (where: string): void => {
        const current = store.getStore()
        if (current !== name) wrong.push(`${where} of ${name} ran in ${current}`)
        else seen.get(name)?.add(where)
      }
      seen.set(name, new Set())
      const spread = everywhere(rpc, note)
      if (pattern === 'clientStream' || pattern === 'bidi') {
        const stream: NodeJS.EventEmitter = rpc.call
        await new Promise((resolve) => stream.once('end', resolve))
      }
      for (let n = 0; n < (streams(pattern) ? 3 : 1); n++) {
        await rpc.write({ n }, () => note('written'))
      }
      await spread
      await new Promise((resolve) => setTimeout(resolve, 3))
      rpc.end()
      note('ended')
    }
    const names = ['A', 'B', 'C']
    const rpcs = names.map((name) => {
      const requests = pattern === 'clientStream' || pattern === 'bidi' ? [{ n: 1 }, { n: 2 }] : [{ n: 1 }]
      return startRpc(client, pattern, { requests, metadata: metadataOf({ name }) }).done
    })
    for (const rpc of await Promise.all(rpcs)) expect(rpc.status?.code).toBe(Code.OK)
    await Promise.all(server.calls.map((rpc) => rpc.closed))
    await settle()
    expect(wrong).toEqual([])
    const always = ['handler', 'nextTick', 'microtask', 'immediate', 'timer', 'after await', 'ended', 'cancelled']
    const reading = pattern === 'clientStream' || pattern === 'bidi' ? ['data', 'end'] : []
    const writing = streams(pattern) ? ['written', 'finish', 'close'] : []
    for (const name of names)
      expect([...(seen.get(name) ?? [])]).toEqual(expect.arrayContaining([...always, ...reading, ...writing]))
  })

  it.each(patterns)('also after a cancel: %s', async (pattern) => {
    const seen: unknown[] = []
    await using server = await startTestServer({
      interceptors: [entering],
      behaviour: (rpc) => {
        const emitter: NodeJS.EventEmitter = rpc.call
        emitter.on('cancelled', () => seen.push(store.getStore()))
      },
    })
    const rpc = startRpc(server.client(), pattern, { requests: [{}], metadata: metadataOf({ name: 'A' }) })
    const handler = await server.received(0)
    rpc.cancel()
    await handler.closed
    expect(seen).toEqual(['A'])
  })

  it('the innermost store wins, and each layer keeps its own after next()', async () => {
    const after: unknown[] = []
    const entered =
      (name: string): Interceptor =>
      async (_call, next) =>
        await store.run(name, async () => {
          const status = await next()
          after.push(store.getStore())
          return status
        })
    let inHandler: unknown
    await using server = await startTestServer({
      interceptors: [entered('outer'), entered('inner')],
      behaviour: (rpc) => {
        inHandler = store.getStore()
        rpc.end()
      },
    })
    await runRpc(server.client(), 'unary')
    expect(inHandler).toBe('inner')
    expect(after).toEqual(['inner', 'outer'])
  })

  it('without any interceptor entering one, handlers see none, not that of another call', async () => {
    const seen: unknown[] = []
    await using server = await startTestServer({
      interceptors: [(_call, next) => next()],
      behaviour: (rpc) => {
        seen.push(store.getStore())
        rpc.end()
      },
    })
    const client = server.client()
    // The connection is made by, and in the context of, the first call.
    await store.run('caller', () => runRpc(client, 'unary'))
    await runRpc(client, 'bidi')
    expect(seen).toEqual([undefined, undefined])
  })
})

describe("invariant 5: on the client, the application's callbacks run in the caller's context", () => {
  const passThrough: Interceptor = (_call, next) => next()
  const busy: Interceptor = async (call, next) => {
    await settle(1)
    call.onResponse(() => undefined)
    return await store.run('of an interceptor', next)
  }

  it.each([
    ['that passes through', passThrough],
    ['that works and enters a store', busy],
  ] as const)(
    'three concurrent calls on a cold channel, each pattern, an interceptor %s',
    async (_name, interceptor) => {
      await using server = await startTestServer()
      const client = server.client(interceptor)
      const wrong: string[] = []
      const start = (name: string, pattern: TestPattern): ClientRpc =>
        store.run(name, () => {
          const single = pattern === 'unary' || pattern === 'serverStream'
          const rpc = startRpc(client, pattern, single ? { requests: [{ n: 2 }] } : {})
          const note = (event: string): void => {
            const current = store.getStore()
            if (current !== name) wrong.push(`${event} of ${name} ran in ${current}`)
          }
          if ('write' in rpc.call) {
            for (let n = 0; n < 3; n++) rpc.call.write({ n: 2 }, () => note('written'))
            rpc.end()
          }
          const emitter: NodeJS.EventEmitter = rpc.call
          for (const event of ['metadata', 'data', 'end', 'status', 'error', 'close']) {
            if (event !== 'data' || 'read' in rpc.call) emitter.on(event, () => note(event))
          }
          return rpc
        })
      const rpcs = patterns.flatMap((pattern) => ['A', 'B', 'C'].map((name) => start(`${name} ${pattern}`, pattern)))
      for (const rpc of await Promise.all(rpcs.map((one) => one.done))) expect(rpc.status?.code).toBe(Code.OK)
      // And warm, after the connection was made in the context of another call.
      await Promise.all(patterns.map((pattern) => start(`warm ${pattern}`, pattern).done))
      expect(wrong).toEqual([])
    },
  )

  it('so do the callbacks of calls that an interceptor refuses, and of cancelled ones', async () => {
    await using server = await startTestServer({ behaviour: manual })
    const refusing: Interceptor = async (call, next) =>
      call.method.pattern === 'unary' ? { code: Code.ABORTED } : await next()
    const client = server.client(refusing)
    const seen: unknown[] = []
    await store.run('A', async () => {
      const refused = startRpc(client, 'unary')
      refused.call.on('status', () => seen.push(store.getStore()))
      const cancelled = startRpc(client, 'bidi')
      cancelled.call.on('status', () => seen.push(store.getStore()))
      await server.received(0)
      store.run('another', () => cancelled.cancel())
      await Promise.all([refused.done, cancelled.done])
    })
    expect(seen).toEqual(['A', 'A'])
  })
})
