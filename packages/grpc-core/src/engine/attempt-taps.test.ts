import { status as Code } from '@grpc/grpc-js'
import {
  failing,
  metadataOf,
  patterns,
  type RpcSettings,
  runRpc,
  startRpc,
  startTestServer,
} from '@grpc-stack/grpc-testing'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { ClientCall, Interceptor, Next, Status, UnaryUnaryClientInterceptor } from '../index.ts'

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
afterEach(() => vi.restoreAllMocks())

/** Tries up to three times. */
const repeating = (call: ClientCall, next: Next): Promise<Status> => {
  call.makeReplayable({ maxBytes: 1000, maxMessages: 10 })
  let left = 2
  const again = async (status: Status): Promise<Status> =>
    status.code === Code.OK || left-- === 0 ? status : again(await next())
  return call.recover(next, (status) => (status.code === Code.OK ? undefined : again(status)))
}

interface Heard {
  readonly number: number
  readonly repeatable: boolean
  readonly ends: Code[]
}

/** Writes down the attempts, and marks each on the wire. */
function listening(): { readonly heard: Heard[]; readonly interceptor: Interceptor<ClientCall> } {
  const heard: Heard[] = []
  return {
    heard,
    interceptor: (call, next) => {
      call.onAttempt(({ number, repeatable, call: own }) => {
        own.metadata.set('attempt', String(number))
        const ends: Code[] = []
        heard.push({ number, repeatable, ends })
        return ({ code }) => void ends.push(code)
      })
      return next()
    },
  }
}

describe('onAttempt', () => {
  it.each(patterns)('hears of each attempt before it goes out, and once how it ends: %s', async (pattern) => {
    const { heard, interceptor } = listening()
    await using server = await startTestServer({ interceptors: [failing(2)] })
    const rpc = await runRpc(server.client(interceptor, repeating), pattern, whole)
    expect(rpc.status?.code).toBe(Code.OK)
    expect(heard).toEqual([
      { number: 1, repeatable: true, ends: [Code.UNAVAILABLE] },
      { number: 2, repeatable: true, ends: [Code.UNAVAILABLE] },
      { number: 3, repeatable: true, ends: [Code.OK] },
    ])
    expect(server.calls[0]?.metadata.get('attempt')).toEqual(['3'])
  })

  it('says so where there can be only one', async () => {
    const { heard, interceptor } = listening()
    await using server = await startTestServer()
    await runRpc(server.client(interceptor), 'unary', whole)
    expect(heard).toEqual([{ number: 1, repeatable: false, ends: [Code.OK] }])
  })

  it('hears nothing of a call that is refused before it goes out', async () => {
    const { heard, interceptor } = listening()
    await using server = await startTestServer()
    await runRpc(
      server.client(interceptor, () => ({ code: Code.ABORTED })),
      'unary',
      whole,
    )
    expect(heard).toEqual([])
  })

  it('hears that an attempt was cancelled', async () => {
    const { heard, interceptor } = listening()
    await using server = await startTestServer({ behaviour: () => undefined })
    const rpc = startRpc(server.client(interceptor), 'bidi', whole)
    await server.received(0)
    rpc.cancel()
    await rpc.done
    expect(heard).toEqual([{ number: 1, repeatable: false, ends: [Code.CANCELLED] }])
  })

  it('hears of the attempts of an interceptor object, which run at the same time', async () => {
    const twice: UnaryUnaryClientInterceptor = {
      async interceptUnaryUnary(continuation, details, request) {
        const both = [continuation(details, request), continuation(details, request)] as const
        await both[0]
        return both[1]
      },
    }
    const outer = listening()
    const inner = listening()
    await using server = await startTestServer()
    await runRpc(server.client(outer.interceptor, twice, inner.interceptor), 'unary', whole)
    expect(outer.heard).toEqual([
      { number: 1, repeatable: true, ends: [Code.OK] },
      { number: 2, repeatable: true, ends: [Code.OK] },
    ])
    expect(inner.heard).toHaveLength(2)
    expect(server.calls.map(({ metadata }) => metadata.get('attempt')[0]).sort()).toEqual(['1', '2'])
  })

  it('what it sets is gone in the next attempt, and what it throws is a warning', async () => {
    const warned: unknown[] = []
    vi.spyOn(process, 'emitWarning').mockImplementation((text) => void warned.push(text))
    const throwing: Interceptor<ClientCall> = (call, next) => {
      call.onAttempt(({ number, call: own }) => {
        if (number === 1) own.metadata.set('first', 'yes')
        if (number === 2) throw new Error('at its beginning')
        return () => {
          throw new Error('at its end')
        }
      })
      return next()
    }
    await using server = await startTestServer({ interceptors: [failing(1)] })
    const rpc = await runRpc(server.client(throwing, repeating), 'unary', {
      ...whole,
      metadata: metadataOf({ a: 'b' }),
    })
    expect(rpc.status?.code).toBe(Code.OK)
    expect(server.calls[0]?.metadata.get('first')).toEqual([])
    expect(warned).toEqual([expect.stringContaining('at its end'), expect.stringContaining('at its beginning')])
  })

  it('takes a function only', async () => {
    const wrong: Interceptor<ClientCall> = (call, next) => {
      call.onAttempt(5 as never)
      return next()
    }
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(wrong), 'unary', whole)
    expect(rpc.status).toMatchObject({
      code: Code.INTERNAL,
      details: expect.stringContaining('onAttempt: a tap must be'),
    })
  })
})
