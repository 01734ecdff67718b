import { credentials } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { startGreeter } from '../../test/greeter-server.ts'
import { named } from '../authoring.ts'
import {
  chain,
  clientInterceptors,
  createChannel,
  createServer,
  type Interceptor,
  type InterceptorLike,
  interceptChannel,
  propagate,
  select,
  serverInterceptors,
  stacks,
} from '../index.ts'

const pass: Interceptor = (_call, next) => next()
const throttling = (): Interceptor =>
  named('throttle', (_call, next) => next(), { side: 'client', instead: 'rateLimit()' })
const limiting = (): Interceptor =>
  named('rateLimit', (_call, next) => next(), { side: 'server', instead: 'throttle()' })
const object = (...methods: readonly string[]): Interceptor =>
  Object.fromEntries(methods.map((name) => [name, () => null])) as unknown as Interceptor

type Take = (item: InterceptorLike) => unknown

const serverTakers: readonly [string, Take][] = [
  ['createServer: option "interceptors"', (item) => createServer({ interceptors: [pass, item as Interceptor] })],
  ['serverInterceptors', (item) => serverInterceptors(pass, item as Interceptor)],
]
const clientTakers: readonly [string, Take][] = [
  ['clientInterceptors', (item) => clientInterceptors(pass, item as Interceptor)],
  [
    'interceptChannel',
    (item) => interceptChannel(createChannel('127.0.0.1:1', credentials.createInsecure()), pass, item as Interceptor),
  ],
]

/** Ways to put an interceptor into a list, and how errors tell where it is. */
const nestings: readonly [string, (inner: Interceptor) => InterceptorLike, string][] = [
  ['alone', (inner) => inner, ''],
  ['in a chain', (inner) => chain(pass, inner), ' chain, of which interceptor 1 is'],
  ['in a select', (inner) => select('a.B', inner), ' select, of which interceptor 0 is'],
  [
    'in an entry of a table',
    (inner) => stacks({ '*': pass, 'a.*': [pass, inner] }),
    ' stacks, of which ["a.*"] interceptor 1 is',
  ],
  [
    'deep inside',
    (inner) => chain(select('*', stacks({ '*': chain(inner) }))),
    ' chain, of which interceptor 0 is select, of which interceptor 0 is stacks, of which ["*"] interceptor 0 is chain, ' +
      'of which interceptor 0 is',
  ],
]

describe.each(serverTakers)('%s', (where, take) => {
  it.each(nestings)('refuses what is for clients: %s', (_how, nest, place) => {
    const taking = () => take(nest(throttling()))
    expect(taking).toThrow(TypeError)
    expect(taking).toThrow(
      `${where}: interceptor 1 is${place} throttle, which is for clients: on a server use rateLimit()`,
    )
  })

  it('says where it belongs, if nothing takes its place', () => {
    expect(() => take(propagate() as Interceptor)).toThrow(
      `${where}: interceptor 1 is propagate, which is for clients: give it to interceptChannel(), clientInterceptors() or the calls ` +
        'of createClient()',
    )
  })

  it('refuses interceptor objects for clients, and takes those for both', () => {
    expect(() => take(object('interceptUnaryUnary'))).toThrow('is interceptUnaryUnary, which is for clients')
    expect(() => take(chain(object('interceptStreamStream')))).toThrow('is interceptStreamStream, which is for clients')
    expect(() => take(named('audit', object('interceptUnaryStream')))).toThrow('is audit, which is for clients')
    expect(() => take(chain(object('interceptUnaryUnary', 'interceptService')))).not.toThrow()
  })
})

describe.each(clientTakers)('%s', (where, take) => {
  it.each(nestings)('refuses what is for servers: %s', (_how, nest, place) => {
    const taking = () => take(nest(limiting()))
    expect(taking).toThrow(TypeError)
    expect(taking).toThrow(
      `${where}: interceptor 1 is${place} rateLimit, which is for servers: on a client use throttle()`,
    )
  })

  it('refuses interceptor objects for servers, and takes those for both', () => {
    const text = 'is interceptService, which is for servers: on a client use an object with interceptUnaryUnary, '
    expect(() => take(object('interceptService'))).toThrow(text)
    expect(() => take(chain(select('*', object('interceptService'))))).toThrow(text)
    expect(() => take(chain(object('interceptUnaryUnary', 'interceptService')))).not.toThrow()
  })
})

it('a call of createClient refuses what is for servers', async () => {
  const greeter = await startGreeter()
  try {
    const call = () => greeter.client.greet({ name: 'Ada' }, { interceptors: [chain(limiting())] })
    expect(call).toThrow('interceptor 0 is chain, of which interceptor 0 is rateLimit, which is for servers')
  } finally {
    await greeter.stop()
  }
})

it('what is for one side works on it, alone and composed', async () => {
  const seen: string[] = []
  const seeing = (side: 'client' | 'server'): Interceptor =>
    named(
      'seeing',
      (call, next) => {
        seen.push(call.side)
        return next()
      },
      { side },
    )
  const greeter = await startGreeter([seeing('server'), chain(select('*', seeing('server')))])
  try {
    await greeter.client.greet(
      { name: 'Ada' },
      { interceptors: [seeing('client'), chain(stacks({ '*': seeing('client') }))] },
    )
    expect(seen).toEqual(['client', 'client', 'server', 'server'])
  } finally {
    await greeter.stop()
  }
})
