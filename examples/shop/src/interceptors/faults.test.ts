import { status as Code } from '@grpc/grpc-js'
import { Gate, interceptorSuite, patterns, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { faults } from './faults.ts'

// An interceptor of one's own is proved like those of the packages.
interceptorSuite('faults without a fault', () => ({ server: faults(() => {}) }))

describe('faults', () => {
  it.for(patterns)('fails as many of ten as told, evenly: %s', async (pattern) => {
    const trouble = faults(() => {})
    await using server = await startTestServer({ interceptors: [trouble] })
    const client = server.client()
    trouble.set({ failOfTen: 4, delayMs: 0 })
    const codes: (Code | undefined)[] = []
    for (let i = 0; i < 10; i++) codes.push((await runRpc(client, pattern)).status?.code)
    const [good, bad] = [Code.OK, Code.UNAVAILABLE]
    expect(codes).toEqual([good, good, bad, good, bad, good, good, bad, good, bad])
  })

  it('stops when it is told to', async () => {
    const trouble = faults(() => {})
    await using server = await startTestServer({ interceptors: [trouble] })
    trouble.set({ failOfTen: 10, delayMs: 0 })
    trouble.set({ failOfTen: 0, delayMs: 0 })
    expect((await runRpc(server.client(), 'unary')).status?.code).toBe(Code.OK)
  })

  it('holds a call up until it is cancelled, and tells so', async () => {
    const heldUp = new Gate()
    const trouble = faults(() => heldUp.open())
    await using server = await startTestServer({ interceptors: [trouble] })
    trouble.set({ failOfTen: 0, delayMs: 60_000 })
    const rpc = startRpc(server.client(), 'unary')
    await heldUp.opened
    rpc.cancel()
    await rpc.done
    expect(rpc.status?.code).toBe(Code.CANCELLED)
    expect(server.calls).toHaveLength(0)
  })
})
