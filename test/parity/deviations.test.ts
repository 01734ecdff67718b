// Deviations from the reference that no package has a test of.
import { createClient } from '@grpc-stack/grpc-core'
import { startTestServer, testService } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'

// reference: deviation 3
it('a plain value answers a stream of requests, too', async () => {
  await using server = await startTestServer()
  const plain = { interceptStreamUnary: () => ({ text: 'cached' }) }
  const promised = { interceptStreamUnary: async () => ({ text: 'cached' }) }
  for (const interceptor of [plain, promised]) {
    const client = createClient(testService, server.channel(interceptor))
    const call = client.clientStream([{ text: 'a' }])
    expect(await call).toEqual({ text: 'cached' })
    expect(await call.status).toMatchObject({ code: 0 })
  }
  expect(server.calls).toEqual([])
})
