import { FakeClock, runRpc, startTestServer, TestClient, type TestServer } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attempts, unavailable } from '../test/harness.ts'
import { hedge, retry } from './index.ts'

let server: TestServer
let other: TestServer
beforeAll(async () => {
  server = await startTestServer()
  other = await startTestServer()
})
afterAll(() => Promise.all([server.stop(), other.stop()]))

/** A budget of four tokens: two failures stop the retries of all who share it. */
const serviceConfig = {
  methodConfig: [
    {
      name: [{}],
      retryPolicy: {
        maxAttempts: 5,
        initialBackoff: '0.001s',
        maxBackoff: '0.001s',
        backoffMultiplier: 1,
        retryableStatusCodes: ['UNAVAILABLE'],
      },
    },
  ],
  retryThrottling: { maxTokens: 4, tokenRatio: 0.1 },
}

/** How often a call that fails reaches its server. */
async function tries(client: TestClient, at: TestServer): Promise<number> {
  const behaviour = attempts(unavailable)
  await runRpc(client, 'unary', { metadata: at.behave(behaviour) })
  return behaviour.seen.length
}

describe('without option "budget"', () => {
  it('each target of one retry() has a budget of its own', async () => {
    const interceptor = retry({ serviceConfig })
    const here = server.channel(interceptor).client(TestClient)
    const there = other.channel(interceptor).client(TestClient)
    expect(await tries(here, server)).toBe(2)
    expect(await tries(here, server)).toBe(1)
    expect(await tries(there, other)).toBe(2)
  })

  it('stubs with channels of their own, whose targets are not known in time, share one for each retry()', async () => {
    const interceptor = retry({ serviceConfig })
    expect(await tries(server.client(interceptor), server)).toBe(2)
    expect(await tries(other.client(interceptor), other)).toBe(1)
    expect(await tries(other.client(retry({ serviceConfig })), other)).toBe(2)
  })

  it('each hedge() has one, whatever the target', async () => {
    const hedgingPolicy = { maxAttempts: 5, hedgingDelay: '60s', nonFatalStatusCodes: ['UNAVAILABLE'] }
    const hedging = { ...serviceConfig, methodConfig: [{ name: [{}], hedgingPolicy }] }
    const newHedge = () => hedge({ serviceConfig: hedging, clock: new FakeClock() })
    const interceptor = newHedge()
    expect(await tries(server.client(interceptor), server)).toBe(2)
    expect(await tries(other.client(interceptor), other)).toBe(1)
    expect(await tries(other.client(newHedge()), other)).toBe(2)
  })
})
