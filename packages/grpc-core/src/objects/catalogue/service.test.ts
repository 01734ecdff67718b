import { status as Code, Metadata } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import type { Answer, Ask } from '../../../test/greeter.ts'
import { collect, type GreeterServer, greeting, startGreeter } from '../../../test/greeter-server.ts'
import {
  createServer,
  type Handlers,
  type ServerInterceptor,
  type ServerInterceptorLike,
  serverInterceptors,
  type UnaryUnaryBehavior,
  wrapHandler,
} from '../../index.ts'

/* What gRPC Python's tests of asynchronous server interceptors assert. */

let greeter: GreeterServer | undefined
afterEach(() => greeter?.stop())

async function start(...interceptors: readonly ServerInterceptorLike[]): Promise<GreeterServer['client']> {
  greeter = await startGreeter(interceptors)
  return greeter.client
}

const log: string[] = []
const logging = (name: string): ServerInterceptor => ({
  async interceptService(continuation, details) {
    log.push(`${name}> ${details.method}`)
    const handler = await continuation(details)
    log.push(`<${name}`)
    return handler
  },
})

const three: readonly Ask[] = [{ name: 'a' }, { name: 'b' }, { name: 'c' }]

describe('server interceptors', () => {
  // reference: symbol 34
  it('F1: an object without interceptService is refused when the server is made', () => {
    for (const wrong of [{}, { interceptService: true }, { interceptUnaryUnary: () => undefined }, 7]) {
      expect(() => createServer({ interceptors: [wrong as never] })).toThrow(/interceptService/)
      expect(() => serverInterceptors(wrong as never)).toThrow(TypeError)
    }
  })

  // reference: sentence 23, symbol 34
  it('F2: they are asked in the order of the list, and answer in the reverse', async () => {
    log.length = 0
    const client = await start(logging('a'), logging('b'))
    await client.greet({ name: 'Ada' })
    expect(log).toEqual(['a> /greet.v1.Greeter/Greet', 'b> /greet.v1.Greeter/Greet', '<b', '<a'])
  })

  // reference: symbol 35
  it('F3: the response is as without them', async () => {
    const client = await start(logging('a'))
    const call = client.greet({ name: 'Ada' })
    expect(await call).toEqual({ text: 'Hello Ada' })
    expect(await call.status).toMatchObject({ code: Code.OK, details: 'OK' })
  })

  it('F4: one may run only for calls with certain metadata', async () => {
    log.length = 0
    const inner = logging('conditional')
    const client = await start(logging('always'), {
      interceptService: (continuation, details) =>
        details.invocationMetadata.get('secret').includes('42')
          ? inner.interceptService(continuation, details)
          : continuation(details),
    })
    await client.greet({ name: 'Ada' })
    expect(log.filter((line) => line.includes('>'))).toEqual(['always> /greet.v1.Greeter/Greet'])
    log.length = 0
    const metadata = new Metadata()
    metadata.set('secret', '42')
    await client.greet({ name: 'Ada' }, { metadata })
    expect(log.filter((line) => line.includes('>'))).toEqual([
      'always> /greet.v1.Greeter/Greet',
      'conditional> /greet.v1.Greeter/Greet',
    ])
  })

  it('F5: one may answer from a cache, for unary methods alone', async () => {
    const cache = new Map<string, Answer>([['preset', { text: 'from the cache' }]])
    let handled = 0
    const caching: ServerInterceptor = {
      async interceptService(continuation, details) {
        const handler = await continuation(details)
        if (handler?.requestStream || handler?.responseStream) return handler
        return wrapHandler(
          handler,
          (behavior: UnaryUnaryBehavior<Ask, Answer>): UnaryUnaryBehavior<Ask, Answer> =>
            async (request, context) => {
              const cached = cache.get(request.name)
              if (cached !== undefined) return cached
              const answer = await behavior(request, context)
              cache.set(request.name, answer)
              return answer
            },
        )
      },
    }
    const counting: Handlers<typeof import('../../../test/greeter.ts').Greeter> = {
      ...greeting,
      greet: ({ request }) => {
        handled++
        return { text: `${request.name} ${handled}` }
      },
    }
    greeter = await startGreeter([caching], counting)
    const { client } = greeter
    expect(await client.greet({ name: 'preset' })).toEqual({ text: 'from the cache' })
    expect(await client.greet({ name: 'new' })).toEqual({ text: 'new 1' })
    expect(await client.greet({ name: 'new' })).toEqual({ text: 'new 1' })
    expect(handled).toBe(1)
    expect(await collect(client.greetMany({ name: 'preset', times: 1 }))).toEqual([{ text: 'preset 0' }])
  })

  // reference: symbol 41
  it('F6: a stream of responses', async () => {
    log.length = 0
    const client = await start(logging('a'))
    expect(await collect(client.greetMany({ name: 'Ada', times: 3 }))).toHaveLength(3)
    expect(log).toEqual(['a> /greet.v1.Greeter/GreetMany', '<a'])
  })

  // reference: symbol 41
  it('F7: a stream of requests', async () => {
    log.length = 0
    const client = await start(logging('a'))
    expect(await client.greetAll(three)).toEqual({ text: 'a b c' })
    expect(log).toEqual(['a> /greet.v1.Greeter/GreetAll', '<a'])
  })

  // reference: symbol 41
  it('F8: streams both ways', async () => {
    log.length = 0
    const client = await start(logging('a'))
    expect(await collect(client.chat(three))).toEqual([{ text: 'Hello a' }, { text: 'Hello b' }, { text: 'Hello c' }])
    expect(log).toEqual(['a> /greet.v1.Greeter/Chat', '<a'])
  })
})
