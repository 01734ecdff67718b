import { status as Code } from '@grpc/grpc-js'
import {
  type Behaviour,
  echo,
  endWith,
  failing,
  patterns,
  type RpcSettings,
  runRpc,
  startRpc,
  startTestServer,
  type TestServer,
  testService,
} from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ClientCall,
  type ClientInterceptor,
  clientInterceptors,
  createClient,
  type Interceptor,
  RpcError,
  type Status,
  select,
  type UnaryUnaryClientInterceptor,
} from '../index.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer()
})
afterAll(() => server.stop())

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
const limits = { maxBytes: 1000, maxMessages: 10 }

/** Calls `next()` up to so many times, until it is OK. */
const repeating = (times: number): Interceptor<ClientCall> =>
  async function repeating(call, next) {
    call.makeReplayable(limits)
    let status = await next()
    for (let n = 1; n < times && status.code !== Code.OK; n++) status = await next()
    return status
  }

/** Writes down the attempts and hedges of each status it gets. */
function seeing(): { readonly seen: (number | undefined)[][]; readonly interceptor: Interceptor } {
  const seen: (number | undefined)[][] = []
  const interceptor: Interceptor = async (call, next) => {
    const told: (number | undefined)[] = []
    call.onStatus(({ attempts, hedges }) => void told.push(attempts, hedges))
    const status = await next()
    expect(told).toEqual([status.attempts, status.hedges])
    seen.push(told)
    return status
  }
  return { seen, interceptor }
}

/** Begins two attempts at once and answers with the one that ends OK. */
const racing: UnaryUnaryClientInterceptor = {
  async interceptUnaryUnary(continuation, details, request) {
    const both = [continuation(details, request), continuation(details, request)]
    return await Promise.any(both.map(({ response }) => response)).catch((error: AggregateError) => {
      throw error.errors[0]
    })
  },
}

/** Tries a second time what failed the first time. */
const again: UnaryUnaryClientInterceptor = {
  async interceptUnaryUnary(continuation, details, request) {
    const first = continuation(details, request)
    return (await first.status).code === Code.OK ? first : continuation(details, request)
  },
}

const failingThen =
  (times: number, rest: Behaviour = echo): Behaviour =>
  (rpc) =>
    times-- > 0 ? endWith({ code: Code.UNAVAILABLE, details: 'not yet' })(rpc) : rest(rpc)

