import { AsyncLocalStorage } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import {
  type ClientCall,
  ContextVar,
  createClient,
  type Interceptor,
  propagate,
  type ServerCall,
} from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  echo,
  FakeClock,
  Gate,
  heldBy,
  manual,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { concurrencyLimit } from '../concurrency/concurrency-limit.ts'
import { rateLimit } from '../limit/rate-limit.ts'
import type { Decision, Store } from '../stores/store.ts'
import { throttle } from '../throttle/throttle.ts'

const principalVar = new ContextVar<{ subject: string }>('principal')
/** Storage of the application, entered around the whole call. */
const tenantStorage = new AsyncLocalStorage<string>()
/** Storage of a library, entered by the authenticating interceptor. */
const userStorage = new AsyncLocalStorage<string>()

const userOf = (call: { metadata: ServerCall['metadata'] }): string => String(call.metadata.get('user')[0])

const application: Interceptor<ServerCall> = (call, next) => tenantStorage.run(userOf(call), next)

const auths: Record<string, Interceptor<ServerCall>> = {
  synchronous: (call, next) => {
    principalVar.set({ subject: userOf(call) })
    return userStorage.run(userOf(call), next)
  },
  asynchronous: async (call, next) => {
    await settle(1)
    principalVar.set({ subject: userOf(call) })
    return userStorage.run(userOf(call), next)
  },
}

const waiting = async (limit: { state(): { waiting: number } }, count: number): Promise<void> => {
  while (limit.state().waiting < count) await settle(1)
}

const serverCases = ['synchronous', 'asynchronous'].flatMap((auth) =>
  ['outside', 'inside'].flatMap((where) => [true, false].map((stock) => ({ auth, where, stock }))),
)

describe.each(patterns)('a %s call that waited at a server for its place', (pattern) => {
  it.each(serverCases)('is handled in its own context: %j', async ({ auth, where, stock }) => {
    const limit = concurrencyLimit({ limit: 1, queue: 5 })
    const authenticate = auths[auth] ?? expect.unreachable()
    const interceptors = where === 'outside' ? [application, authenticate, limit] : [application, limit, authenticate]
    await using server = await startTestServer({ stock, interceptors })
    const client = server.client()
    const gate = new Gate()
    const seen: unknown[] = []
    const reporting = (then: Behaviour): Behaviour => {
      return (rpc) => {
        seen.push([principalVar.get().subject, userStorage.getStore(), tenantStorage.getStore()])
        return then(rpc)
      }
    }
    const start = (user: string, behaviour: Behaviour) =>
      startRpc(client, pattern, { requests: [{}], metadata: server.behave(reporting(behaviour), metadataOf({ user })) })
    const first = start('a', heldBy(gate))
    await server.received(0)
    const second = start('b', echo)
    await waiting(limit, 1)
    const third = start('c', echo)
    await waiting(limit, 2)
    gate.open()
    for (const rpc of [first, second, third]) expect((await rpc.done).status?.code).toBe(Code.OK)
    expect(seen).toEqual(['a', 'b', 'c'].map((user) => [user, user, user]))
  })

  it.each([true, false])('propagates its own deadline and cancellation (stock: %s)', async (stock) => {
    const limit = concurrencyLimit({ limit: 1, queue: 5 })
    await using backend = await startTestServer({ behaviour: manual })
    await using server = await startTestServer({ stock, interceptors: [limit] })
    const onward = backend.client(propagate())
    const client = server.client()
    const gate = new Gate()
    const first = startRpc(client, pattern, {
      requests: [{}],
      metadata: server.behave(heldBy(gate)),
      options: { deadline: Date.now() + 60_000 },
    })
    await server.received(0)
    const calling: Behaviour = () => void startRpc(onward, 'unary')
    const second = startRpc(client, pattern, {
      requests: [{}],
      metadata: server.behave(calling),
      options: { deadline: Date.now() + 600_000 },
    })
    await waiting(limit, 1)
    gate.open()
    await first.done
    const outgoing = await backend.received(0)
    expect(outgoing.deadline - Date.now()).toBeGreaterThan(300_000)
    expect(outgoing.isClosed).toBe(false)
    second.cancel()
    await outgoing.closed
    expect(outgoing.cancelled).toBe(true)
  })

  it('that waited in vain is let through by shadow mode in its own context', async () => {
    const clock = new FakeClock()
    const limit = concurrencyLimit({ limit: 1, queue: 5, queueTimeoutMs: 100, shadow: true, clock })
    const told: unknown[] = []
    limit.on('refused', () => told.push(tenantStorage.getStore()))
    await using server = await startTestServer({ interceptors: [application, limit] })
    const client = server.client()
    const gate = new Gate()
    const first = startRpc(client, pattern, {
      requests: [{}],
      metadata: server.behave(heldBy(gate), metadataOf({ user: 'a' })),
    })
    await server.received(0)
    const seen: unknown[] = []
    const second = startRpc(client, pattern, {
      requests: [{}],
      metadata: server.behave(
        (rpc) => {
          seen.push(tenantStorage.getStore())
          return echo(rpc)
        },
        metadataOf({ user: 'b' }),
      ),
    })
    await waiting(limit, 1)
    await clock.advance(100)
    await second.done
    gate.open()
    await first.done
    expect(seen).toEqual(['b'])
    expect(told).toEqual(['b'])
  })
})

