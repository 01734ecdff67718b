import { status as Code } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { connect, Greeter } from '../../test/greeter.ts'
import { type Call, createClient, createServer, type Interceptor, interceptChannel, RpcError } from '../index.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

type Register = (call: Call, tap: () => never) => void

/** Where a tap can be put. */
const places: Record<string, Register> = {
  onRequest: (call, tap) => call.onRequest(tap),
  onResponse: (call, tap) => call.onResponse(tap),
  onResponseMetadata: (call, tap) => call.onResponseMetadata(tap),
}

async function open(client: readonly Interceptor[], server: readonly Interceptor[]) {
  const listening = createServer({ interceptors: server })
  listening.addService(Greeter, {
    greet: async () => ({ text: 'hello' }),
    chat: async function* (call) {
      for await (const { name } of call) yield { text: name }
    },
  })
  const channel = await connect(listening)
  closers.push(
    () => listening.drain(0),
    () => channel.close(),
  )
  return createClient(Greeter, interceptChannel(channel, ...client))
}

async function endOf(calls: { unary: PromiseLike<unknown>; bidi: AsyncIterable<unknown> }): Promise<unknown[]> {
  const caught = (error: unknown): unknown => error
  const all = async (): Promise<void> => {
    for await (const _ of calls.bidi);
  }
  return [await Promise.resolve(calls.unary).then(() => undefined, caught), await all().then(() => undefined, caught)]
}

describe('a tap that throws', () => {
  for (const side of ['client', 'server'] as const) {
    for (const [place, register] of Object.entries(places)) {
      const throwing =
        (error: () => Error): Interceptor =>
        (call, next) => {
          register(call, () => {
            throw error()
          })
          return next()
        }
      const stack = (error: () => Error): [Interceptor[], Interceptor[]] =>
        side === 'client' ? [[throwing(error)], []] : [[], [throwing(error)]]

      it(`${side} ${place}: an RpcError ends the RPC with its own code, any other error with INTERNAL`, async () => {
        for (const [error, code] of [
          [() => new RpcError(Code.FAILED_PRECONDITION, 'not this one'), Code.FAILED_PRECONDITION],
          [() => new Error('a bug'), Code.INTERNAL],
        ] as const) {
          const client = await open(...stack(error))
          const ends = await endOf({ unary: client.greet({ name: 'x' }), bidi: client.chat([{ name: 'x' }]) })
          for (const end of ends) expect(end).toMatchObject({ code })
        }
      })
    }
  }

  it('leaves no writer waiting', async () => {
    const refuse: Interceptor = (call, next) => {
      call.onRequest(() => {
        throw new RpcError(Code.INVALID_ARGUMENT, 'no')
      })
      return next()
    }
    const client = await open([refuse], [])
    let returned = false
    const requests = (async function* () {
      try {
        for (;;) yield { name: 'again' }
      } finally {
        returned = true
      }
    })()
    expect(await endOf({ unary: client.greetAll(requests), bidi: client.chat([]) })).toMatchObject([
      { code: Code.INVALID_ARGUMENT },
      undefined,
    ])
    await expect.poll(() => returned).toBe(true)
  })
})
