import { status as Code } from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import type { ClientCall, Interceptor } from '../index.ts'

/** As of an interceptor that adds one for each of many messages. */
const MANY = 20_000

it.each(patterns)('a call bears any number of taps, also when it is tried again: %s', async (pattern) => {
  let told = 0
  const again: Interceptor<ClientCall> = async (call, next) => {
    call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
    call.onResponse(() => undefined)
    await next()
    return await next()
  }
  const adding: Interceptor = (call, next) => {
    for (let i = 0; i < MANY; i++) {
      call.onResponse(() => undefined)
      call.onStatus(() => {
        told++
      })
    }
    return next()
  }
  const refusesOnce: Interceptor = (_call, next) => (told === 0 ? { code: Code.UNAVAILABLE, details: 'once' } : next())
  await using server = await startTestServer()
  const { status } = await runRpc(server.client(again, adding, refusesOnce), pattern, { requests: [{ text: 'a' }] })
  expect(status?.code).toBe(Code.OK)
  expect(told).toBe(2 * MANY)
})
