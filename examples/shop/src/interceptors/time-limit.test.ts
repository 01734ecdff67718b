import { status as Code } from '@grpc/grpc-js'
import { manual, patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { timeLimit } from './time-limit.ts'

describe('timeLimit', () => {
  it.for(patterns)('ends a call whose caller would wait for ever: %s', async (pattern) => {
    await using server = await startTestServer({ behaviour: manual })
    const { status } = await runRpc(server.client(timeLimit(50)), pattern)
    expect(status?.code).toBe(Code.DEADLINE_EXCEEDED)
  })

  it('leaves an earlier deadline as it is', async () => {
    await using server = await startTestServer({ behaviour: manual })
    const options = { deadline: Date.now() + 50 }
    const { status } = await runRpc(server.client(timeLimit(60_000)), 'unary', { options })
    expect(status?.code).toBe(Code.DEADLINE_EXCEEDED)
  })
})
