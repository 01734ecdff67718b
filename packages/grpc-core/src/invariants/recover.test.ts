import { createHook } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import {
  echo,
  endWith,
  Gate,
  patterns,
  type RpcSettings,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  type TestPattern,
  testService,
} from '@grpc-stack/grpc-testing'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { awaiting, type Observer, sides, until } from '../../test/observing.ts'
import {
  type Call,
  type ClientCall,
  chain,
  createClient,
  type Interceptor,
  type Next,
  type Recovery,
  RpcError,
} from '../index.ts'

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
const forever = new Promise<never>(() => undefined)

type Recover = (call: Call, next: Next, recovery: Recovery) => ReturnType<Next>

/** The two that must not differ: the engine's, and what it is documented to be the same as. */
const byEngine: Recover = (call, next, recovery) => call.recover(next, recovery)
const byDefinition: Recover = async (_call, next, recovery) => {
  const status = await next()
  return (await recovery(status)) ?? status
}

const replayable = (call: Call): void => {
  if (call.side === 'client') (call as ClientCall).makeReplayable({ maxBytes: 10_000, maxMessages: 10 })
}

/** What an interceptor may be, given a way to recover. */
const kinds: Record<string, (recover: Recover) => Interceptor> = {
  'passes through': () => (_call, next) => next(),
  awaits: () => async (_call, next) => await next(),
  'lets be': (recover) => (call, next) => recover(call, next, () => undefined),
  'lets be and awaits it': (recover) => async (call, next) => await recover(call, next, () => undefined),
  replaces: (recover) => (call, next) => recover(call, next, ({ code }) => ({ code: code === 0 ? 9 : 10 })),
  'replaces later': (recover) => (call, next) =>
    recover(call, next, async ({ code }) => {
      await settle()
      return { code: code === 0 ? 11 : 15 }
    }),
  'replaces failures': (recover) => (call, next) =>
    recover(call, next, ({ code }) => (code === 0 ? undefined : { code: 8, details: 'replaced' })),
  repeats: (recover) => (call, next) => {
    replayable(call)
    return recover(call, next, ({ code }) =>
      code !== 0 && call.side === 'client' && !(call as ClientCall).committed ? next() : undefined,
    )
  },
  'throws a status': (recover) => (call, next) =>
    recover(call, next, () => {
      throw new RpcError(6, 'thrown')
    }),
  'throws later': (recover) => (call, next) => recover(call, next, () => Promise.reject(new Error('secret'))),
  'returns an invalid status': (recover) => (call, next) => recover(call, next, (() => 5) as unknown as Recovery),
  'says another thing': (recover) => (call, next) => {
    void recover(call, next, () => ({ code: 3 }))
    return { code: 2, details: 'another thing' }
  },
  'says another thing later': (recover) => async (call, next) => {
    await recover(call, next, () => ({ code: 3 }))
    return { code: 2, details: 'another thing' }
  },
  'waits first': (recover) => async (call, next) => {
    await settle()
    return recover(call, next, ({ code }) => (code === 0 ? undefined : { code: 4, details: 'waited first' }))
  },
  refuses: () => () => ({ code: 7, details: 'refused' }),
  'is two nested by hand': (recover) => {
    const nested = chain(
      (call, next) => recover(call, next, ({ code }) => (code === 0 ? undefined : { code: 13, details: 'outer' })),
      (call, next) => recover(call, next, ({ code }) => (code === 0 ? { code: 12, details: 'inner' } : undefined)),
    )
    return async (call, next) => await nested(call, next)
  },
}

const names = Object.keys(kinds)

/** What each layer, the application and the handler see of one RPC through such a stack. */
async function outcome(
  side: 'client' | 'server',
  pattern: TestPattern,
  stack: readonly string[],
  fails: boolean,
  recover: Recover,
): Promise<unknown> {
  const observers: Observer[] = []
  const interceptors = stack.flatMap((name) => {
    const observer = awaiting()
    observers.push(observer)
    return [observer.interceptor, (kinds[name] as (typeof kinds)[string])(recover)]
  })
  const behaviour = fails ? endWith({ code: Code.UNAVAILABLE, details: 'down' }) : echo
  await using server = await startTestServer({ behaviour, interceptors: side === 'server' ? interceptors : [] })
  const rpc = await runRpc(server.client(...(side === 'client' ? interceptors : [])), pattern, whole)
  await until(() => observers[0]?.statuses.length !== 0, 'the outermost has its status')
  // What is inside a layer that has gone on without it hears so, in its own time.
  const left = stack.indexOf('says another thing')
  return {
    heard: observers
      .slice(0, left < 0 ? undefined : left + 1)
      .map(({ statuses }) =>
        statuses.map(({ code, details, refusedBy }) => ({ code, details, refused: refusedBy !== undefined })),
      ),
    code: rpc.status?.code,
    details: rpc.status?.details,
    messages: rpc.messages.length,
    handled: server.calls.length,
  }
}

