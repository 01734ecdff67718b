import { Client, status as Code, credentials } from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer, testService } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import type { Greeter } from '../../test/greeter.ts'
import { failureOf, startGreeter, streamFailureOf } from '../../test/greeter-server.ts'
import { awaiting, sides } from '../../test/observing.ts'
import {
  all,
  any,
  type ClientInterceptor,
  chain,
  createClient,
  type Handlers,
  type Interceptor,
  interceptChannel,
  type MethodInfo,
  not,
  select,
} from '../index.ts'

// What the application gave is called with what a stranger sent: whatever it does ends that RPC and no other.

const inner: Interceptor = (_call, next) => next()

/** Throws for a path of fewer parts than it expects, as `m.path.split('/')[2].startsWith('Admin')` does. */
const breaking = (method: MethodInfo): boolean => (method.path.split('/')[9] as string).startsWith('Admin')

const compositions: [string, () => Interceptor][] = [
  ['select', () => select(breaking, inner)],
  ['a list', () => select([not('*'), breaking], inner)],
  ['not()', () => select(not(breaking), inner)],
  ['any()', () => select(any(not('*'), breaking), inner)],
  ['all()', () => select(all('*', breaking), inner)],
  ['a select inside of a chain', () => chain(inner, chain(select(breaking, inner)))],
  ['a select inside of a select', () => select('*', select(breaking, inner))],
  ['a composition called by hand', () => (call, next) => select(breaking, inner)(call, next)],
  ['a promise for an answer', () => select((async () => false) as never, inner)],
  ['a text for an answer', () => select((() => 'no') as never, inner)],
  ['an object for an answer', () => select((() => ({ public: false })) as never, inner)],
  ['nothing for an answer', () => select((() => undefined) as never, inner)],
]

describe.each(sides)('a predicate that throws on the %s', (side) => {
  for (const stock of side === 'server' ? [true, false] : [false]) {
    for (const [name, compose] of compositions) {
      it(`ends the RPC with INTERNAL, and observers outside see why: ${name}${stock ? ', stock server' : ''}`, async () => {
        const observer = awaiting()
        const stack = [observer.interceptor, compose()]
        await using server = await startTestServer({ stock, interceptors: side === 'server' ? stack : [] })
        const client = side === 'client' ? server.client(...stack) : server.client()
        for (let round = 0; round < 2; round++) {
          for (const pattern of patterns) {
            const rpc = await runRpc(client, pattern)
            expect(rpc.error?.code).toBe(Code.INTERNAL)
            if (side === 'server') expect(rpc.error?.details).toBe('Internal error')
          }
        }
        expect(server.calls).toHaveLength(0)
        expect(observer.statuses).toHaveLength(8)
        for (const { code, cause } of observer.statuses) {
          expect(code).toBe(Code.INTERNAL)
          expect(cause).toBeInstanceOf(TypeError)
        }
      })
    }
  }

  it('is asked again by the next RPC', async () => {
    let broken = true
    const seen: string[] = []
    const predicate = (): boolean => {
      if (broken) throw new Error('not ready')
      return true
    }
    const stack = [
      select(predicate, (call, next) => {
        seen.push(call.method.name)
        return next()
      }),
    ]
    await using server = await startTestServer({ interceptors: side === 'server' ? stack : [] })
    const client = side === 'client' ? server.client(...stack) : server.client()
    expect((await runRpc(client, 'unary')).error?.code).toBe(Code.INTERNAL)
    broken = false
    expect((await runRpc(client, 'unary')).status?.code).toBe(Code.OK)
    expect(seen).toEqual(['Unary'])
  })
})

describe('a stranger’s path', () => {
  it.each(['/foo', '/', '//', '/a/b/c', '/%00'])(
    'that a predicate cannot take ends that RPC alone: %j',
    async (path) => {
      const observer = awaiting()
      const admin = select((method: MethodInfo) => (method.path.split('/')[2] as string).startsWith('Admin'), inner)
      await using server = await startTestServer({ interceptors: [observer.interceptor, admin] })
      const stranger = new Client(server.address, credentials.createInsecure())
      try {
        const bytes = (value: unknown): Buffer => Buffer.from(String(value))
        const code = await new Promise((resolve) => {
          stranger.makeUnaryRequest(path, bytes, bytes, 'x', (error) => resolve(error?.code))
        })
        const throws = path.split('/')[2] === undefined
        expect(code).toBe(throws ? Code.INTERNAL : Code.UNIMPLEMENTED)
        expect(observer.codes).toEqual([code])
        expect((await runRpc(server.client(), 'unary')).status?.code).toBe(Code.OK)
      } finally {
        stranger.close()
      }
    },
  )
})

describe('a handler that ends with what cannot be read', () => {
  const unreadable: [string, () => unknown][] = [
    ['details without a text', () => ({ code: 5, details: Object.create(null) })],
    [
      'members that throw',
      () => ({
        get code() {
          throw new Error('secret')
        },
      }),
    ],
    ['metadata that is half of one', () => ({ code: 5, metadata: { getMap: () => ({}), toHttp2Headers: () => ({}) } })],
    ['a promise that throws', () => undefined],
  ]
  it.each(unreadable)('ends its RPC: %s', async (what, make) => {
    const thrown = (): never => {
      throw make()
    }
    const odd = {
      // biome-ignore lint/suspicious/noThenProperty: an odd promise is what the test is about
      get then(): never {
        throw new Error('secret')
      },
    }
    const iterating = { [Symbol.asyncIterator]: thrown }
    const promising = what === 'a promise that throws'
    const handlers = {
      greet: async () => (promising ? odd : thrown()),
      greetMany: () => (promising ? odd : iterating),
      greetAll: () => (promising ? odd : thrown()),
      chat: async function* () {
        if (promising) yield* [odd]
        thrown()
      },
    } as unknown as Handlers<typeof Greeter>
    const server = await startGreeter([], handlers)
    try {
      const failures = [
        await failureOf(server.client.greet({ name: 'x' })),
        await streamFailureOf(server.client.greetMany({ name: 'x' })),
        await failureOf(server.client.greetAll([])),
        await streamFailureOf(server.client.chat([])),
      ]
      for (const { code, details } of failures) {
        expect([Code.INTERNAL, Code.NOT_FOUND]).toContain(code)
        expect(details).not.toContain('secret')
      }
    } finally {
      await server.stop()
    }
  })
})

describe('an iterator that gives no result', () => {
  it('ends the call of the interceptor object that answered with it', async () => {
    const odd = { [Symbol.asyncIterator]: () => ({ next: async () => undefined }) } as unknown as AsyncIterable<object>
    const contract: ClientInterceptor = { interceptUnaryStream: () => odd, interceptStreamStream: () => odd }
    await using server = await startTestServer()
    const client = createClient(testService, interceptChannel(server.channel(), contract))
    for (const stream of [client.serverStream({}), client.bidi([])]) {
      await expect(
        (async () => {
          for await (const _ of stream);
        })(),
      ).rejects.toMatchObject({ code: Code.INTERNAL })
    }
  })
})
