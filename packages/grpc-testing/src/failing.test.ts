import { status as Code } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { failing, metadataOf, patterns, runRpc, startTestServer } from './index.ts'

describe('failing', () => {
  it.each(patterns)('fails the first RPCs and lets the others through: %s', async (pattern) => {
    const twice = failing(2, { code: Code.ABORTED, details: 'not yet', metadata: metadataOf({ hint: 'again' }) })
    await using server = await startTestServer({ interceptors: [twice] })
    const client = server.client()
    for (const code of [Code.ABORTED, Code.ABORTED, Code.OK, Code.OK]) {
      const { status } = await runRpc(client, pattern)
      expect(status?.code).toBe(code)
      if (code !== Code.OK) expect([status?.details, status?.metadata.get('hint')]).toEqual(['not yet', ['again']])
    }
    expect([twice.calls, twice.failed]).toEqual([4, 2])
    expect(server.calls.length).toBe(2)
  })

  it('is UNAVAILABLE by default, and works on a client', async () => {
    await using server = await startTestServer()
    const once = failing(1)
    const client = server.client(once)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
  })

  it('refuses a number of times that is none', () => {
    expect(() => failing(-1)).toThrow(TypeError)
    expect(() => failing(Number.NaN)).toThrow(TypeError)
  })
})
