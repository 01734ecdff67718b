import { status as Code } from '@grpc/grpc-js'
import { metadataOf, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Interceptor } from '../../index.ts'

const passThrough: Interceptor = (_call, next) => next()

describe('request metadata that is too large for HTTP/2', () => {
  it.each(patterns)('ends its own call with an error, and later calls go on: %s', async (pattern) => {
    await using server = await startTestServer({ interceptors: [passThrough] })
    const client = server.client(passThrough)
    const rpc = await runRpc(client, pattern, { metadata: metadataOf({ big: 'd'.repeat(200_000) }) })
    expect(rpc.status?.code).not.toBe(Code.OK)
    expect((await runRpc(client, pattern)).status?.code).toBe(Code.OK)
  })
})
