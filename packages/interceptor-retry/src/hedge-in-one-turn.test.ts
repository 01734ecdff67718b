import { status as Code, credentials, Metadata } from '@grpc/grpc-js'
import { type ClientInterceptorLike, clientInterceptors } from '@grpc-stack/grpc-core'
import { type ClientRpc, startRpc, TestClient } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ServerProcess } from '../test/server-process.ts'
import { hedge } from './index.ts'

let server: ServerProcess
beforeAll(async () => {
  server = await ServerProcess.start()
})
afterAll(() => server.kill())

const CALLS = 40
const MESSAGES = 2

/** While it blocks the event loop, all that the server sends arrives, to be seen in one turn. */
async function blockUntilDone(rpc: ClientRpc): Promise<void> {
  while (!rpc.isDone) {
    const end = performance.now() + 5
    while (performance.now() < end);
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Calls a stream of headers, some messages and UNAVAILABLE, again and again, in a client that is busy. */
async function burst(...interceptors: ClientInterceptorLike[]) {
  const client = new TestClient(`127.0.0.1:${server.port}`, credentials.createInsecure(), {
    interceptors: clientInterceptors(...interceptors),
  })
  const metadata = new Metadata()
  metadata.set('play', 'burst')
  const before = server.attempts.length
  const messages: number[] = []
  for (let n = 0; n < CALLS; n++) {
    const rpc = startRpc(client, 'serverStream', { requests: [{ n: MESSAGES }], metadata })
    await blockUntilDone(rpc)
    expect(rpc.status?.code).toBe(Code.UNAVAILABLE)
    messages.push(rpc.messages.length)
  }
  client.close()
  await server.until(() => server.attempts.length >= before + CALLS)
  return { complete: messages.filter((count) => count === MESSAGES).length, handled: server.attempts.length - before }
}

describe('headers, messages and an error of a stream that arrive in one turn of the event loop', () => {
  it('hedge() gives the application what grpc-js gives, and starts no other attempt', async () => {
    const bare = await burst()
    const hedged = await burst(hedge({ delayMs: 5000, idempotent: '*', maxAttempts: 3, budget: false }))
    expect(hedged.handled).toBe(CALLS)
    expect(hedged.complete).toBe(bare.complete)
  })
})
