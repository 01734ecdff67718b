import { status as Code } from '@grpc/grpc-js'
import { manual, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { expect, it } from 'vitest'

/** As many calls as nghttp2 lets a client reset at once, and as many more in each second. */
const BURST = 1000
const PER_SECOND = 33
const AT_ONCE = 50

// What README.md says of the attempts that hedge() cancels: each resets its stream.
it("Node's server ends a connection on which a client cancels more calls than a burst and a rate allow", async () => {
  await using server = await startTestServer({ behaviour: manual })
  const client = server.client()
  const began = performance.now()
  const codes = new Map<Code | undefined, number>()
  let calls = 0
  while (codes.size < 2 && calls < 3 * BURST) {
    const rpcs = Array.from({ length: AT_ONCE }, () => startRpc(client, 'unary'))
    calls += AT_ONCE
    await Promise.race([server.received(calls - 1), rpcs[0]?.done])
    for (const rpc of rpcs) rpc.cancel()
    for (const rpc of rpcs) {
      const { status } = await rpc.done
      codes.set(status?.code, (codes.get(status?.code) ?? 0) + 1)
    }
  }
  const allowed = BURST + ((performance.now() - began) / 1000) * PER_SECOND
  expect(calls).toBeGreaterThan(BURST)
  expect(calls).toBeLessThan(allowed + 3 * AT_ONCE)
  expect([...codes.keys()].filter((code) => code !== Code.CANCELLED)).toEqual([
    expect.toBeOneOf([Code.INTERNAL, Code.UNAVAILABLE]),
  ])
}, 30_000)
