import { createHook } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  manual,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
  type TestMessage,
  testService,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { inFlight } from '../../test/in-flight.ts'
import { clientInterceptors, type Interceptor, select, stacks } from '../index.ts'

const passThrough: Interceptor = (_call, next) => next()
const eight = Array.from({ length: 8 }, () => passThrough)

/** Promises made while so many messages go there and back. */
async function promisesFor(messages: number, interceptors: readonly Interceptor[]): Promise<number> {
  const behaviour: Behaviour = (rpc) => {
    // The handler's own way of working must not be counted: callbacks only.
    const stream = rpc.call as unknown as NodeJS.ReadWriteStream
    stream.on('data', (message) => stream.write(message))
    stream.on('end', () => stream.end())
  }
  await using server = await startTestServer({ interceptors, behaviour })
  const client = server.client(...interceptors)
  await runRpc(client, 'bidi', { requests: [{}] })
  let promises = 0
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') promises++
    },
  })
  hook.enable()
  const requests: TestMessage[] = Array.from({ length: messages }, (_, n) => ({ n }))
  const rpc = await runRpc(client, 'bidi', { requests })
  hook.disable()
  expect(rpc.messages.length).toBe(messages)
  return promises
}

describe('invariant 11: work per call is O(interceptors), work per message is O(taps registered)', () => {
  it('a stack without taps makes no promise per message', async () => {
    const [few, many] = [20, 220]
    const bare = (await promisesFor(many, [])) - (await promisesFor(few, []))
    const stacked = (await promisesFor(many, eight)) - (await promisesFor(few, eight))
    // Bare grpc-js makes several per message; two hundred more messages may differ by how they were batched.
    expect(bare).toBeGreaterThan(many - few)
    expect(stacked).toBeLessThan(bare + (many - few) / 4)
  })

  // reference: deviation 27
  it('eight pass-through interceptors make one promise per call between them', async () => {
    const count = async (interceptors: readonly Interceptor[]): Promise<number> => {
      await using server = await startTestServer()
      const client = server.client(...interceptors)
      await runRpc(client, 'unary')
      let promises = 0
      const hook = createHook({
        init(_id, type) {
          if (type === 'PROMISE') promises++
        },
      })
      hook.enable()
      for (let n = 0; n < 50; n++) await runRpc(client, 'unary')
      hook.disable()
      return promises / 50
    }
    const bare = await count([])
    expect((await count(eight)) - bare).toBeLessThanOrEqual(2.5)
    expect((await count([passThrough])) - bare).toBeLessThanOrEqual(2.5)
  })

  it.each(patterns)('without taps a message is passed on as the same object, on both sides: %s', async (pattern) => {
    const answer = { text: 'the very object' }
    const serialized: unknown[] = []
    const service = testService[pattern]
    const { responseSerialize } = service
    // The definition belongs to everybody: it is put back below.
    Object.assign(service, {
      responseSerialize: (message: TestMessage) => {
        serialized.push(message)
        return responseSerialize(message)
      },
    })
    try {
      const wire = inFlight()
      await using server = await startTestServer({
        interceptors: eight,
        behaviour: async (rpc) => {
          await rpc.readAll()
          await rpc.write(answer)
          rpc.end()
        },
      })
      const client = server.channel(...eight).client(TestClient)
      const request: TestMessage = { text: 'mine' }
      const rpc = startRpc(client, pattern, { requests: [request], options: { interceptors: [wire.interceptor] } })
      await rpc.done
      expect(rpc.status?.code).toBe(Code.OK)
      expect(wire.sent[0]).toBe(request)
      expect(serialized[0]).toBe(answer)
    } finally {
      Object.assign(service, { responseSerialize })
    }
  })

  it('only the taps that are registered run, once per message and direction', async () => {
    const ran = { request: 0, response: 0, metadata: 0, status: 0 }
    const tapping: Interceptor = (call, next) => {
      call.onRequest(() => void ran.request++)
      call.onResponse(() => void ran.response++)
      call.onResponseMetadata(() => void ran.metadata++)
      call.onStatus(() => void ran.status++)
      return next()
    }
    await using server = await startTestServer()
    const client = server.client(passThrough, tapping, passThrough)
    await runRpc(client, 'bidi', { requests: Array.from({ length: 7 }, (_, n) => ({ n })) })
    expect(ran).toEqual({ request: 7, response: 7, metadata: 1, status: 1 })
  })

  it('which interceptors apply to a method is asked once per method, not per call', async () => {
    let asked = 0
    const matcher = (): boolean => {
      asked++
      return true
    }
    const interceptors = [select(matcher, passThrough), stacks({ '*': [select(matcher, passThrough)] })]
    await using server = await startTestServer({ interceptors })
    const client = server.client(...interceptors)
    for (let n = 0; n < 5; n++) for (const pattern of patterns) await runRpc(client, pattern)
    expect(asked).toBe(2 * 2 * patterns.length)
  })

  it('a method that no interceptor applies to is left to grpc-js entirely', async () => {
    const seen: unknown[] = []
    await using server = await startTestServer()
    const [fused] = clientInterceptors(select('/other.Service/Method', passThrough))
    const client = server.channel().client(TestClient)
    const spying: typeof fused = (options, nextCall) => {
      const call = fused?.(options, nextCall)
      seen.push(call?.constructor.name)
      return call as never
    }
    await runRpc(client, 'unary', { options: { interceptors: [spying as never] } })
    expect(seen).toEqual(['BaseUnaryInterceptingCall'])
  })

  it('an AbortSignal is made when an interceptor reads it, one per layer that shortens the deadline', async () => {
    const signals: AbortSignal[] = []
    const asking: Interceptor = (call, next) => {
      signals.push(call.signal, call.signal)
      return next()
    }
    await using server = await startTestServer({ behaviour: manual })
    const rpc = startRpc(server.client(asking, asking), 'unary')
    await server.received(0)
    expect(new Set(signals).size).toBe(1)
    expect(signals[0]?.aborted).toBe(false)
    rpc.cancel()
    await rpc.done
    expect(signals[0]?.aborted).toBe(true)
  })

  it('a signal does not abort when the call ends by itself', async () => {
    const signals: AbortSignal[] = []
    const asking: Interceptor = (call, next) => {
      signals.push(call.signal)
      return next()
    }
    await using server = await startTestServer({ interceptors: [asking] })
    for (const pattern of patterns) await runRpc(server.client(asking), pattern)
    await Promise.all(server.calls.map((rpc) => rpc.closed))
    expect(signals.length).toBe(8)
    expect(signals.filter((signal) => signal.aborted)).toEqual([])
  })
})
