import { status as Code } from '@grpc/grpc-js'
import { endWith, patterns, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'
import type { Interceptor } from '../../index.ts'

const handsOn: Interceptor = (_call, next) => next()
const recovers: Interceptor = (call, next) => call.recover(next, () => undefined)

// An error costs by the frame to make, and those of this library tell its reader nothing.
it.each(patterns)('the stack of an error has few frames of this library: %s', async (pattern) => {
  await using server = await startTestServer({ behaviour: endWith({ code: Code.NOT_FOUND }) })
  const rpc = startRpc(server.client(handsOn, recovers, handsOn), pattern)
  const { error } = await rpc.done
  const [received = '', called = ''] = error?.stack?.split('for call at') ?? []
  // The error of a response stream keeps the frames it was made under.
  const streamed = pattern === 'serverStream' || pattern === 'bidi'
  expect(received.includes('onReceiveStatus')).toBe(streamed)
  expect(received.split('\n').filter((frame) => frame.includes('grpc-core')).length).toBeLessThanOrEqual(
    streamed ? 2 : 0,
  )
  expect(called).toContain('startRpc')
})