describe.each(patterns)('a %s call that waited for a store', (pattern) => {
  it('is handled in its own context, whatever the store answers in', async () => {
    const admitted: Decision = { admitted: true, limits: [{ waitMs: 0, remaining: 1, resetMs: 1 }] }
    const asked: ((decision: Decision) => void)[] = []
    const batching: Store = {
      // A thenable of its own, which runs callbacks where it is settled.
      // biome-ignore lint/suspicious/noThenProperty: that is the point
      open: () => ({ take: () => ({ then: (done: (decision: Decision) => void) => asked.push(done) }) as never }),
    }
    const limit = rateLimit({ rate: 1, store: batching, storeTimeoutMs: 60_000 })
    const seen: unknown[] = []
    await using server = await startTestServer({
      interceptors: [application, limit],
      behaviour: (rpc) => {
        seen.push([userOf(rpc), tenantStorage.getStore()])
        return echo(rpc)
      },
    })
    const client = server.client()
    const rpcs = ['a', 'b'].map((user) => runRpc(client, pattern, { metadata: metadataOf({ user }) }))
    while (asked.length < 2) await settle(1)
    tenantStorage.run('of the store', () => {
      for (const answer of asked) answer(admitted)
    })
    for (const rpc of await Promise.all(rpcs)) expect(rpc.status?.code).toBe(Code.OK)
    expect(seen).toEqual([
      ['a', 'a'],
      ['b', 'b'],
    ])
  })
})

/** Sends a token for the user it finds in the storage at that moment. */
const tokenOfUser: Interceptor<ClientCall> = (call, next) => {
  call.metadata.set('authorization', `token of ${userStorage.getStore()}`)
  return next()
}

describe.each(patterns)('a %s call that waited at a client', (pattern) => {
  const users = ['a', 'b', 'c']
  const sent = users.map((user) => [user, `token of ${user}`])

  it('for its place sends the token of its own user', async () => {
    const limit = concurrencyLimit({ limit: 1, queue: 5 })
    await using server = await startTestServer()
    const client = server.client(limit, tokenOfUser)
    const rpcs = users.map((user) =>
      userStorage.run(user, () => runRpc(client, pattern, { metadata: metadataOf({ user }) })),
    )
    expect(limit.state()).toMatchObject({ inFlight: 1, waiting: 2 })
    for (const rpc of await Promise.all(rpcs)) expect(rpc.status?.code).toBe(Code.OK)
    expect(server.calls.map(({ metadata }) => [userOf({ metadata }), metadata.get('authorization')[0]])).toEqual(sent)
  })

  it('for its turn sends the token of its own user', async () => {
    const clock = new FakeClock()
    const pacing = throttle({ rate: 1, burst: 1, clock })
    await using server = await startTestServer()
    const client = server.client(pacing, tokenOfUser)
    const rpcs = users.map((user) =>
      userStorage.run(user, () => runRpc(client, pattern, { metadata: metadataOf({ user }) })),
    )
    await rpcs[0]
    await userStorage.run('of the clock', () => clock.advance(2000))
    for (const rpc of await Promise.all(rpcs)) expect(rpc.status?.code).toBe(Code.OK)
    expect(server.calls.map(({ metadata }) => [userOf({ metadata }), metadata.get('authorization')[0]])).toEqual(sent)
  })
})

describe('calls of createClient that waited', () => {
  it.each([
    ['for a place', () => concurrencyLimit({ limit: 1, queue: 5 })],
    ['for a turn', () => throttle({ rate: 100, burst: 1 })],
  ])('%s send the token of their own user', async (_name, make) => {
    await using server = await startTestServer()
    const client = createClient(server.definition, server.channel(make(), tokenOfUser))
    await Promise.all(['a', 'b', 'c'].map((user) => userStorage.run(user, () => client.unary({ text: user }))))
    expect(server.calls.map(({ metadata }) => metadata.get('authorization')[0])).toEqual(
      ['a', 'b', 'c'].map((user) => `token of ${user}`),
    )
  })
})

describe('the timer of an outgoing rate', () => {
  it('runs in the context of no call, so that it keeps none of them', async () => {
    const clock = new FakeClock()
    const contexts: unknown[] = []
    const watched = {
      ...clock,
      now: clock.now,
      clearTimeout: clock.clearTimeout,
      setTimeout: (callback: () => void, ms: number): unknown => {
        contexts.push(userStorage.getStore())
        return clock.setTimeout(callback, ms)
      },
    }
    await using server = await startTestServer()
    const client = server.client(throttle({ rate: 1, burst: 1, clock: watched }))
    const rpcs = ['a', 'b', 'c'].map((user) => userStorage.run(user, () => runRpc(client, 'unary')))
    await rpcs[0]
    await userStorage.run('of the clock', () => clock.advance(2000))
    await Promise.all(rpcs)
    expect(contexts.length).toBeGreaterThan(0)
    expect(new Set(contexts)).toEqual(new Set([undefined]))
  })
})
