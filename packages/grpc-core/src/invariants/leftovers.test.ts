import { EventEmitter } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, status as Code, getChannelzHandlers, type ServerUnaryCall } from '@grpc/grpc-js'
import {
  type Behaviour,
  manual,
  metadataOf,
  patterns,
  type RpcSettings,
  runRpc,
  settle,
  startRpc,
  startTestServer,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import { type ClientCall, type Interceptor, type Next, propagate, type Status } from '../index.ts'

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
const forever = new Promise<never>(() => undefined)

async function openCalls(client: Client): Promise<number> {
  const { id } = client.getChannel().getChannelzRef()
  // channelz's handlers are those of a service: a call with a request, and a callback.
  const getChannel = getChannelzHandlers().GetChannel as unknown as (
    call: { request: { channel_id: string } },
    respond: (error: unknown, response: { channel: { data: Record<string, string | number> } }) => void,
  ) => void
  const { channel } = await new Promise<{ channel: { data: Record<string, string | number> } }>((resolve) => {
    getChannel({ request: { channel_id: String(id) } }, (_error, response) => resolve(response))
  })
  const { calls_started, calls_succeeded, calls_failed } = channel.data
  return Number(calls_started) - Number(calls_succeeded) - Number(calls_failed)
}

const hung: Interceptor = () => forever
const late: Interceptor = async (_call, next) => {
  await settle()
  return await next()
}
const bounded = (call: ClientCall, next: Next): Promise<Status> => {
  call.deadline = Date.now() + 60_000
  return next()
}
const repeating = async (call: ClientCall, next: Next): Promise<Status> => {
  call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
  await next()
  return await next()
}
const refusing: Interceptor = () => ({ code: Code.ABORTED })
const withSignal: Interceptor = async (call, next) => {
  call.signal.addEventListener('abort', () => undefined)
  return await next()
}

describe('invariant 10: nothing outlives its call', () => {
  const failing: Behaviour = async (rpc) => {
    await rpc.readAll()
    rpc.end({ code: Code.UNAVAILABLE })
  }

  it.each([
    ['hangs', [hung]],
    ['starts late', [late]],
    ['bounds the call', [bounded, bounded]],
    ['repeats', [repeating]],
    ['repeats and bounds', [repeating, bounded, late]],
    ['refuses', [refusing]],
    ['uses the signal', [withSignal]],
  ] as const)(
    'timers, call counts and listeners on the parent, when an interceptor %s',
    async (_name, interceptors) => {
      await using server = await startTestServer({ behaviour: failing })
      const client = server.client(...interceptors)
      const parent = Object.assign(new EventEmitter(), { getDeadline: () => Number.POSITIVE_INFINITY })
      await runRpc(server.client(), 'unary', whole)
      const before = timers()
      for (const pattern of patterns) {
        const options = {
          deadline: Date.now() + 50_000,
          parent: parent as unknown as ServerUnaryCall<unknown, unknown>,
        }
        const rpc = startRpc(client, pattern, { ...whole, options })
        await settle(20)
        rpc.cancel()
        await rpc.done
        expect(parent.listenerCount('cancelled')).toBe(0)
      }
      await until(() => timers() <= before, 'the timers of the calls are gone')
      let open = -1
      await until(() => {
        void openCalls(client).then((count) => {
          open = count
        })
        return open === 0
      }, 'no call is counted as running')
    },
  )

  it.each(patterns)('also when calls end by themselves, a hundred of them: %s', async (pattern) => {
    await using server = await startTestServer({ interceptors: [late, withSignal] })
    const client = server.client(late, bounded, withSignal)
    await runRpc(client, pattern)
    const before = timers()
    const parent = Object.assign(new EventEmitter(), { getDeadline: () => Date.now() + 40_000 }).setMaxListeners(0)
    const options = { deadline: Date.now() + 50_000, parent: parent as unknown as ServerUnaryCall<unknown, unknown> }
    await Promise.all(Array.from({ length: 100 }, () => runRpc(client, pattern, { ...whole, options })))
    expect(parent.listenerCount('cancelled')).toBe(0)
    await until(() => timers() <= before, 'the timers of the calls are gone')
    expect(await openCalls(client)).toBe(0)
  })

  it('attempts share one listener on the parent call', async () => {
    const parent = new EventEmitter()
    const counts: number[] = []
    const counting = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 0, maxMessages: 1 })
      let status = await next()
      for (let n = 0; n < 20; n++) {
        counts.push(parent.listenerCount('cancelled'))
        status = await next()
      }
      return status
    }
    await using server = await startTestServer({ behaviour: failing })
    const deadline = Date.now() + 60_000
    const options = {
      parent: Object.assign(parent, { getDeadline: () => deadline }) as unknown as ServerUnaryCall<unknown, unknown>,
    }
    await runRpc(server.client(counting), 'unary', { options })
    expect(new Set(counts)).toEqual(new Set([1]))
    expect(parent.listenerCount('cancelled')).toBe(0)
    for (const handler of server.calls) expect(Math.abs(handler.deadline - deadline)).toBeLessThan(5000)
  })

  it.each(patterns)("a server call's shortened deadline leaves no timer: %s", async (pattern) => {
    const shortening: Interceptor = (call, next) => {
      call.deadline = Date.now() + 40_000
      return next()
    }
    await using server = await startTestServer({ interceptors: [shortening] })
    const client = server.client()
    await runRpc(client, pattern)
    const before = timers()
    await Promise.all(Array.from({ length: 20 }, () => runRpc(client, pattern)))
    await until(() => timers() <= before, 'the timers of the calls are gone')
  })

  it('propagate() takes its listener off the signal of the server call', async () => {
    let added = 0
    let removed = 0
    const counting: Interceptor = (call, next) => {
      const { signal } = call
      const add = signal.addEventListener.bind(signal)
      const remove = signal.removeEventListener.bind(signal)
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        added++
        add(...args)
      }
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        removed++
        remove(...args)
      }
      return next()
    }
    await using backend = await startTestServer()
    const onward = backend.client(propagate())
    await using front = await startTestServer({
      interceptors: [counting],
      behaviour: async (rpc) => {
        for (const pattern of patterns) await runRpc(onward, pattern)
        rpc.end()
      },
    })
    await runRpc(front.client(), 'unary')
    expect(added).toBe(patterns.length)
    expect(removed).toBe(added)
  })

  it.each(patterns)('a call, its messages and its context can be collected once it has ended: %s', async (pattern) => {
    const refs: WeakRef<object>[] = []
    const remembering = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 100_000, maxMessages: 100 })
      refs.push(new WeakRef(call))
      call.onRequest((message) => {
        refs.push(new WeakRef(message as object))
      })
      call.onResponse((message) => {
        refs.push(new WeakRef(message as object))
      })
      return await next()
    }
    await using server = await startTestServer()
    const client = server.client(remembering)
    await (async () => {
      await runRpc(client, pattern, { requests: [{ text: 'to be forgotten', n: 2 }] })
    })()
    server.forget()
    for (let n = 0; n < 50 && refs.some((ref) => ref.deref() !== undefined); n++) {
      await sleep(2)
      globalThis.gc?.()
    }
    expect(refs.length).toBeGreaterThan(2)
    expect(refs.filter((ref) => ref.deref() !== undefined).length).toBe(0)
  })

  it('request messages are let go as soon as the call is committed', async () => {
    const refs: WeakRef<object>[] = []
    const replayable = (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 1_000_000, maxMessages: 1000 })
      call.onRequest((message) => {
        refs.push(new WeakRef(message as object))
      })
      return next()
    }
    await using server = await startTestServer({ behaviour: manual })
    const rpc = startRpc(server.client(replayable), 'bidi', { metadata: metadataOf({ a: 'b' }) })
    for (let n = 0; n < 5; n++) await rpc.write({ n })
    const handler = await server.received(0)
    await handler.read()
    expect(refs.length).toBe(5)
    globalThis.gc?.()
    expect(refs.some((ref) => ref.deref() !== undefined)).toBe(true)
    handler.sendHeaders({ committed: 'yes' })
    await rpc.headersSeen
    const kept = (): number => refs.filter((ref) => ref.deref() !== undefined).length
    for (let n = 0; n < 50 && kept() > 1; n++) {
      await sleep(2)
      globalThis.gc?.()
    }
    // The last one may still be in the hands of grpc-js or of the stream.
    expect(kept()).toBeLessThanOrEqual(1)
    rpc.end()
    handler.end()
    await rpc.done
  })
})
