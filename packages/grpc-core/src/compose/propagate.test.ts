import { status as Code } from '@grpc/grpc-js'
import { Gate, manual, patterns, runRpc, startRpc, startTestServer, type TestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import { type Interceptor, propagate, type Status } from '../index.ts'

const passThrough: Interceptor = (_call, next) => next()

/** client → front → backend, where the front calls onward while it handles. */
async function twoHops(onServer: readonly Interceptor[] = [passThrough]) {
  const backend = await startTestServer({ behaviour: manual })
  const outcomes: (Status | undefined)[] = []
  const onward = backend.client(propagate())
  const front: TestServer = await startTestServer({
    interceptors: onServer,
    behaviour: async (rpc) => {
      const status = (await runRpc(onward, rpc.pattern)).status
      outcomes.push(status)
      rpc.end({ code: status?.code ?? Code.UNKNOWN })
    },
  })
  return {
    backend,
    front,
    outcomes,
    onward,
    client: front.client(),
    async [Symbol.asyncDispose]() {
      await front.stop()
      await backend.stop()
    },
  }
}

describe('propagate() bounds a call by the server call being handled', () => {
  it.each(patterns)('its deadline holds across hops: %s', async (pattern) => {
    await using hops = await twoHops()
    const deadline = Date.now() + 200
    const rpc = await runRpc(hops.client, pattern, { options: { deadline } })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    await until(() => hops.outcomes.length > 0)
    // The front's own deadline, the same moment, may speak first: then the call onward is cancelled with it.
    expect([Code.DEADLINE_EXCEEDED, Code.CANCELLED]).toContain(hops.outcomes[0]?.code)
    expect(Math.abs((hops.backend.calls[0]?.deadline ?? 0) - deadline)).toBeLessThan(5000)
    await hops.backend.calls[0]?.closed
  })

  it.each(patterns)('a cancel goes through to the last server: %s', async (pattern) => {
    await using hops = await twoHops()
    const rpc = startRpc(hops.client, pattern, { requests: [{}] })
    const last = await hops.backend.received(0)
    rpc.cancel()
    await last.closed
    expect(last.cancelled).toBe(true)
    await until(() => hops.outcomes.length > 0)
    expect(hops.outcomes[0]?.code).toBe(Code.CANCELLED)
  })

  it('a shorter deadline of the outgoing call stays', async () => {
    const seen: number[] = []
    await using backend = await startTestServer()
    const looking: Interceptor = (call, next) => {
      seen.push(call.deadline)
      return next()
    }
    const onward = backend.client(propagate(), looking)
    const shorter = Date.now() + 10_000
    await using front = await startTestServer({
      interceptors: [passThrough],
      behaviour: async (rpc) => {
        await runRpc(onward, 'unary', { options: { deadline: shorter } })
        rpc.end()
      },
    })
    await runRpc(front.client(), 'unary', { options: { deadline: Date.now() + 60_000 } })
    expect(seen).toEqual([shorter])
  })

  it('a deadline that an interceptor of the server shortened is what counts', async () => {
    const shortened = Date.now() + 30_000
    const shortening: Interceptor = (call, next) => {
      call.deadline = shortened
      return next()
    }
    await using hops = await twoHops([shortening])
    const rpc = startRpc(hops.client, 'unary')
    const last = await hops.backend.received(0)
    expect(Math.abs(last.deadline - shortened)).toBeLessThan(5000)
    last.end()
    await rpc.done
  })

  it('a call begun after the cancel is refused before anything is sent', async () => {
    const gate = new Gate()
    const outcome: { status?: Status | undefined } = {}
    await using backend = await startTestServer()
    const onward = backend.client(propagate())
    await using front = await startTestServer({
      interceptors: [passThrough],
      behaviour: async (handled) => {
        await handled.closed
        outcome.status = (await runRpc(onward, 'unary')).status
        gate.open()
      },
    })
    const rpc = startRpc(front.client(), 'unary')
    await front.received(0)
    rpc.cancel()
    await gate.opened
    expect(outcome.status?.code).toBe(Code.CANCELLED)
    expect(backend.calls).toEqual([])
  })

  it('a call that outlives a server call which ended well is let be', async () => {
    const done = new Gate()
    let code: number | undefined
    await using backend = await startTestServer({ behaviour: manual })
    const onward = backend.client(propagate())
    await using front = await startTestServer({
      interceptors: [passThrough],
      behaviour: (rpc) => {
        void runRpc(onward, 'unary').then(({ status }) => {
          code = status?.code
          done.open()
        })
        rpc.end()
      },
    })
    await runRpc(front.client(), 'unary')
    const last = await backend.received(0)
    await front.calls[0]?.closed
    last.end()
    await done.opened
    expect(code).toBe(Code.OK)
  })

  it('a cancel reaches all of many calls onward, and nothing warns of a leak', async () => {
    const many = 12
    const warnings: string[] = []
    const warned = (warning: Error): void => void warnings.push(warning.name)
    process.on('warning', warned)
    const codes: (number | undefined)[] = []
    await using backend = await startTestServer({ behaviour: manual })
    const onward = backend.client(propagate())
    await using front = await startTestServer({
      interceptors: [passThrough],
      behaviour: async () => {
        const calls = Array.from({ length: many }, () => runRpc(onward, 'unary'))
        for (const { status } of await Promise.all(calls)) codes.push(status?.code)
      },
    })
    const rpc = startRpc(front.client(), 'unary')
    await backend.received(many - 1)
    rpc.cancel()
    await until(() => codes.length === many)
    process.off('warning', warned)
    expect(codes).toEqual(Array(many).fill(Code.CANCELLED))
    expect(warnings).toEqual([])
  })

  it('outside a server call it does nothing', async () => {
    await using server = await startTestServer()
    for (const pattern of patterns) {
      expect((await runRpc(server.client(propagate()), pattern)).status?.code).toBe(Code.OK)
    }
    expect(server.calls.map(({ deadline }) => deadline)).toEqual(Array(4).fill(Number.POSITIVE_INFINITY))
  })
})
