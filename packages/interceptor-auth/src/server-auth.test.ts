import { status as Code } from '@grpc/grpc-js'
import { metadataOf, patterns, runRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it } from 'vitest'
import { serverAuth } from './index.ts'

let server: TestServer
afterEach(() => server.stop())

const good = metadataOf({ authorization: 'Bearer good' })

describe('serverAuth', () => {
  for (const pattern of patterns) {
    it(`lets a valid token through and refuses everything else: ${pattern}`, async () => {
      server = await startTestServer({
        interceptors: [serverAuth({ verify: async (token) => (token === 'good' ? { subject: 'alice' } : null) })],
      })
      const client = server.client()
      expect((await runRpc(client, pattern, { metadata: good })).status?.code).toBe(Code.OK)
      expect((await runRpc(client, pattern)).status?.code).toBe(Code.UNAUTHENTICATED)
      expect(server.calls).toHaveLength(1)
    })
  }
})
