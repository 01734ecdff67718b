import { status as Code } from '@grpc/grpc-js'
import { type ClientRpc, FakeClock, Gate, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { detailsOf } from '../../test/decode-error-details.ts'
import type { Decision, Store } from '../stores/store.ts'
import { rateLimit } from './rate-limit.ts'

const messages = (count: number) => Array.from({ length: count }, (_, n) => ({ n }))

/** Without waiting for the callbacks: those of messages that are not sent never come. */
function send(rpc: ClientRpc, count: number): void {
  for (const message of messages(count)) if ('write' in rpc.call) rpc.call.write(message)
}

describe('perMessage', () => {
  const limited = (more = {}) =>
    rateLimit({ rate: 100, clock: new FakeClock(), perMessage: { rate: 3, perMs: 60_000 }, ...more })

  it.each(['clientStream', 'bidi'] as const)(
    'ends a %s at the message over the limit, which the handler does not see',
    async (pattern) => {
      await using server = await startTestServer({ interceptors: [limited()] })
      const rpc = startRpc(server.client(), pattern)
      send(rpc, 5)
      await rpc.done
      expect(rpc.status?.code).toBe(Code.RESOURCE_EXHAUSTED)
      expect(rpc.status?.metadata.get('grpc-retry-pushback-ms')).toEqual([])
      expect(detailsOf(rpc.status?.metadata).details.RetryInfo).toEqual({ retryDelay: { seconds: 20, nanos: 0 } })
      const [handler] = server.calls
      await handler?.closed
      expect(handler?.requests).toEqual(messages(3))
      expect(handler?.cancelled).toBe(true)
    },
  )

  it('lets single requests and streams within the limit alone', async () => {
    await using server = await startTestServer({ interceptors: [limited()] })
    const client = server.client()
    for (let i = 0; i < 5; i++) {
      expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
      expect((await runRpc(client, 'serverStream')).status?.code).toBe(Code.OK)
    }
    expect((await runRpc(client, 'bidi', { requests: messages(3) })).status?.code).toBe(Code.OK)
  })

  it('charges by message, and refuses one that never fits', async () => {
    const cost = (message: unknown): number => (message as { n: number }).n
    const limit = rateLimit({ rate: 100, clock: new FakeClock(), perMessage: { rate: 10, perMs: 60_000, cost } })
    await using server = await startTestServer({ interceptors: [limit] })
    const client = server.client()
    expect((await runRpc(client, 'bidi', { requests: [{ n: 4 }, { n: 5 }] })).status?.code).toBe(Code.OK)
    const { status } = await runRpc(client, 'bidi', { requests: [{ n: 11 }] })
    expect(status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    expect(detailsOf(status?.metadata).details.ErrorInfo).toMatchObject({ reason: 'COST_EXCEEDS_BURST' })
    expect(limit.counters()).toMatchObject({ admitted: 2, messagesRefused: 1 })
  })

  it('fails closed: a cost that is no number ends the stream', async () => {
    const limit = rateLimit({ rate: 100, perMessage: { rate: 10, cost: () => Number.NaN } })
    await using server = await startTestServer({ interceptors: [limit] })
    const { status } = await runRpc(server.client(), 'bidi')
    expect(status?.code).toBe(Code.INTERNAL)
  })

  it('in shadow mode only counts', async () => {
    const limit = limited({ shadow: true })
    await using server = await startTestServer({ interceptors: [limit] })
    expect((await runRpc(server.client(), 'bidi', { requests: messages(5) })).status?.code).toBe(Code.OK)
    expect(limit.counters()).toMatchObject({ admitted: 1, messagesRefused: 2 })
  })

  it('ends the stream when a store that takes its time says so', async () => {
    const decided = new Gate()
    const state = { waitMs: 0, remaining: 0, resetMs: 0 }
    const store: Store = {
      open: ([limit]) => ({
        take: async (): Promise<Decision> => {
          if (!limit?.name.includes('messages')) return { admitted: true, limits: [state] }
          await decided.opened
          return { admitted: false, limits: [{ ...state, waitMs: 5 }] }
        },
      }),
    }
    const limit = rateLimit({ rate: 100, store, storeTimeoutMs: 60_000, perMessage: { rate: 10 } })
    await using server = await startTestServer({ interceptors: [limit] })
    const rpc = startRpc(server.client(), 'bidi')
    await rpc.write({ n: 1 })
    await rpc.messageSeen
    decided.open()
    await rpc.done
    expect(rpc.status?.code).toBe(Code.RESOURCE_EXHAUSTED)
    await server.calls[0]?.closed
    expect(server.calls[0]?.cancelled).toBe(true)
  })
})
