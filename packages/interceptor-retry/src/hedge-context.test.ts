import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import { type ClientCall, ContextVar, type Interceptor } from '@grpc-stack/grpc-core'
import { echo, endWith, FakeClock, manual, runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { hedge } from './hedge.ts'

const userStorage = new AsyncLocalStorage<string>()
const traceVar = new ContextVar<string>('trace')

describe.each(['unary', 'serverStream'] as const)('further attempts of a hedged %s call', (pattern) => {
  it.each([
    ['the delay has passed', manual],
    ['the first attempt has failed', endWith({ code: Code.UNAVAILABLE })],
  ])('run in the context of that call when %s', async (_name, first) => {
    const clock = new FakeClock()
    const seen: unknown[] = []
    const told: unknown[] = []
    const outer: Interceptor<ClientCall> = (_call, next) => {
      traceVar.set(`trace of ${userStorage.getStore()}`)
      return next()
    }
    const inner: Interceptor<ClientCall> = (_call, next) => {
      seen.push([userStorage.getStore(), traceVar.get('none')])
      return next()
    }
    const hedging = hedge({
      delayMs: 100,
      idempotent: '*',
      clock,
      onHedge: () => told.push(userStorage.getStore()),
    })
    let received = 0
    await using server = await startTestServer({ behaviour: (rpc) => (received++ === 0 ? first(rpc) : echo(rpc)) })
    const client = server.client(outer, hedging, inner)
    const running = userStorage.run('a', () => runRpc(client, pattern))
    await server.received(0)
    if (first === manual) await userStorage.run('of the clock', () => clock.advance(100))
    expect((await running).status?.code).toBe(Code.OK)
    expect(seen).toEqual([
      ['a', 'trace of a'],
      ['a', 'trace of a'],
    ])
    expect(told).toEqual(['a'])
  })
})
