import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import { metadataOf, patterns, runRpc, startRpc, startTestServer, type TestPattern } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Interceptor, Next, Status } from '../index.ts'

// No ContextVar in this file: a call must know its own work from another's without one.
const store = new AsyncLocalStorage<string>()
const nameOf = (call: Parameters<Interceptor>[0]): string => String(call.metadata.get('name')[0])

/** Lets one call in at a time. The call that ends resumes the next one, within its own work, as pools and batchers do. */
function pool(): Interceptor & { readonly waiting: (() => void)[] } {
  const waiting: (() => void)[] = []
  let busy = false
  const enter = async (next: Next): Promise<Status> => {
    const status = await next()
    const following = waiting.shift()
    if (following === undefined) busy = false
    else following()
    return status
  }
  const pooled: Interceptor = (_call, next) => {
    if (busy) return new Promise<Status>((resolve) => waiting.push(() => resolve(enter(next))))
    busy = true
    return enter(next)
  }
  return Object.assign(pooled, { waiting })
}

const entering: Interceptor = (call, next) => store.run(nameOf(call), next)

/** Enters its store only after some work of its own. */
const enteringLate: Interceptor = async (call, next) => {
  await Promise.resolve()
  await new Promise(setImmediate)
  return await store.run(nameOf(call), next)
}

const callOf = (pattern: TestPattern, name: string) => {
  const streams = pattern === 'clientStream' || pattern === 'bidi'
  return { requests: streams ? [{ n: 1 }, { n: 1 }] : [{ n: 1 }], metadata: metadataOf({ name }) }
}

describe('what is inside a late next() runs in its own call, whichever call resumes it', () => {
  describe.each([
    ['entered outside of the pool', (gate: Interceptor) => [entering, gate]],
    ['entered late, outside of the pool', (gate: Interceptor) => [enteringLate, gate]],
    ['entered inside of the pool', (gate: Interceptor) => [gate, entering]],
    ['entered late, inside of the pool', (gate: Interceptor) => [gate, enteringLate]],
  ] as const)('a store %s', (_where, around) => {
    it.each(
      patterns.flatMap((pattern) => [
        ['a stock server', true, pattern] as const,
        ['a server of ours', false, pattern] as const,
      ]),
    )('on %s (stock: %s): %s', async (_kind, stock, pattern) => {
      const gate = pool()
      const seen: string[] = []
      const note = (call: Parameters<Interceptor>[0], where: string): void => {
        seen.push(`${where} of ${nameOf(call)} in ${store.getStore()}`)
      }
      const inside: Interceptor = async (call, next) => {
        note(call, 'before')
        const status = await next()
        note(call, 'after')
        return status
      }
      await using server = await startTestServer({
        stock,
        interceptors: [...around(gate), inside],
        behaviour: async (rpc) => {
          const name = String(rpc.metadata.get('name')[0])
          seen.push(`handler of ${name} in ${store.getStore()}`)
          await rpc.readAll()
          while (name === 'A' && gate.waiting.length < 2) await new Promise(setImmediate)
          seen.push(`later of ${name} in ${store.getStore()}`)
          await rpc.write({ text: name })
          rpc.end()
        },
      })
      const client = server.client()
      const names = ['A', 'B', 'C']
      const done = await Promise.all(names.map((name) => startRpc(client, pattern, callOf(pattern, name)).done))
      expect(done.map((rpc) => rpc.status?.code)).toEqual([Code.OK, Code.OK, Code.OK])
      await Promise.all(server.calls.map((rpc) => rpc.closed))
      const expected = names.flatMap((name) =>
        ['before', 'handler', 'later', 'after'].map((where) => `${where} of ${name} in ${name}`),
      )
      expect(seen.sort()).toEqual(expected.sort())
    })
  })

  it.each(patterns)('on a client the store of the caller, and what is sent from it: %s', async (pattern) => {
    const gate = pool()
    const wrong: string[] = []
    const signing: Interceptor = (call, next) => {
      call.metadata.set('user', String(store.getStore()))
      return next()
    }
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        await rpc.readAll()
        if (rpc.metadata.get('name')[0] === 'A') {
          while (gate.waiting.length < 2) await new Promise(setImmediate)
        }
        await rpc.write({})
        rpc.end()
      },
    })
    const client = server.client(gate, signing)
    const names = ['A', 'B', 'C']
    const calls = names.map((name) =>
      store.run(name, () => {
        const rpc = startRpc(client, pattern, callOf(pattern, name))
        for (const event of ['metadata', 'status']) {
          const emitter: NodeJS.EventEmitter = rpc.call
          emitter.on(event, () => {
            if (store.getStore() !== name) wrong.push(`${event} of ${name} in ${store.getStore()}`)
          })
        }
        return rpc.done
      }),
    )
    await Promise.all(calls)
    const sent = server.calls.map((rpc) => [rpc.metadata.get('name')[0], rpc.metadata.get('user')[0]])
    expect(sent.sort()).toEqual(names.map((name) => [name, name]))
    expect(wrong).toEqual([])
  })

  it('also when the call that resumes it has no interceptor at all', async () => {
    const held: (() => void)[] = []
    const seen: unknown[] = []
    const holding: Interceptor = (call, next) =>
      call.method.pattern === 'unary' ? new Promise((resolve) => held.push(() => resolve(next()))) : next()
    await using server = await startTestServer({
      interceptors: [entering, holding],
      behaviour: (rpc) => {
        if (rpc.pattern === 'unary') seen.push(store.getStore())
        else store.run('foreign', () => held.shift()?.())
        rpc.end()
      },
    })
    const client = server.client()
    const waiting = startRpc(client, 'unary', callOf('unary', 'A')).done
    while (held.length === 0) await new Promise(setImmediate)
    await runRpc(client, 'bidi', callOf('bidi', 'B'))
    await waiting
    expect(seen).toEqual(['A'])
  })

  it('when a timer that calls share resumes it', async () => {
    const held: (() => void)[] = []
    const timer = store.run('of the timer', () => setInterval(() => held.shift()?.(), 1))
    const seen: unknown[] = []
    try {
      await using server = await startTestServer({
        interceptors: [entering, (_call, next) => new Promise((resolve) => held.push(() => resolve(next())))],
        behaviour: (rpc) => {
          seen.push(store.getStore())
          rpc.end()
        },
      })
      const client = server.client()
      await Promise.all(['A', 'B'].map((name) => runRpc(client, 'unary', callOf('unary', name))))
    } finally {
      clearInterval(timer)
    }
    expect(seen.sort()).toEqual(['A', 'B'])
  })
})
