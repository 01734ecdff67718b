import type { Interceptor } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  FakeClock,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { attempts, unavailable } from '../test/harness.ts'
import { hedge, retry } from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const answer: Behaviour = async (rpc) => {
  await rpc.write({ text: 'answer' })
  rpc.end()
}

/** Outside of `retry()`: counts the timers it sets, and whether it asks for the signal of its call, which is made on demand. */
function watched(): { readonly clock: FakeClock; readonly outside: Interceptor; timers(): number; signals(): number } {
  const clock = new FakeClock()
  const set = vi.spyOn(clock, 'setTimeout')
  let signals = 0
  const outside: Interceptor = (call, next) => {
    Object.defineProperty(call, 'signal', {
      get: () => {
        signals++
        return Reflect.get(Object.getPrototypeOf(call), 'signal', call)
      },
    })
    return next()
  }
  return { clock, outside, timers: () => set.mock.calls.length, signals: () => signals }
}

describe('a call that succeeds at once', () => {
  it.each(patterns)('gets no timer and no AbortSignal: %s', async (pattern) => {
    const { clock, outside, timers, signals } = watched()
    const rpc = await runRpc(server.client(outside, retry({ clock })), pattern, { requests: [{ text: 'a' }] })
    expect([rpc.status?.code, timers(), signals()]).toEqual([0, 0, 0])
  })

  it('differs in this from one that is tried again', async () => {
    const { clock, outside, timers, signals } = watched()
    const client = server.client(outside, retry({ clock, random: () => 1, maxAttempts: 2 }))
    const done = runRpc(client, 'unary', { metadata: server.behave(attempts(unavailable)) })
    await clock.timerSet()
    await clock.advance(100)
    await done
    expect(timers()).toBe(1)
    expect(signals()).toBeGreaterThan(0)
  })
})

describe('a message', () => {
  it.each(patterns)('is serialized once, however many attempts send it: %s', async (pattern) => {
    const serialize = vi.spyOn(JSON, 'stringify')
    const behaviour = attempts(unavailable, unavailable, answer)
    await runRpc(server.client(retry({ initialBackoffMs: 0 })), pattern, {
      requests: [{ text: 'counted' }],
      metadata: server.behave(behaviour),
    })
    expect(behaviour.seen).toHaveLength(3)
    expect(serialize.mock.calls.filter(([message]) => message?.text === 'counted')).toHaveLength(1)
  })

  it.each(['clientStream', 'bidi'] as const)('is sent again as it was when it was written: %s', async (pattern) => {
    const read: unknown[] = []
    const behaviour = attempts(unavailable, async (rpc) => {
      read.push(await rpc.read())
      rpc.end()
    })
    const clock = new FakeClock()
    const rpc = startRpc(server.client(retry({ clock, random: () => 1 })), pattern, {
      metadata: server.behave(behaviour),
    })
    const message = { text: 'as written' }
    rpc.write(message)
    message.text = 'changed later'
    rpc.end()
    await clock.timerSet()
    await clock.advance(100)
    await rpc.done
    expect(read).toEqual([{ text: 'as written' }])
  })
})

describe('hedge()', () => {
  it('has no override for one call: that of retry() means nothing to it', async () => {
    const behaviour = attempts(unavailable)
    const client = server.client(hedge({ delayMs: 60_000, idempotent: '*', clock: new FakeClock() }))
    const options = retry.perCall({ maxAttempts: 1 })
    await runRpc(client, 'unary', { metadata: server.behave(behaviour), ...options } as never)
    expect(behaviour.seen).toHaveLength(2)
  })
})
