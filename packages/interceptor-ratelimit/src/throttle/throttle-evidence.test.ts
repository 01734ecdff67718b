import { status as Code } from '@grpc/grpc-js'
import { type Interceptor, RpcError, type Status } from '@grpc-stack/grpc-core'
import {
  endWith,
  FakeClock,
  manual,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  unserializable,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it, vi } from 'vitest'
import { throttle } from './throttle.ts'

const NOTHING = { requests: 0, accepts: 0, rejection: 0 }

const adaptive = (options = {}) => throttle({ clock: new FakeClock(), random: () => 0.999, ...options })

describe.each(patterns)('what one caller does raises the rejection for none of the others, %s', (pattern) => {
  it('the quota of one caller: forty RESOURCE_EXHAUSTED count for nothing', async () => {
    const throttled = adaptive()
    await using server = await startTestServer({ behaviour: endWith({ code: Code.RESOURCE_EXHAUSTED }) })
    const client = server.client(throttled)
    for (let i = 0; i < 40; i++) await runRpc(client, pattern)
    expect(throttled.state()).toEqual(NOTHING)
  })

  it('deadlines and cancels count for nothing', async () => {
    const throttled = adaptive()
    await using server = await startTestServer({ behaviour: manual })
    const client = server.client(throttled)
    await Promise.all(
      Array.from({ length: 30 }, async () => {
        const options = { deadline: Date.now() + 50 }
        expect((await runRpc(client, pattern, { options })).status?.code).toBe(Code.DEADLINE_EXCEEDED)
      }),
    )
    const rpc = startRpc(client, pattern)
    rpc.cancel()
    await rpc.done
    expect(throttled.state()).toEqual(NOTHING)
  })

  it('requests that cannot be serialized count for nothing', async () => {
    const throttled = adaptive()
    await using server = await startTestServer()
    for (let i = 0; i < 30; i++) await runRpc(server.client(throttled), pattern, { requests: [unserializable] })
    expect(throttled.state()).toEqual(NOTHING)
  })

  it('refusals of interceptors here count for nothing, whatever isRejected says', async () => {
    const throttled = adaptive({ isRejected: () => true })
    const refusing: Interceptor = () => ({ code: Code.UNAVAILABLE })
    const broken: Interceptor = () => {
      throw new RpcError(Code.UNAVAILABLE, 'no token')
    }
    await using server = await startTestServer()
    for (const inner of [refusing, broken]) {
      for (let i = 0; i < 30; i++) await runRpc(server.client(throttled, inner), pattern)
    }
    expect(throttled.state()).toEqual(NOTHING)
  })
})

describe('what counts as a rejection', () => {
  it('is what the default says where isRejected throws, with a warning of the process', async () => {
    const warning = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const throttled = adaptive({
      isRejected: () => {
        throw new Error('bad rule')
      },
    })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    expect((await runRpc(server.client(throttled), 'unary')).status?.code).toBe(Code.UNAVAILABLE)
    expect(throttled.state()).toMatchObject({ requests: 1, accepts: 0 })
    expect(warning).toHaveBeenCalledWith(expect.stringContaining('bad rule'), expect.anything())
  })

  it.each(patterns)('UNAVAILABLE from the server: %s', async (pattern) => {
    const throttled = adaptive()
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    for (let i = 0; i < 40; i++) await runRpc(server.client(throttled), pattern)
    expect(throttled.state()).toEqual({ requests: 40, accepts: 0, rejection: 0.9 })
  })

  it('RESOURCE_EXHAUSTED, where isRejected says so', async () => {
    const isRejected = ({ code }: Status) => code === Code.UNAVAILABLE || code === Code.RESOURCE_EXHAUSTED
    const throttled = adaptive({ isRejected })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.RESOURCE_EXHAUSTED }) })
    for (let i = 0; i < 40; i++) await runRpc(server.client(throttled), 'unary')
    expect(throttled.state().rejection).toBe(0.9)
  })

  it.each(['serverStream', 'bidi'] as const)(
    'not the end of a %s that had a message: the server restarts',
    async (pattern) => {
      const throttled = adaptive()
      await using server = await startTestServer({
        behaviour: async (rpc) => {
          await rpc.write({ n: 1 })
          rpc.end({ code: Code.UNAVAILABLE })
        },
      })
      for (let i = 0; i < 40; i++) await runRpc(server.client(throttled), pattern)
      expect(throttled.state()).toEqual({ requests: 40, accepts: 40, rejection: 0 })
    },
  )
})
