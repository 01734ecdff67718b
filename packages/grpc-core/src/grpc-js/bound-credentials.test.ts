import { AsyncLocalStorage } from 'node:async_hooks'
import { CallCredentials, status as Code, Metadata } from '@grpc/grpc-js'
import { runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Interceptor } from '../index.ts'

describe('call credentials under a stack', () => {
  const tenant = new AsyncLocalStorage<string>()
  const fromContext = CallCredentials.createFromMetadataGenerator((_options, done) => {
    const metadata = new Metadata()
    metadata.set('tenant', tenant.getStore() ?? 'nobody')
    done(null, metadata)
  })
  const handingOn: Interceptor = (_call, next) => next()

  for (const ours of [true, false]) {
    it(`are asked in the context of their own call while the connection opens, on a ${ours ? 'channel' : 'stub'}`, async () => {
      await using server = await startTestServer()
      const client = ours ? server.channel(handingOn).client(TestClient) : server.client(handingOn)
      const tenants = ['a', 'b', 'c']
      await Promise.all(
        tenants.map((name) =>
          tenant.run(name, () => runRpc(client, 'unary', { options: { credentials: fromContext } })),
        ),
      )
      expect(server.calls.map((rpc) => rpc.metadata.get('tenant')[0]).sort()).toEqual(tenants)
    })
  }

  it('end the call with the status they fail with', async () => {
    await using server = await startTestServer()
    const failing = CallCredentials.createFromMetadataGenerator((_options, done) => {
      done(Object.assign(new Error('no token'), { code: Code.UNAUTHENTICATED }))
    })
    const rpc = await runRpc(server.client(handingOn), 'unary', { options: { credentials: failing } })
    const bare = await runRpc(server.client(), 'unary', { options: { credentials: failing } })
    expect(rpc.status).toEqual(bare.status)
    expect(rpc.status?.code).toBe(Code.UNAUTHENTICATED)
  })
})
