import { status as Code } from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { awaiting, sides } from '../../test/observing.ts'
import { unreadable } from '../../test/unreadable.ts'
import type { Interceptor } from '../index.ts'

const escaped: unknown[] = []
const catchEscaped = (error: unknown): void => void escaped.push(error)
beforeEach(() => {
  process.on('unhandledRejection', catchEscaped).on('uncaughtException', catchEscaped)
})
afterEach(() => {
  process.removeListener('unhandledRejection', catchEscaped).removeListener('uncaughtException', catchEscaped)
  expect(escaped.splice(0)).toEqual([])
})

// biome-ignore lint/suspicious/noExplicitAny: what no type allows
const ways: Record<string, (odd: () => any) => Interceptor> = {
  throws: (odd) => () => {
    throw odd()
  },
  'rejects with': (odd) => async () => {
    throw odd()
  },
  returns: (odd) => () => odd(),
  promises: (odd) => async (_call, next) => {
    await next()
    return odd()
  },
  recovers: (odd) => (call, next) => call.recover(next, () => odd()),
}

describe.each(sides)('on the %s an interceptor', (side) => {
  describe.each(Object.entries(ways))('that %s', (_way, make) => {
    it.each(Object.entries(unreadable))('%s ends its RPC', async (_what, odd) => {
      const outer = awaiting()
      const stack = [outer.interceptor, make(odd)]
      await using server = await startTestServer({ interceptors: side === 'server' ? stack : [] })
      const client = side === 'client' ? server.client(...stack) : server.client()
      for (const pattern of patterns) {
        const rpc = await runRpc(client, pattern)
        expect([Code.INTERNAL, Code.NOT_FOUND]).toContain(rpc.status?.code)
        if (side === 'server' && rpc.status?.code === Code.INTERNAL) expect(rpc.status.details).toBe('Internal error')
      }
      expect(outer.codes).toHaveLength(4)
    })
  })
})
