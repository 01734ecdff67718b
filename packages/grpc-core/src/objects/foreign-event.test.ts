import { AsyncLocalStorage } from 'node:async_hooks'
import {
  metadataOf,
  patterns,
  runRpc,
  type ServerRpc,
  startRpc,
  startTestServer,
  type TestPattern,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import {
  type ClientInterceptorLike,
  ContextVar,
  type Interceptor,
  propagate,
  type ServerInterceptor,
  wrapHandler,
} from '../index.ts'

const store = new AsyncLocalStorage<string>()
const variable = new ContextVar<string>('who')
const here = (): string => `${store.getStore()}/${variable.get('unset')}`
const callOf = (pattern: TestPattern, name: string) => ({
  requests: pattern === 'clientStream' || pattern === 'bidi' ? [{ n: 1 }, { n: 1 }] : [{ n: 1 }],
  metadata: metadataOf({ name }),
})
const nameOf = (rpc: ServerRpc): string => String(rpc.metadata.get('name')[0])

/** Holds calls until another call's event lets them go. */
class Held {
  readonly waiting: (() => void)[] = []

  hold<T>(work: () => T): Promise<Awaited<T>> {
    return new Promise((resolve, reject) => {
      this.waiting.push(() =>
        Promise.resolve()
          .then(work)
          .then(resolve as never, reject),
      )
    })
  }

  /** As another call's event: its context is not that of the calls that wait. */
  release(): void {
    for (const go of this.waiting.splice(0)) store.run('of another', go)
  }
}

type Behavior = (input: unknown, context: unknown) => unknown

const entering: Interceptor = (call, next) => {
  const name = String(call.metadata.get('name')[0])
  variable.set(name)
  return store.run(name, next)
}

describe('a continuation that another call resumes goes on in its own call', () => {
  const kinds: [string, (held: Held) => ServerInterceptor][] = [
    [
      'its continuation',
      (held) => ({ interceptService: async (next, details) => await held.hold(() => next(details)) }),
    ],
    [
      'the handler it found',
      (held) => ({
        interceptService: async (next, details) => {
          const late =
            (behavior: Behavior): Behavior =>
            (input, context) =>
              held.hold(() => behavior(input, context))
          return wrapHandler(await next(details), late as Parameters<typeof wrapHandler>[1])
        },
      }),
    ],
  ]
  it.each(kinds.flatMap(([what, make]) => patterns.map((pattern) => [what, pattern, make] as const)))(
    'on a server, late with %s: %s',
    async (_what, pattern, make) => {
      const held = new Held()
      const seen: string[] = []
      await using server = await startTestServer({
        interceptors: [entering, make(held)],
        behaviour: async (rpc) => {
          seen.push(`${nameOf(rpc)} in ${here()}`)
          await rpc.readAll()
          await rpc.write({})
          seen.push(`${nameOf(rpc)} in ${here()}`)
          rpc.end()
        },
      })
      const client = server.client()
      const calls = ['A', 'B'].map((name) => startRpc(client, pattern, callOf(pattern, name)).done)
      await until(() => held.waiting.length === 2)
      held.release()
      for (const rpc of await Promise.all(calls)) expect(rpc.status?.code).toBe(0)
      expect(new Set(seen)).toEqual(new Set(['A in A/A', 'B in B/B']))
    },
  )

  it.each(patterns)('on a client: %s', async (pattern) => {
    const held = new Held()
    const late = (next: (...args: never[]) => unknown, details: unknown, input: unknown) =>
      held.hold(() => (next as (...args: unknown[]) => unknown)(details, input))
    const object = {
      interceptUnaryUnary: late,
      interceptUnaryStream: late,
      interceptStreamUnary: late,
      interceptStreamStream: late,
    } as unknown as ClientInterceptorLike
    const seen: string[] = []
    const inside: Interceptor = async (call, next) => {
      seen.push(`${call.metadata.get('name')[0]} in ${here()}`)
      const status = await next()
      seen.push(`${call.metadata.get('name')[0]} in ${here()}`)
      return status
    }
    await using server = await startTestServer()
    const client = server.client(entering, object, inside)
    const calls = ['A', 'B'].map((name) => startRpc(client, pattern, callOf(pattern, name)).done)
    await until(() => held.waiting.length === 2)
    held.release()
    for (const rpc of await Promise.all(calls)) expect(rpc.status?.code).toBe(0)
    expect(new Set(seen)).toEqual(new Set(['A in A/A', 'B in B/B']))
  })
})

describe('propagate() in a handler that another call resumed', () => {
  it.each(patterns)('keeps to the deadline and the cancellation of its own call: %s', async (pattern) => {
    const waiting: (() => void)[] = []
    const pool: Interceptor = (call, next) =>
      call.metadata.get('name')[0] === 'B' ? new Promise((resolve) => waiting.push(() => resolve(next()))) : next()
    await using backend = await startTestServer()
    const onward = backend.client(propagate())
    const results: (number | undefined)[] = []
    let handlerOfA: ServerRpc | undefined
    await using server = await startTestServer({
      interceptors: [pool],
      behaviour: async (rpc) => {
        if (nameOf(rpc) === 'A') {
          handlerOfA = rpc
          await until(() => waiting.length === 1)
          waiting[0]?.()
          return
        }
        await until(() => handlerOfA?.cancelled === true)
        results.push((await runRpc(onward, 'unary')).status?.code)
        rpc.end()
      },
    })
    const client = server.client()
    const b = startRpc(client, pattern, callOf(pattern, 'B'))
    const a = startRpc(client, pattern, callOf(pattern, 'A'))
    await until(() => handlerOfA !== undefined && waiting.length === 1)
    await until(() => server.calls.length === 2)
    a.cancel()
    await a.done
    b.end()
    await b.done
    expect(results).toEqual([0])
    expect(backend.calls[0]?.deadline).toBe(Number.POSITIVE_INFINITY)
  })
})
