import { Metadata } from '@grpc/grpc-js'
import { echo, patterns, settle, startRpc, startTestServer, type TestPattern } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { ClientCall, Interceptor, Next } from '../index.ts'

const late: Interceptor = async (_call, next) => {
  await settle(1)
  return await next()
}
const shortening: Interceptor<ClientCall> = async (call, next) => {
  call.deadline = Date.now() + 60_000
  await settle(1)
  return await next()
}
const repeating = async (call: ClientCall, next: Next) => {
  call.makeReplayable({ maxBytes: 10_000, maxMessages: 10 })
  const status = await next()
  return status.code === 14 ? await next() : status
}
const passing: Interceptor = (_call, next) => next()

const kinds = [
  ['passes', [passing], 0],
  ['starts late', [late], 0],
  ['shortens the deadline and starts late', [shortening], 0],
  ['repeats', [repeating], 1],
  ['repeats, with one inside that starts late', [repeating, late], 1],
] as const
const singles: readonly TestPattern[] = ['unary', 'serverStream']

describe('invariant 8: what the caller gave is as it was at the call', () => {
  describe.each(kinds)('under an interceptor that %s', (_what, interceptors, failures) => {
    it.each(patterns)('metadata that are used again for the next call: %s', async (pattern) => {
      const failed = new Map<string, number>()
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          const user = String(rpc.metadata.get('user')[0])
          const before = failed.get(user) ?? 0
          failed.set(user, before + 1)
          if (before < failures) rpc.end({ code: 14 })
          else await echo(rpc)
        },
      })
      const client = server.client(...interceptors)
      const metadata = new Metadata()
      const calls = [1, 2, 3].map((n) => {
        metadata.set('user', `user${n}`)
        return startRpc(client, pattern, { metadata, requests: [{ n: 1 }] }).done
      })
      metadata.set('user', 'nobody')
      for (const rpc of await Promise.all(calls)) expect(rpc.status?.code).toBe(0)
      expect([...failed.keys()].sort()).toEqual(['user1', 'user2', 'user3'])
    })

    it.each(patterns)('a deadline as a Date that is moved for the next call: %s', async (pattern) => {
      let failed = 0
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          if (failed++ < failures) rpc.end({ code: 14 })
          else await echo(rpc)
        },
      })
      const deadline = new Date(Date.now() + 60_000)
      const { done } = startRpc(server.client(...interceptors), pattern, {
        options: { deadline },
        requests: [{ n: 1 }],
      })
      deadline.setTime(0)
      expect((await done).status?.code).toBe(0)
    })

    it.each(singles)('a request object that is used again for the next call: %s', async (pattern) => {
      const seen = new Map<string, number>()
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          const [request] = await rpc.readAll()
          const text = String(request?.text)
          const before = seen.get(text) ?? 0
          seen.set(text, before + 1)
          if (before < failures) rpc.end({ code: 14 })
          else {
            await rpc.write({})
            rpc.end()
          }
        },
      })
      const client = server.client(...interceptors)
      const request = { text: '' }
      const calls = ['a', 'b', 'c'].map((text) => {
        request.text = text
        return new Promise<number>((resolve) => {
          const done = ({ code }: { code: number }): void => resolve(code)
          if (pattern === 'unary') client.unary(request, () => undefined).on('status', done)
          else
            client
              .serverStream(request)
              .on('status', done)
              .on('error', () => undefined)
              .resume()
        })
      })
      request.text = 'changed'
      expect(await Promise.all(calls)).toEqual([0, 0, 0])
      expect([...seen.keys()].sort()).toEqual(['a', 'b', 'c'])
    })
  })
})