describe('the attempts of a call stand on its status', () => {
  it.each(patterns)('that an interceptor made by next(): %s', async (pattern) => {
    const outer = seeing()
    const inner = seeing()
    const client = server.client(outer.interceptor, repeating(3), inner.interceptor)
    const rpc = await runRpc(client, pattern, { ...whole, metadata: server.behave(failingThen(2)) })
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 3 })
    expect(rpc.status).not.toHaveProperty('hedges')
    expect(outer.seen).toEqual([[3, undefined]])
    expect(inner.seen).toEqual([
      [undefined, undefined],
      [undefined, undefined],
      [undefined, undefined],
    ])
    const failed = await runRpc(client, pattern, { ...whole, metadata: server.behave(failingThen(9)) })
    expect(failed.error).toMatchObject({ code: Code.UNAVAILABLE, attempts: 3 })
    expect(Reflect.ownKeys(failed.status ?? {}).sort()).toEqual(['attempts', 'code', 'details', 'metadata'])
  })

  it('that an interceptor object made one after the other, which are no hedges', async () => {
    const outer = seeing()
    const rpc = await runRpc(server.client(outer.interceptor, again), 'unary', {
      metadata: server.behave(failingThen(1)),
    })
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 2 })
    expect(outer.seen).toEqual([[2, undefined]])
  })

  it('that an interceptor object made at the same time: all but the first are hedges', async () => {
    const outer = seeing()
    const inner = seeing()
    const client = server.client(outer.interceptor, racing, inner.interceptor)
    const rpc = await runRpc(client, 'unary', whole)
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 2, hedges: 1 })
    expect(outer.seen).toEqual([[2, 1]])
    const failed = await runRpc(client, 'unary', { metadata: server.behave(failingThen(9)) })
    expect(failed.error).toMatchObject({ code: Code.UNAVAILABLE, attempts: 2, hedges: 1 })
    expect(inner.seen.flat()).toEqual(Array(8).fill(undefined))
  })

  it('each interceptor sees those that were made inside of it', async () => {
    const outer = seeing()
    const between = seeing()
    const client = server.client(outer.interceptor, repeating(3), between.interceptor, select('*', racing))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(failingThen(2)) })
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 4, hedges: 2 })
    expect(outer.seen).toEqual([[4, 2]])
    expect(between.seen).toEqual([
      [2, 1],
      [2, 1],
    ])
  })

  it('attempts made within each of those of an interceptor object are counted with them', async () => {
    const outer = seeing()
    const inner = seeing()
    const client = server.client(outer.interceptor, again, inner.interceptor, repeating(2))
    const rpc = await runRpc(client, 'unary', { metadata: server.behave(failingThen(3)) })
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 4 })
    expect(outer.seen).toEqual([[4, undefined]])
    expect(inner.seen).toEqual([
      [2, undefined],
      [2, undefined],
    ])
  })

  it('what an inner interceptor refuses has not begun', async () => {
    const refusing =
      (...runs: number[]): Interceptor =>
      (_call, next) =>
        runs[0] !== undefined && --runs[0] >= 0 ? { code: Code.UNAVAILABLE, details: 'refused' } : next()
    const refused = await runRpc(server.client(repeating(3), refusing(3)), 'unary')
    expect(refused.error).toMatchObject({ code: Code.UNAVAILABLE, details: 'refused' })
    expect(refused.error).not.toHaveProperty('attempts')
    const third = await runRpc(server.client(repeating(3), refusing(2)), 'unary')
    expect(third.status?.code).toBe(Code.OK)
    expect(third.status).not.toHaveProperty('attempts')
    const one = await runRpc(server.client(racing, failing(1)), 'unary')
    expect(one.status?.code).toBe(Code.OK)
    expect(one.status).not.toHaveProperty('attempts')
  })

  it.each(patterns)('a call of one attempt says nothing of it, nor one of none: %s', async (pattern) => {
    const outer = seeing()
    const answering: ClientInterceptor = {
      interceptUnaryUnary: () => ({ text: 'own' }),
      interceptUnaryStream: () => [{ text: 'own' }],
      interceptStreamUnary: () => ({ text: 'own' }),
      interceptStreamStream: () => [{ text: 'own' }],
    }
    for (const stack of [[repeating(3)], [answering]]) {
      const rpc = await runRpc(server.client(outer.interceptor, ...stack), pattern, whole)
      expect(rpc.status?.code).toBe(Code.OK)
      expect(rpc.status).not.toHaveProperty('attempts')
      expect(rpc.status).not.toHaveProperty('hedges')
    }
    expect(outer.seen).toEqual([
      [undefined, undefined],
      [undefined, undefined],
    ])
  })

  it('a number of an interceptor, or of another call, is replaced', async () => {
    const faking: Interceptor = async (_call, next) => ({ ...(await next()), attempts: 7, hedges: 5 })
    const faked = await runRpc(server.client(faking), 'unary')
    expect(faked.status).not.toHaveProperty('attempts')
    expect(faked.status).not.toHaveProperty('hedges')
    const other = new RpcError(Code.ABORTED, 'of another call', { attempts: 7, hedges: 5 })
    const throwing: Interceptor = async (_call, next) => {
      await next()
      throw other
    }
    const thrown = await runRpc(server.client(throwing, repeating(2)), 'unary', {
      metadata: server.behave(failingThen(1)),
    })
    expect(thrown.error).toMatchObject({ code: Code.ABORTED, attempts: 2 })
    expect(thrown.error).not.toHaveProperty('hedges')
  })

  it('on a server there are none, whatever a handler throws', async () => {
    const inner = seeing()
    await using throwing = await startTestServer({
      interceptors: [
        inner.interceptor,
        () => {
          throw new RpcError(Code.ABORTED, 'of a call the handler made', { attempts: 7, hedges: 5 })
        },
      ],
    })
    expect((await runRpc(throwing.client(), 'unary')).error?.code).toBe(Code.ABORTED)
    expect(inner.seen).toEqual([[undefined, undefined]])
  })

  it('a cancel between attempts says how many there were', async () => {
    const outer = seeing()
    let waiting: () => void = () => undefined
    const reached = new Promise<void>((resolve) => {
      waiting = resolve
    })
    const hanging: Interceptor<ClientCall> = async (call, next) => {
      call.makeReplayable(limits)
      await next()
      await next()
      waiting()
      return await new Promise<Status>(() => undefined)
    }
    const rpc = startRpc(server.client(outer.interceptor, hanging), 'unary', {
      metadata: server.behave(failingThen(9)),
    })
    await reached
    rpc.cancel()
    await rpc.done
    expect(rpc.error).toMatchObject({ code: Code.CANCELLED, attempts: 2 })
    expect(outer.seen).toEqual([[2, undefined]])
  })

  it('an attempt that takes the place of a running one is no hedge', async () => {
    const passing: ClientInterceptor = { interceptUnaryUnary: (continuation, ...rest) => continuation(...rest) }
    for (const inside of [[], [passing]]) {
      let runs = 0
      const impatient: Interceptor = async (_call, next) => {
        const rest = next()
        return ++runs === 1 ? { code: Code.UNAVAILABLE, details: 'not waited for' } : await rest
      }
      const rpc = await runRpc(server.client(repeating(2), impatient, ...inside), 'unary')
      expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 2 })
      expect(rpc.status).not.toHaveProperty('hedges')
    }
  })

  it('stacks that a stub joins in one list of grpc-js count together', async () => {
    const outer = seeing()
    const interceptors = [...clientInterceptors(outer.interceptor), ...clientInterceptors(repeating(3))]
    const rpc = await runRpc(server.client(), 'unary', {
      metadata: server.behave(failingThen(2)),
      options: { interceptors },
    })
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 3 })
    expect(outer.seen).toEqual([[3, undefined]])
  })

  it('so do hedges, made in one of them', async () => {
    const outer = seeing()
    const interceptors = [...clientInterceptors(outer.interceptor), ...clientInterceptors(racing)]
    const rpc = await runRpc(server.client(), 'unary', { options: { interceptors } })
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 2, hedges: 1 })
    expect(outer.seen).toEqual([[2, 1]])
  })

  it('an attempt through two interceptor objects ends once', async () => {
    const passing: ClientInterceptor = { interceptUnaryUnary: (continuation, ...rest) => continuation(...rest) }
    const oneThenTwo: UnaryUnaryClientInterceptor = {
      async interceptUnaryUnary(continuation, details, request) {
        await continuation(details, request).status
        const both = [continuation(details, request), continuation(details, request)] as const
        await both[0].status
        return both[1]
      },
    }
    const rpc = await runRpc(server.client(oneThenTwo, passing), 'unary')
    expect(rpc.status).toMatchObject({ code: Code.OK, attempts: 3, hedges: 1 })
  })

  it('a promise client has it on status and error', async () => {
    const client = createClient(testService, server.channel(racing))
    expect(await client.unary({}).status).toMatchObject({ code: Code.OK, attempts: 2, hedges: 1 })
    const failed = client.unary({}, { metadata: server.behave(failingThen(9)) })
    await expect(failed.response).rejects.toMatchObject({ code: Code.UNAVAILABLE, attempts: 2, hedges: 1 })
  })
})
