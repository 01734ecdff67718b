import { status as Code } from '@grpc/grpc-js'
import { type Behaviour, metadataOf, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { asCaller, keepCallerToken } from './caller-token.ts'

describe('calls in the name of the caller', () => {
  it('carry the token of the call they are made for, whatever else is under way', async () => {
    await using last = await startTestServer()
    const onward = last.client(asCaller())
    const relay: Behaviour = async (rpc) => {
      await rpc.read()
      // Give others a chance to be mixed up with.
      await new Promise((resolve) => setImmediate(resolve))
      const [name] = rpc.metadata.get('name')
      const metadata = metadataOf({ name: String(name) })
      const { status } = await runRpc(onward, 'unary', { metadata })
      await rpc.write({})
      rpc.end({ code: status?.code ?? Code.UNKNOWN, details: '' })
    }
    await using first = await startTestServer({ interceptors: [keepCallerToken()], behaviour: relay })
    const client = first.client()

    await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        runRpc(client, 'unary', { metadata: metadataOf({ name: `n${i}`, authorization: `Bearer t${i}` }) }),
      ),
    )
    const pairs = last.calls.map(({ metadata }) => [metadata.get('name')[0], metadata.get('authorization')[0]])
    expect(pairs).toHaveLength(50)
    for (const [name, authorization] of pairs) expect(authorization).toBe(`Bearer t${String(name).slice(1)}`)
  })
})
