import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  endWith,
  FakeClock,
  patterns,
  runRpc,
  type ServerRpc,
  startRpc,
  startTestServer,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { retry } from './index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

/** A behaviour for each attempt in turn; the last one for all after it. */
function attempts(...each: Behaviour[]): Behaviour & { seen: ServerRpc[] } {
  const seen: ServerRpc[] = []
  return Object.assign(
    (rpc: ServerRpc) => {
      const behaviour = each[Math.min(seen.push(rpc), each.length) - 1]
      return behaviour?.(rpc)
    },
    { seen },
  )
}

const unavailable = endWith({ code: Code.UNAVAILABLE, details: 'down' })

describe('retry', () => {
  describe.each(patterns)('%s', (pattern) => {
    it('tries a call again that failed with UNAVAILABLE', async () => {
      const behaviour = attempts(unavailable, unavailable, echo)
      const client = server.client(retry({ initialBackoffMs: 1 }))
      const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
      expect(rpc.error).toBeUndefined()
      expect(rpc.status?.code).toBe(Code.OK)
      expect(behaviour.seen).toHaveLength(3)
      expect(behaviour.seen.map((s) => s.metadata.get('grpc-previous-rpc-attempts'))).toEqual([[], ['1'], ['2']])
    })
    it('gives up after maxAttempts with the last status', async () => {
      const behaviour = attempts(unavailable)
      const client = server.client(retry({ initialBackoffMs: 1, maxAttempts: 4 }))
      const rpc = await runRpc(client, pattern, { metadata: server.behave(behaviour) })
      expect(rpc.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'down', attempts: 4 })
      expect((rpc.error as Error).cause).toBeInstanceOf(AggregateError)
      expect(behaviour.seen).toHaveLength(4)
    })
    it('cancels a backoff at once', async () => {
      const clock = new FakeClock()
      const behaviour = attempts(unavailable)
      const client = server.client(retry({ clock, random: () => 1 }))
      const rpc = startRpc(client, pattern, { metadata: server.behave(behaviour) })
      await clock.timerSet()
      rpc.cancel()
      await rpc.done
      expect(rpc.error?.code).toBe(Code.CANCELLED)
      expect(clock.pending).toBe(0)
      expect(behaviour.seen).toHaveLength(1)
    })
  })
})
