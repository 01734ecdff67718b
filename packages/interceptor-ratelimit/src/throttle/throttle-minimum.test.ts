import { status as Code } from '@grpc/grpc-js'
import { endWith, FakeClock, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { throttle } from './throttle.ts'

describe('a minimum of evidence', () => {
  it('is twenty rejections in the window: no call is held back before', async () => {
    const throttled = throttle({ clock: new FakeClock(), random: () => 0 })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    const client = server.client(throttled)
    for (let i = 0; i < 20; i++) expect((await runRpc(client, 'unary')).status?.code).toBe(Code.UNAVAILABLE)
    expect(throttled.state().rejection).toBe(0.9)
    expect((await runRpc(client, 'unary')).error).toMatchObject({ refusedBy: 'throttle' })
  })

  it('can be set', async () => {
    const throttled = throttle({ clock: new FakeClock(), random: () => 0, minRejections: 1 })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    expect((await runRpc(server.client(throttled), 'unary')).status?.code).toBe(Code.UNAVAILABLE)
    expect((await runRpc(server.client(throttled), 'unary')).error).toMatchObject({ refusedBy: 'throttle' })
  })

  it('is not made of calls held back: once the rejections are older than the window, all calls go through', async () => {
    const clock = new FakeClock()
    const throttled = throttle({ clock, random: () => 0 })
    await using server = await startTestServer({ behaviour: endWith({ code: Code.UNAVAILABLE }) })
    const client = server.client(throttled)
    for (let i = 0; i < 20; i++) await runRpc(client, 'unary')
    clock.jump(5000)
    for (let i = 0; i < 200; i++) await runRpc(client, 'unary') // held back
    expect([server.calls.length, throttled.state().requests]).toEqual([20, 220])
    clock.jump(5000)
    expect(throttled.state()).toEqual({ requests: 200, accepts: 0, rejection: 0 })
    server.behaviour = endWith({ code: Code.OK })
    await runRpc(client, 'unary')
    expect(server.calls).toHaveLength(21)
  })

  it.each([0, 1.5, '20'])('must be an integer ≥ 1, not %j', (minRejections) => {
    expect(() => throttle({ minRejections } as object)).toThrow(
      'throttle: option "minRejections" must be an integer ≥ 1',
    )
  })
})
