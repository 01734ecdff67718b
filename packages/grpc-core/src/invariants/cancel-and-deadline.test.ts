import { EventEmitter } from 'node:events'
import { status as Code, type ServerUnaryCall } from '@grpc/grpc-js'
import {
  Gate,
  manual,
  metadataOf,
  patterns,
  type RpcSettings,
  runRpc,
  settle,
  startRpc,
  startTestServer,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { awaiting, listening, until } from '../../test/observing.ts'
import type { Call, ClientCall, Interceptor, Next, Status } from '../index.ts'

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
const forever = new Promise<never>(() => undefined)

/** A stack of three in which the nth hangs, before or after the rest has run. */
function stackThatHangs(position: number, when: 'before' | 'after', call?: (call: Call) => void) {
  const observers = [awaiting(), listening(), awaiting()]
  const reached = new Gate()
  const hanging: Interceptor = async (hung, next) => {
    call?.(hung)
    if (when === 'after') await next()
    reached.open()
    return await forever
  }
  const interceptors = observers.map(({ interceptor }) => interceptor)
  interceptors.splice(position, 0, hanging)
  return {
    interceptors,
    reached: reached.opened,
    outer: observers.slice(0, position),
    inner: observers.slice(position),
  }
}

const positions = [0, 1, 2, 3]
const cases = patterns.flatMap((pattern) => positions.map((position) => [pattern, position] as const))

describe('invariant 2: cancel and deadline win over an interceptor that is still working', () => {
  describe('on the client, hung before next()', () => {
    it.each(cases)('a cancel ends it: %s, position %i', async (pattern, position) => {
      let signal: AbortSignal | undefined
      const { interceptors, outer, inner } = stackThatHangs(position, 'before', (call) => {
        signal = call.signal
      })
      await using server = await startTestServer()
      const rpc = startRpc(server.client(...interceptors), pattern, whole)
      await settle()
      rpc.cancel()
      expect((await rpc.done).status).toMatchObject({ code: Code.CANCELLED, details: 'Cancelled on client' })
      expect(signal?.aborted).toBe(true)
      expect(signal?.reason).toMatchObject({ code: Code.CANCELLED })
      for (const { codes } of outer) expect(codes).toEqual([Code.CANCELLED])
      for (const { calls } of inner) expect(calls).toEqual([])
      expect(server.calls).toEqual([])
    })

    it.each(cases)('a deadline ends it, on time: %s, position %i', async (pattern, position) => {
      const { interceptors, outer, inner } = stackThatHangs(position, 'before')
      await using server = await startTestServer()
      const start = performance.now()
      const rpc = await runRpc(server.client(...interceptors), pattern, { options: { deadline: Date.now() + 40 } })
      expect(performance.now() - start).toBeGreaterThan(38)
      expect(performance.now() - start).toBeLessThan(3000)
      expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
      for (const { codes } of outer) expect(codes).toEqual([Code.DEADLINE_EXCEEDED])
      for (const { calls } of inner) expect(calls).toEqual([])
    })
  })

  describe('on the client, hung after next()', () => {
    it.each(cases)('a cancel ends it: %s, position %i', async (pattern, position) => {
      const { interceptors, reached, outer, inner } = stackThatHangs(position, 'after')
      await using server = await startTestServer()
      const rpc = startRpc(server.client(...interceptors), pattern, whole)
      await reached
      rpc.cancel()
      expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
      for (const { codes } of outer) expect(codes).toEqual([Code.CANCELLED])
      for (const { codes } of inner) expect(codes).toEqual([Code.OK])
    })

    it.each(cases)('a deadline ends it: %s, position %i', async (pattern, position) => {
      const { interceptors, outer, inner } = stackThatHangs(position, 'after')
      await using server = await startTestServer()
      const rpc = await runRpc(server.client(...interceptors), pattern, { options: { deadline: Date.now() + 80 } })
      expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
      for (const { codes } of outer) expect(codes).toEqual([Code.DEADLINE_EXCEEDED])
      // On a busy machine the RPC itself may not be done by then.
      for (const { codes } of inner) expect([[Code.OK], [Code.DEADLINE_EXCEEDED]]).toContainEqual(codes)
    })
  })

  describe('on the server, hung before next()', () => {
    it.each(cases)('a cancel ends it: %s, position %i', async (pattern, position) => {
      let signal: AbortSignal | undefined
      const { interceptors, reached, outer, inner } = stackThatHangs(position, 'before', (call) => {
        signal = call.signal
      })
      await using server = await startTestServer({ interceptors })
      const rpc = startRpc(server.client(), pattern, whole)
      await reached
      rpc.cancel()
      await rpc.done
      await until(() => signal?.aborted === true && outer.every(({ codes }) => codes.length > 0))
      for (const { codes } of outer) expect(codes).toEqual([Code.CANCELLED])
      for (const { calls } of inner) expect(calls).toEqual([])
      expect(server.calls).toEqual([])
    })

    it.each(cases)('a deadline ends it: %s, position %i', async (pattern, position) => {
      const { interceptors, outer, inner } = stackThatHangs(position, 'before')
      await using server = await startTestServer({ interceptors })
      const metadata = metadataOf({ 'grpc-timeout': '40m' })
      const rpc = await runRpc(server.client(), pattern, { metadata })
      expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
      await until(() => outer.every(({ codes }) => codes.length > 0))
      for (const { codes } of outer) expect(codes).toEqual([Code.DEADLINE_EXCEEDED])
      for (const { calls } of inner) expect(calls).toEqual([])
      expect(server.calls).toEqual([])
    })
  })

  describe('on the server, hung after next()', () => {
    it.each(cases)('a cancel ends it: %s, position %i', async (pattern, position) => {
      const { interceptors, reached, outer } = stackThatHangs(position, 'after')
      await using server = await startTestServer({ interceptors })
      const rpc = startRpc(server.client(), pattern, whole)
      await reached
      rpc.cancel()
      await until(() => outer.every(({ codes }) => codes.length > 0))
      for (const { codes } of outer) expect(codes).toEqual([Code.CANCELLED])
    })

    it.each(cases)('a deadline ends it: %s, position %i', async (pattern, position) => {
      const { interceptors, outer } = stackThatHangs(position, 'after')
      await using server = await startTestServer({ interceptors })
      const rpc = await runRpc(server.client(), pattern, { metadata: metadataOf({ 'grpc-timeout': '60m' }) })
      expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
      await until(() => outer.every(({ codes }) => codes.length > 0))
      for (const { codes } of outer) expect(codes).toEqual([Code.DEADLINE_EXCEEDED])
    })
  })

  it.each(patterns)('what a hung interceptor still does after the cancel changes nothing: %s', async (pattern) => {
    const token = new Gate()
    let late: Status | undefined
    const fetching = async (_call: ClientCall, next: Next): Promise<Status> => {
      await token.opened
      late = await next()
      return late
    }
    await using server = await startTestServer()
    const rpc = startRpc(server.client(fetching), pattern, whole)
    await settle()
    rpc.cancel()
    await rpc.done
    const events = rpc.events.slice()
    token.open()
    await settle(20)
    expect(late).toMatchObject({ code: Code.CANCELLED })
    expect(rpc.events).toEqual(events)
    expect(server.calls).toEqual([])
  })

  it.each(patterns)(
    'a cancel while the attempt runs reaches the server, whichever layer hangs: %s',
    async (pattern) => {
      await using server = await startTestServer({ behaviour: manual })
      const hanging: Interceptor = async (_call, next) => {
        await next()
        return await forever
      }
      const rpc = startRpc(server.client(hanging), pattern, whole)
      const handler = await server.received(0)
      rpc.cancel()
      expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
      await handler.closed
      expect(handler.cancelled).toBe(true)
    },
  )

  it.each(patterns)('an interceptor may cancel the call it is in: %s', async (pattern) => {
    const outer = awaiting()
    await using server = await startTestServer({ behaviour: manual })
    let cancel: (() => void) | undefined
    const client = server.client(outer.interceptor, (call, next) => {
      cancel = () => call.cancel('not needed any more')
      return next()
    })
    const rpc = startRpc(client, pattern, whole)
    await server.received(0)
    cancel?.()
    expect((await rpc.done).status).toMatchObject({ code: Code.CANCELLED, details: 'not needed any more' })
    expect(outer.codes).toEqual([Code.CANCELLED])
  })

  // reference: deviation 4
  it('the deadline is fixed when the call is made, and covers the time of interceptors and every attempt', async () => {
    const deadline = Date.now() + 60_000
    const slow = async (call: ClientCall, next: Next): Promise<Status> => {
      call.makeReplayable({ maxBytes: 0, maxMessages: 0 })
      await new Promise((resolve) => setTimeout(resolve, 30))
      await next()
      await new Promise((resolve) => setTimeout(resolve, 30))
      return await next()
    }
    const seen: number[] = []
    const looking: Interceptor = (call, next) => {
      seen.push(call.deadline)
      return next()
    }
    await using server = await startTestServer({ behaviour: (rpc) => rpc.end({ code: Code.ABORTED }) })
    await runRpc(server.client(looking, slow, looking), 'unary', { options: { deadline } })
    expect(seen).toEqual([deadline, deadline, deadline])
    expect(server.calls.length).toBe(2)
    for (const handler of server.calls) expect(Math.abs(handler.deadline - deadline)).toBeLessThan(5000)
  })

  it('no interceptor can put the deadline off', async () => {
    const deadline = Date.now() + 60
    const seen: number[] = []
    await using server = await startTestServer({ behaviour: manual })
    const client = server.client((call, next) => {
      call.deadline = Date.now() + 60_000
      seen.push(call.deadline)
      call.deadline = Number.POSITIVE_INFINITY
      seen.push(call.deadline)
      return next()
    })
    const rpc = await runRpc(client, 'unary', { options: { deadline } })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(seen).toEqual([deadline, deadline])
  })

  it('a hung interceptor ends with the parent call', async () => {
    const parent = Object.assign(new EventEmitter(), { getDeadline: () => Number.POSITIVE_INFINITY })
    const { interceptors } = stackThatHangs(1, 'before')
    await using server = await startTestServer()
    const options = { parent: parent as unknown as ServerUnaryCall<unknown, unknown> }
    const rpc = startRpc(server.client(...interceptors), 'bidi', { options })
    await settle()
    parent.emit('cancelled')
    expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
    expect(parent.listenerCount('cancelled')).toBe(0)
  })

  it("a hung interceptor ends by the parent call's deadline", async () => {
    const deadline = Date.now() + 40
    const parent = Object.assign(new EventEmitter(), { getDeadline: () => deadline })
    const { interceptors } = stackThatHangs(1, 'before')
    await using server = await startTestServer()
    const options = { parent: parent as unknown as ServerUnaryCall<unknown, unknown> }
    const rpc = await runRpc(server.client(...interceptors), 'unary', { options })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
  })

  it('a deadline that has passed starts nothing', async () => {
    const { interceptors, outer } = stackThatHangs(2, 'before')
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(...interceptors), 'unary', { options: { deadline: Date.now() - 1000 } })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    for (const { codes } of outer) expect(codes).toEqual([Code.DEADLINE_EXCEEDED])
    expect(server.calls).toEqual([])
  })

  it('a deadline months away does not fire at once', async () => {
    const gate = new Gate()
    const waiting: Interceptor = async (_call, next) => {
      await gate.opened
      return await next()
    }
    await using server = await startTestServer()
    const deadline = Date.now() + 60 * 24 * 3600 * 1000 // of 90 days a server of grpc-js ends a call at once (grpc-js-facts.test.ts)
    const rpc = startRpc(server.client(waiting), 'unary', { ...whole, options: { deadline } })
    await settle(20)
    expect(rpc.isDone).toBe(false)
    gate.open()
    expect((await rpc.done).status?.code).toBe(Code.OK)
  })
})
