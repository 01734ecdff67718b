import { status as Code, credentials } from '@grpc/grpc-js'
import { TestClient } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Answer, type Ask, Greeter } from '../../test/greeter.ts'
import { collect, failureOf, type GreeterServer, startGreeter } from '../../test/greeter-server.ts'
import {
  type ClientInterceptor,
  clientInterceptors,
  createClient,
  type Interceptor,
  interceptChannel,
  select,
} from '../index.ts'

/** The same service under another name. */
const other = (path: string): string => path.replace('greet.v1', 'greet.v2')
const GreeterV2 = {
  greet: { ...Greeter.greet, path: other(Greeter.greet.path) },
  greetMany: { ...Greeter.greetMany, path: other(Greeter.greetMany.path) },
  greetAll: { ...Greeter.greetAll, path: other(Greeter.greetAll.path) },
  chat: { ...Greeter.chat, path: other(Greeter.chat.path) },
} as const

let greeter: GreeterServer
beforeAll(async () => {
  greeter = await startGreeter()
  greeter.server.addService(GreeterV2, {
    greet: (_call: unknown, callback: (error: null, answer: Answer) => void) => callback(null, { text: 'v2' }),
    greetMany: async function* () {
      yield { text: 'v2' }
    },
    greetAll: (_call: unknown, callback: (error: null, answer: Answer) => void) => callback(null, { text: 'v2' }),
    chat: async function* () {
      yield { text: 'v2' }
    },
  } as never)
})
afterAll(() => greeter.stop())

const rewriting: ClientInterceptor = {
  interceptUnaryUnary: (continuation, details, request) =>
    continuation(details.with({ method: other(details.method) }), request),
  interceptUnaryStream: (continuation, details, request) => continuation({ method: other(details.method) }, request),
  interceptStreamUnary: (continuation, details, requests) => continuation({ method: other(details.method) }, requests),
  interceptStreamStream: (continuation, details, requests) => continuation({ method: other(details.method) }, requests),
}

const ada: Ask = { name: 'Ada' }
const v2: Answer = { text: 'v2' }

describe('another method in the details', () => {
  // reference: deviation 14, symbol 18
  it('is what is called on a channel of this library, for every kind of call', async () => {
    const client = createClient(Greeter, interceptChannel(greeter.channel, rewriting))
    expect(await client.greet(ada)).toEqual(v2)
    expect(await collect(client.greetMany(ada))).toEqual([v2])
    expect(await client.greetAll([ada])).toEqual(v2)
    expect(await collect(client.chat([ada]))).toEqual([v2])
    expect(await greeter.client.greet(ada)).toEqual({ text: 'Hello Ada' })
  })

  it('is what inner interceptors see, and those that are selected for it run', async () => {
    const seen: string[] = []
    const look =
      (name: string): Interceptor =>
      (call, next) => {
        seen.push(`${name} ${call.method.path}`)
        return next()
      }
    const contract = (name: string): ClientInterceptor => ({
      interceptUnaryUnary: (continuation, details, request) => {
        seen.push(`${name} ${details.method}`)
        return continuation(details, request)
      },
    })
    const channel = interceptChannel(
      greeter.channel,
      look('outside'),
      rewriting,
      select('greet.v1.Greeter', look('for v1'), contract('contract for v1')),
      select('greet.v2.Greeter', look('for v2'), contract('contract for v2')),
      contract('inside'),
      look('innermost'),
    )
    expect(await createClient(Greeter, channel).greet(ada)).toEqual(v2)
    expect(seen).toEqual([
      'outside /greet.v1.Greeter/Greet',
      'for v2 /greet.v2.Greeter/Greet',
      'contract for v2 /greet.v2.Greeter/Greet',
      'inside /greet.v2.Greeter/Greet',
      'innermost /greet.v2.Greeter/Greet',
    ])
  })

  it('can be changed back by an inner interceptor', async () => {
    const back: ClientInterceptor = {
      interceptUnaryUnary: (continuation, details, request) =>
        continuation({ method: details.method.replace('v2', 'v1') }, request),
    }
    const client = createClient(Greeter, interceptChannel(greeter.channel, rewriting, back))
    expect(await client.greet(ada)).toEqual({ text: 'Hello Ada' })
  })

  it('that the server does not have is UNIMPLEMENTED', async () => {
    const nowhere: ClientInterceptor = {
      interceptUnaryUnary: (continuation, details, request) =>
        continuation(details.with({ method: '/greet.v9.Greeter/Greet' }), request),
    }
    const client = createClient(Greeter, interceptChannel(greeter.channel, nowhere))
    expect((await failureOf(client.greet(ada))).code).toBe(Code.UNIMPLEMENTED)
  })

  // reference: deviation 14
  it('is refused on a stub with a channel of its own', async () => {
    const address = greeter.channel.getTarget().replace(/^dns:/, '')
    const stub = new TestClient(address, credentials.createInsecure(), { interceptors: clientInterceptors(rewriting) })
    const { path, requestSerialize, responseDeserialize } = Greeter.greet
    const error = await new Promise<unknown>((resolve) => {
      stub.makeUnaryRequest(path, requestSerialize, responseDeserialize, ada, resolve)
    })
    stub.close()
    expect(error).toMatchObject({
      code: Code.INTERNAL,
      details: expect.stringContaining('only be changed on a channel of this library'),
    })
  })
})
