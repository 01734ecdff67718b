import { status as Code, credentials, Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import { clientInterceptors } from '@grpc-stack/grpc-core'
import { FakeClock, patterns, runRpc, settle, startTestServer, TestClient, testService } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { circuitBreaker, consecutive } from './index.ts'

const SERVICE = 'grpcstack.testing.Test'

/** A server in the place of one that is gone. */
async function successor(address: string): Promise<Server> {
  const server = new Server()
  // A stock definition: each method answers at once, and with nothing.
  server.addService(testService as unknown as ServiceDefinition, {
    unary: (_call: unknown, respond: (error: null, message: object) => void) => respond(null, {}),
    clientStream: (_call: unknown, respond: (error: null, message: object) => void) => respond(null, {}),
    serverStream: (call: { end(): void }) => call.end(),
    bidi: (call: { end(): void }) => call.end(),
  })
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve()))
  })
  return server
}

describe('an outage', () => {
  it.each(patterns)('opens the circuit, and its end closes it: %s', async (pattern) => {
    const first = await startTestServer()
    const clock = new FakeClock()
    const breaker = circuitBreaker({ policy: consecutive(3), openMs: 1000, halfOpenPermits: 2, openJitter: 0, clock })
    const client = new TestClient(first.address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 10,
      'grpc.min_reconnect_backoff_ms': 10,
      'grpc.max_reconnect_backoff_ms': 20,
      interceptors: clientInterceptors(breaker),
    })
    let second: Server | undefined
    try {
      expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
      const running = runRpc(client, pattern, { metadata: first.behave(() => undefined) })
      await first.received(1)
      first.kill()
      expect((await running).status?.code).toBe(Code.UNAVAILABLE)
      while (breaker.state(SERVICE) === 'closed') await runRpc(client, pattern)
      expect((await runRpc(client, pattern)).error).toMatchObject({ refusedBy: 'circuitBreaker' })

      clock.jump(1000)
      expect((await runRpc(client, pattern)).error).not.toHaveProperty('refusedBy') // a probe, and too early
      expect(breaker.snapshot(SERVICE)).toMatchObject({ state: 'open', openings: 2 })

      second = await successor(first.address)
      for (let i = 0; i < 200 && breaker.state(SERVICE) !== 'closed'; i++) {
        clock.jump(60_000)
        await runRpc(client, pattern)
        await settle(1)
      }
      expect(breaker.state(SERVICE)).toBe('closed')
      expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
    } finally {
      client.close()
      second?.forceShutdown()
      await first.stop()
    }
  })
})
