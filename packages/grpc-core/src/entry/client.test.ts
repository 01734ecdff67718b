import { type Client, status as Code, Metadata, makeGenericClientConstructor } from '@grpc/grpc-js'
import * as protoLoader from '@grpc/proto-loader'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connect, Greeter } from '../../test/greeter.ts'
import { type Channel, createClient, createServer, type Interceptor, interceptChannel, RpcError } from '../index.ts'
import type { StackServer } from './server.ts'

let server: StackServer
let channel: Channel

beforeAll(async () => {
  server = createServer()
  server.addService(Greeter, {
    greet: async (call) => {
      if (call.request.name === 'nobody') throw new RpcError(Code.NOT_FOUND, 'no such person')
      if (call.request.name === 'wait') await new Promise((resolve) => call.once('cancelled', resolve))
      call.sendMetadata(call.metadata.clone())
      return { text: `Hello ${call.request.name}` }
    },
    greetMany: async function* (call) {
      for (let i = 0; i < (call.request.times ?? 0); i++) yield { text: `${call.request.name} ${i}` }
    },
    greetAll: async (call) => {
      const names: string[] = []
      for await (const { name } of call) names.push(name)
      return { text: names.join(' and ') }
    },
    chat: async function* (call) {
      for await (const { name } of call) yield { text: `Hello ${name}` }
    },
  })
  channel = await connect(server)
})

afterAll(async () => {
  channel.close()
  await server.drain(0)
})

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('createClient', () => {
  // reference: symbol 29, symbol 30
  it('serves the four kinds of method with promises and async iterables', async () => {
    const client = createClient(Greeter, channel)
    expect(await client.greet({ name: 'you' })).toEqual({ text: 'Hello you' })
    expect(await collect(client.greetMany({ name: 'n', times: 3 }))).toHaveLength(3)
    expect(await client.greetAll([{ name: 'a' }, { name: 'b' }])).toEqual({ text: 'a and b' })
    const names = async function* () {
      yield { name: 'a' }
      yield { name: 'b' }
    }
    expect(await collect(client.chat(names()))).toEqual([{ text: 'Hello a' }, { text: 'Hello b' }])
  })

  it('rejects with an RpcError that carries code, details and trailers', async () => {
    const error = await createClient(Greeter, channel)
      .greet({ name: 'nobody' })
      .then(undefined, (e: unknown) => e)
    expect(error).toBeInstanceOf(RpcError)
    expect(error).toMatchObject({ code: Code.NOT_FOUND, details: 'no such person', origin: 'remote' })
    expect((error as RpcError).metadata).toBeInstanceOf(Metadata)
  })

  it('sends metadata without changing the object it was given', async () => {
    const metadata = new Metadata()
    metadata.set('x-caller', 'me')
    const before = metadata.getMap()
    const stamp: Interceptor = (call, next) => {
      call.metadata.set('x-stamp', '1')
      return next()
    }
    const call = createClient(Greeter, interceptChannel(channel, stamp)).greet({ name: 'you' }, { metadata })
    expect((await call.headers).get('x-stamp')).toEqual(['1'])
    expect((await call.headers).get('x-caller')).toEqual(['me'])
    expect(metadata.getMap()).toEqual(before)
  })

  it('ends a call at the earlier of timeoutMs and deadline', async () => {
    const client = createClient(Greeter, channel)
    for (const options of [
      { timeoutMs: 30, deadline: Date.now() + 60_000 },
      { timeoutMs: 60_000, deadline: new Date(Date.now() + 30) },
    ]) {
      const error = await client.greet({ name: 'wait' }, options).then(undefined, (e: unknown) => e)
      expect(error).toMatchObject({ code: Code.DEADLINE_EXCEEDED })
    }
  })

  it('cancels by signal, before the call and during it', async () => {
    const client = createClient(Greeter, channel)
    const early = client.greet({ name: 'you' }, { signal: AbortSignal.abort() })
    await expect(early.then((value) => value)).rejects.toMatchObject({ code: Code.CANCELLED })
    const controller = new AbortController()
    const call = client.greet({ name: 'wait' }, { signal: controller.signal })
    controller.abort()
    expect((await call.status).code).toBe(Code.CANCELLED)
  })

  it('runs per-call interceptors inside those of the channel, resolved from the same list once', async () => {
    const order: string[] = []
    const named =
      (name: string): Interceptor =>
      (_call, next) => {
        order.push(name)
        return next()
      }
    const client = createClient(Greeter, interceptChannel(channel, named('channel')))
    const interceptors = [named('call')]
    await client.greet({ name: 'you' }, { interceptors })
    await client.greet({ name: 'you' }, { interceptors })
    await client.greet({ name: 'you' })
    expect(order).toEqual(['channel', 'call', 'channel', 'call', 'channel'])
  })

  it('works on a bare grpc-js channel', async () => {
    const Stub = makeGenericClientConstructor(Greeter, 'Greeter')
    const stub: Client = channel.client(Stub)
    expect(await createClient(Greeter, stub.getChannel()).greet({ name: 'you' })).toEqual({ text: 'Hello you' })
  })

  it('takes the definitions proto-loader makes, by either spelling of a method', async () => {
    const { root, ...definitions } = protoLoader.fromJSON(
      {
        nested: {
          greet: {
            nested: {
              v1: {
                nested: {
                  Ask: { fields: { name: { type: 'string', id: 1 } } },
                  Greeter: { methods: { Greet: { requestType: 'Ask', responseType: 'Ask', comment: '' } } },
                },
              },
            },
          },
        },
      },
      {},
    ) as Record<string, unknown>
    expect(root).toBeUndefined()
    const definition = definitions['greet.v1.Greeter'] as protoLoader.ServiceDefinition
    const seen: string[] = []
    const echo: Interceptor = async (call) => {
      seen.push(call.method.path)
      await call.respond({ name: 'answered here' })
      return { code: Code.OK }
    }
    const client = createClient(definition as never, interceptChannel(channel, echo)) as Record<
      'greet' | 'Greet',
      (request: unknown) => PromiseLike<unknown>
    >
    expect(await client.greet({ name: 'you' })).toEqual({ name: 'answered here' })
    expect(await client.Greet({ name: 'you' })).toEqual({ name: 'answered here' })
    expect(seen).toEqual(['/greet.v1.Greeter/Greet', '/greet.v1.Greeter/Greet'])
  })

  it('names what is wrong with its arguments', () => {
    expect(() => createClient(undefined as never, channel)).toThrow(/first argument must be a service definition/)
    expect(() => createClient(Greeter, {} as never)).toThrow(/second argument must be a channel/)
    expect(() => createClient({ broken: {} } as never, channel)).toThrow(/"broken" is not a method definition/)
    const client = createClient(Greeter, channel)
    expect(() => client.greet({ name: 'x' }, { timeoutMs: Number.NaN })).toThrow(/Greet: option "timeoutMs"/)
    expect(() => client.greet({ name: 'x' }, { metadata: {} as never })).toThrow(/Greet: option "metadata"/)
  })
})
