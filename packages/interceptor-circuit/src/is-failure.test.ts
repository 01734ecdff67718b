import { status as Code } from '@grpc/grpc-js'
import { named } from '@grpc-stack/grpc-core/authoring'
import {
  endWith,
  manual,
  runRpc,
  startRpc,
  startTestServer,
  type TestServer,
  unserializable,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'
import { consecutive } from './consecutive.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

describe('isFailure', () => {
  const asked: unknown[] = []
  const breaker = circuitBreaker({
    policy: consecutive(1),
    isFailure: ({ code }) => {
      asked.push(code)
      return true
    },
  })

  it('is not asked about a cancel, a request that cannot be serialized and a refusal of this process', async () => {
    const cancelled = startRpc(server.client(breaker), 'unary', { metadata: server.behave(manual) })
    await server.received(server.calls.length)
    cancelled.cancel()
    await cancelled.done
    await runRpc(server.client(breaker), 'clientStream', { requests: [unserializable] })
    const refusing = named('refusing', () => ({ code: Code.UNAVAILABLE, details: 'not here' }))
    await runRpc(server.client(breaker, refusing), 'unary')
    expect(asked).toEqual([])
  })

  it('is asked about the rest, success included', async () => {
    await runRpc(server.client(breaker), 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
    expect(asked).toEqual([Code.NOT_FOUND])
  })
})
