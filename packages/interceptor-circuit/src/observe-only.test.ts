import { status as Code } from '@grpc/grpc-js'
import { FakeClock, patterns, runRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { circuitBreaker } from './circuit-breaker.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

describe('with observeOnly', () => {
  it.each(patterns)('forceOpen refuses nothing either, and tells what it would refuse: %s', async (pattern) => {
    const breaker = circuitBreaker({ observeOnly: true, clock: new FakeClock() })
    let refusals = 0
    breaker.on('refusal', () => refusals++)
    const release = breaker.forceOpen()
    const rpc = await runRpc(server.client(breaker), pattern, { requests: [{ text: 'a' }] })
    expect([rpc.status?.code, refusals]).toEqual([Code.OK, 1])
    release()
  })
})
