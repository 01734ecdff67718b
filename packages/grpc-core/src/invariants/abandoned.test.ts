import { status as Code } from '@grpc/grpc-js'
import { Gate, manual, patterns, runRpc, settle, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { awaiting, listening, sides, until } from '../../test/observing.ts'
import type { ClientCall, Interceptor, Next, Status } from '../index.ts'

const forever = new Promise<never>(() => undefined)

describe('invariant 1: an interceptor that does not wait for its next() leaves no inner layer waiting', () => {
  describe.each(sides)('on the %s', (side) => {
    it.each(patterns)('inner interceptors hear CANCELLED, outer ones the status: %s', async (pattern) => {
      const outer = [awaiting(), listening()]
      const inner = [awaiting(), listening(), awaiting(), listening()]
      const impatient: Interceptor = (_call, next) => {
        void next()
        return { code: Code.ABORTED, details: 'no patience' }
      }
      const interceptors = [
        ...outer.map(({ interceptor }) => interceptor),
        impatient,
        ...inner.map(({ interceptor }) => interceptor),
      ]
      await using server = await startTestServer({
        behaviour: manual,
        interceptors: side === 'server' ? interceptors : [],
      })
      const rpc = await runRpc(side === 'client' ? server.client(...interceptors) : server.client(), pattern)
      expect(rpc.status).toMatchObject({ code: Code.ABORTED, details: 'no patience' })
      await until(() => inner.every(({ statuses }) => statuses.length > 0), 'a status for the inner ones')
      await settle()
      for (const { codes } of inner) expect(codes).toEqual([Code.CANCELLED])
      for (const { codes } of outer) expect(codes).toEqual([Code.ABORTED])
      for (const handler of server.calls) await handler.closed
    })

    it.each(patterns)('also when one of the inner ones hangs: %s', async (pattern) => {
      const inner = [awaiting(), listening(), awaiting()]
      const hangs = new Gate()
      const token = new Gate()
      let late: Status | undefined
      const hanging: Interceptor = async (_call, next) => {
        hangs.open()
        await token.opened
        late = await next()
        return late
      }
      const impatient: Interceptor = async (_call, next) => {
        void next()
        await hangs.opened
        return { code: Code.ABORTED }
      }
      const interceptors = [impatient, ...inner.map(({ interceptor }) => interceptor), hanging]
      await using server = await startTestServer({ interceptors: side === 'server' ? interceptors : [] })
      const rpc = await runRpc(side === 'client' ? server.client(...interceptors) : server.client(), pattern)
      expect(rpc.status?.code).toBe(Code.ABORTED)
      await until(() => inner.every(({ statuses }) => statuses.length > 0), 'a status for the inner ones')
      for (const { codes } of inner) expect(codes).toEqual([Code.CANCELLED])
      token.open()
      await settle()
      expect(late?.code).toBe(Code.CANCELLED)
      expect(server.calls).toEqual([])
    })
  })

  it.each(patterns)('what is left of one attempt does not disturb the next: %s', async (pattern) => {
    // retry → impatient → watched → hanging: the first attempt hangs, is gone on without, and wakes up in the second.
    const hangs = new Gate()
    const wake = new Gate()
    const watched = awaiting()
    const heard = listening()
    const codes: number[] = []
    let attempts = 0
    const retrying = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
      codes.push((await next()).code)
      const second = await next()
      codes.push(second.code)
      return second
    }
    const impatient: Interceptor = async (_call, next) => {
      attempts++
      const rest = next()
      if (attempts > 1) return await rest
      await hangs.opened
      return { code: Code.ABORTED }
    }
    const hanging: Interceptor = async (_call, next) => {
      if (attempts > 1) {
        await settle()
        wake.open()
        await settle()
        return await next()
      }
      hangs.open()
      await wake.opened
      return { code: Code.DATA_LOSS }
    }
    await using server = await startTestServer()
    const client = server.client(retrying, impatient, watched.interceptor, heard.interceptor, hanging)
    const rpc = await runRpc(client, pattern)
    expect(rpc.status?.code).toBe(Code.OK)
    expect(rpc.messages.length).toBeGreaterThan(0)
    expect(codes).toEqual([Code.ABORTED, Code.OK])
    expect(watched.codes).toEqual([Code.CANCELLED, Code.OK])
    expect(heard.codes).toEqual([Code.CANCELLED, Code.OK])
    expect(server.calls.length).toBe(1)
  })

  it.each(patterns)('an attempt that is gone on without is cancelled on the server: %s', async (pattern) => {
    const reached = new Gate()
    const impatient: Interceptor = async (_call, next) => {
      void next()
      await reached.opened
      return { code: Code.ABORTED }
    }
    await using server = await startTestServer({ behaviour: manual })
    const rpc = runRpc(server.client(impatient), pattern)
    const handler = await server.received(0)
    reached.open()
    expect((await rpc).status?.code).toBe(Code.ABORTED)
    await handler.closed
    expect(handler.cancelled).toBe(true)
  })
})

describe('the promise of next()', () => {
  it('may be kept for ever without harm', async () => {
    const kept: Promise<Status>[] = []
    const keeping: Interceptor = (_call, next) => {
      const status = next()
      kept.push(status)
      return status
    }
    await using server = await startTestServer()
    await runRpc(server.client(keeping), 'unary')
    expect((await kept[0])?.code).toBe(Code.OK)
  })

  it('is of no use to an interceptor that hangs: the application gets its cancel', async () => {
    await using server = await startTestServer({ behaviour: manual })
    const hanging: Interceptor = (_call, next) => {
      void next()
      return forever
    }
    const rpc = runRpc(server.client(hanging), 'unary', { options: { deadline: Date.now() + 50 } })
    expect((await rpc).status?.code).toBe(Code.DEADLINE_EXCEEDED)
  })
})
