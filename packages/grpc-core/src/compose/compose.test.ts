import { status as Code } from '@grpc/grpc-js'
import { patterns, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { sides } from '../../test/observing.ts'
import {
  type Call,
  chain,
  clientInterceptors,
  createServer,
  type Interceptor,
  interceptChannel,
  not,
  select,
  serverInterceptors,
  stacks,
} from '../index.ts'

/** Runs one RPC of each pattern through a composition and tells which interceptors saw it. */
async function seenBy(
  side: 'client' | 'server',
  compose: (named: (name: string) => Interceptor) => Interceptor[],
  stock = false,
) {
  const log: Record<string, string[]> = {}
  const named =
    (name: string): Interceptor =>
    (call, next) => {
      log[call.method.pattern] ??= []
      log[call.method.pattern]?.push(name)
      return next()
    }
  const interceptors = compose(named)
  await using server = await startTestServer({
    stock,
    unmatched: 'warn',
    interceptors: side === 'server' ? interceptors : [],
  })
  const client = side === 'client' ? server.client(...interceptors) : server.client()
  for (let n = 0; n < 2; n++) for (const pattern of patterns) await runRpc(client, pattern)
  // The second round must be as the first: what was resolved for a method is remembered.
  return Object.fromEntries(
    patterns.map((pattern) => {
      const names = log[pattern] ?? []
      expect(names.slice(names.length / 2)).toEqual(names.slice(0, names.length / 2))
      return [pattern, names.slice(names.length / 2).join(' ')]
    }),
  )
}

const service = 'grpcstack.testing.Test'

describe.each(sides)('composition on the %s', (side) => {
  it('first listed is outermost', async () => {
    expect(await seenBy(side, (named) => [named('a'), named('b'), named('c')])).toMatchObject({ bidi: 'a b c' })
  })

  it('chain() is its members in place', async () => {
    const seen = await seenBy(side, (named) => [named('a'), chain(named('b'), chain(named('c')), chain()), named('d')])
    expect(seen).toMatchObject({ unary: 'a b c d', bidi: 'a b c d' })
  })

  it('select() is for the methods that match', async () => {
    const seen = await seenBy(side, (named) => [
      select({ pattern: ['unary', 'bidi'] }, named('a'), named('b')),
      select(not(`/${service}/Unary`), named('c')),
      select('other.*', named('d')),
      select(service, select(/Bidi/, named('e'))),
    ])
    expect(seen).toEqual({ unary: 'a b', clientStream: 'c', serverStream: 'c', bidi: 'a b c e' })
  })

  it('stacks(): exactly one entry applies, the most specific', async () => {
    const seen = await seenBy(side, (named) => [
      named('first'),
      stacks({
        '*': [named('any')],
        'grpcstack.*': [named('package')],
        'grpcstack.testing.*': named('inner-package'),
        'other.*': [named('other')],
        [service]: [named('service'), named('service2')],
        [`/${service}/Unary`]: [named('method')],
        [`/${service}/Bidi`]: [],
      }),
      named('last'),
    ])
    expect(seen).toEqual({
      unary: 'first method last',
      clientStream: 'first service service2 last',
      serverStream: 'first service service2 last',
      bidi: 'first last',
    })
  })

  it.each([
    [{ '*': 'any', 'grpcstack.*': 'package', 'grpcstack.testing.*': 'inner' }, 'inner'],
    [{ 'grpcstack.testing.*': 'inner', 'grpcstack.*': 'package', '*': 'any' }, 'inner'],
    [{ 'grpcstack.*': 'package', '*': 'any' }, 'package'],
    [{ '/*/*': 'any', 'grpcstack.*': 'package' }, 'package'],
    [{ [`/${service}/*`]: 'service', 'grpcstack.testing.*': 'inner' }, 'service'],
    [{ [service]: 'service', [`/${service}/Unary`]: 'method' }, 'method'],
    [{ '*': 'any', 'other.*': 'other' }, 'any'],
    [{ 'other.*': 'other' }, ''],
    [{}, ''],
  ] as [Record<string, string>, string][])('whatever the order of the table: %j', async (table, expected) => {
    const compose = (named: (name: string) => Interceptor) => [
      stacks(Object.fromEntries(Object.entries(table).map(([key, name]) => [key, [named(name)]]))),
    ]
    // A server of createServer refuses to serve a method that the table leaves without an entry.
    const seen = await seenBy(side, compose, expected === '')
    expect(seen.unary).toBe(expected)
  })

  it('a composite may be called by hand from inside an interceptor', async () => {
    const seen = await seenBy(side, (named) => {
      const inner = chain(named('b'), select({ pattern: 'unary' }, named('c')), named('d'))
      const outer: Interceptor = async (call, next) => await inner(call, next)
      return [named('a'), outer, named('e')]
    })
    expect(seen).toMatchObject({ unary: 'a b c d e', bidi: 'a b d e' })
  })

  it('the same interceptor may stand twice', async () => {
    expect(await seenBy(side, (named) => Array(2).fill(named('a')) as Interceptor[])).toMatchObject({ bidi: 'a a' })
  })

  it('no interceptors are none', async () => {
    expect(await seenBy(side, () => [])).toEqual({ unary: '', clientStream: '', serverStream: '', bidi: '' })
  })
})

describe('what is no interceptor', () => {
  const good: Interceptor = (_call, next) => next()
  const bad: readonly [string, unknown][] = [
    ['nothing', undefined],
    ['null', null],
    ['a number', 7],
    ['a string', 'logging'],
    ['a promise', Promise.resolve(good)],
    ['an object without a hook', { intercept: good }],
    ['a list', [good]],
    ['an empty object', {}],
  ]
  const takers: readonly [string, (item: never) => unknown][] = [
    ['clientInterceptors', (item) => clientInterceptors(good, item)],
    ['serverInterceptors', (item) => serverInterceptors(good, item)],
    ['chain', (item) => chain(good, item)],
    ['select', (item) => select('*', good, item)],
    ['stacks', (item) => stacks({ '*': [good, item] })],
    ['createServer', (item) => createServer({ interceptors: [good, item] })],
  ]

  describe.each(takers)('%s refuses', (name, take) => {
    it.each(bad)('%s', (_what, item) => {
      expect(() => take(item as never)).toThrow(TypeError)
      expect(() => take(item as never)).toThrow(name)
      expect(() => take(item as never)).toThrow('interceptor 1')
    })
  })

  it('interceptChannel refuses it too, and what is no channel', async () => {
    await using server = await startTestServer()
    const channel = server.channel()
    for (const [, item] of bad)
      expect(() => interceptChannel(channel, good, item as never)).toThrow('interceptChannel: interceptor 1')
    for (const none of [undefined, null, {}, 'localhost:1'])
      expect(() => interceptChannel(none as never, good)).toThrow(TypeError)
  })

  it('select() and stacks() refuse what is no matcher', () => {
    expect(() => select('a/b', good)).toThrow('select')
    expect(() => stacks({ 'a/b': good })).toThrow('stacks')
  })

  it('a status from a client’s own list of one is that of the refusing interceptor', async () => {
    const refusing: Interceptor = (_call: Call) => ({ code: Code.ABORTED })
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(select('*', refusing)), 'unary')
    expect(rpc.error).toMatchObject({ code: Code.ABORTED, refusedBy: 'refusing' })
  })
})