describe('recover() is the same as awaiting next() and doing something about the status', () => {
  const cases = sides.flatMap((side) => patterns.map((pattern) => [side, pattern] as const))

  it.each(cases)(
    'whatever else is in the stack: %s, %s',
    async (side, pattern) => {
      const anyStack = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 })
      await fc.assert(
        fc.asyncProperty(anyStack, fc.boolean(), async (stack, fails) => {
          const [engine, definition] = await Promise.all(
            [byEngine, byDefinition].map((recover) => outcome(side, pattern, stack, fails, recover)),
          )
          expect(engine).toEqual(definition)
        }),
        { numRuns: 50 },
      )
    },
    60_000,
  )

  it.each(cases)('also when no other interceptor awaits it: %s, %s', async (side, pattern) => {
    for (const name of names) {
      const interceptor = (kinds[name] as (typeof kinds)[string])(byEngine)
      await using server = await startTestServer({ interceptors: side === 'server' ? [interceptor] : [] })
      const rpc = await runRpc(server.client(...(side === 'client' ? [interceptor] : [])), pattern, whole)
      expect({ name, status: rpc.status?.code }).toEqual({ name, status: CODES_WHEN_ALONE[name] ?? Code.OK })
    }
  })
})

/** What an RPC that succeeds ends with, if not OK. */
const CODES_WHEN_ALONE: Record<string, Code> = {
  replaces: Code.FAILED_PRECONDITION,
  'replaces later': Code.OUT_OF_RANGE,
  'throws a status': Code.ALREADY_EXISTS,
  'throws later': Code.INTERNAL,
  'returns an invalid status': Code.INTERNAL,
  'says another thing': Code.UNKNOWN,
  'says another thing later': Code.UNKNOWN,
  refuses: Code.PERMISSION_DENIED,
  'is two nested by hand': Code.INTERNAL,
}

it('hears of what is inside that ends at once, after a wait', async () => {
  const waits: Interceptor = async (call, next) => {
    await settle()
    return call.recover(next, ({ code }) => (code === Code.UNAVAILABLE ? { code: Code.ABORTED } : undefined))
  }
  await using server = await startTestServer()
  const channel = server.channel(waits)
  const client = createClient(testService, channel)
  await client.unary({})
  channel.close()
  await expect(client.unary({})).rejects.toMatchObject({ code: Code.ABORTED })
})

describe('a recovery that hangs', () => {
  const hanging = (asked: Gate): Interceptor => {
    return (call, next) =>
      call.recover(next, () => {
        asked.open()
        return forever
      })
  }

  it.each(patterns)('is ended by a cancel: %s', async (pattern) => {
    const asked = new Gate()
    const outer = awaiting()
    await using server = await startTestServer({ behaviour: endWith({ code: Code.ABORTED }) })
    const rpc = startRpc(server.client(outer.interceptor, hanging(asked)), pattern, whole)
    await asked.opened
    rpc.cancel()
    expect((await rpc.done).status?.code).toBe(Code.CANCELLED)
    expect(outer.codes).toEqual([Code.CANCELLED])
  })

  it.each(patterns)('is ended by the deadline, on time: %s', async (pattern) => {
    const start = performance.now()
    await using server = await startTestServer({ behaviour: endWith({ code: Code.ABORTED }) })
    const options = { deadline: Date.now() + 60 }
    const rpc = await runRpc(server.client(hanging(new Gate())), pattern, { ...whole, options })
    expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    expect(performance.now() - start).toBeGreaterThan(58)
    expect(performance.now() - start).toBeLessThan(3000)
  })

  it.each(patterns)('on a server is ended by a cancel: %s', async (pattern) => {
    const asked = new Gate()
    const outer = awaiting()
    await using server = await startTestServer({ interceptors: [outer.interceptor, hanging(asked)] })
    const rpc = startRpc(server.client(), pattern, whole)
    await asked.opened
    rpc.cancel()
    await until(() => outer.codes.length > 0, 'the interceptor outside hears of it')
    expect(outer.codes).toEqual([Code.CANCELLED])
  })
})

it.each(sides)('a recovery is asked once, also where an outer interceptor goes on without it: %s', async (side) => {
  const heard: Code[] = []
  const asked: Interceptor = (call, next) =>
    call.recover(next, ({ code }) => {
      heard.push(code)
      throw new Error('no effect')
    })
  const goesOn: Interceptor = (_call, next) => {
    void next()
    return { code: Code.ABORTED }
  }
  const stack = [goesOn, asked]
  await using server = await startTestServer({ interceptors: side === 'server' ? stack : [] })
  const rpc = await runRpc(server.client(...(side === 'client' ? stack : [])), 'unary', whole)
  expect(rpc.status?.code).toBe(Code.ABORTED)
  await until(() => heard.length > 0, 'the recovery is asked')
  await settle(20)
  expect(heard).toEqual([Code.CANCELLED])
})

describe('while there is nothing to do', () => {
  it('one promise a call is all it costs', async () => {
    const count = async (interceptors: readonly Interceptor[]): Promise<number> => {
      await using server = await startTestServer()
      const client = server.client(...interceptors)
      await runRpc(client, 'unary')
      let promises = 0
      const hook = createHook({
        init(_id, type) {
          if (type === 'PROMISE') promises++
        },
      })
      hook.enable()
      for (let n = 0; n < 50; n++) await runRpc(client, 'unary')
      hook.disable()
      return promises / 50
    }
    const nothing: Interceptor = (call, next) => call.recover(next, () => undefined)
    const handsOn: Interceptor = (_call, next) => next()
    const handedOn = await count([handsOn])
    expect((await count([nothing])) - handedOn).toBeLessThan(1.5)
    expect((await count([handsOn, handsOn, nothing, handsOn])) - handedOn).toBeLessThan(1.5)
    expect((await count([nothing, nothing, nothing])) - handedOn).toBeLessThan(3.5)
  })
})
