import { status as Code } from '@grpc/grpc-js'
import {
  metadataOf,
  patterns,
  runRpc,
  type ServerRpc,
  settle,
  startRpc,
  startTestServer,
  type TestPattern,
} from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { type Call, ContextVar, type Interceptor, outsideRpc, propagate, withoutServerCall } from '../index.ts'

const tenant = new ContextVar<string>('tenant')
const hops = new ContextVar<number>('hops', { default: 0 })

/** Sets the variable to what the RPC says. */
const entering: Interceptor = (call, next) => {
  tenant.set(String(call.metadata.get('tenant')[0]))
  return next()
}

describe('a ContextVar in a server RPC', () => {
  // reference: sentence 4, sentence 22, symbol 51
  it.each(patterns)(
    'is seen by inner interceptors, the handler, its events and timers, and nowhere else: %s',
    async (pattern) => {
      const wrong: string[] = []
      const places = new Set<string>()
      const note = (rpc: ServerRpc | Call, where: string): void => {
        const expected = String(rpc.metadata.get('tenant')[0])
        places.add(where)
        const seen = tenant.get('nobody')
        if (seen !== expected) wrong.push(`${where} of ${expected} saw ${seen}`)
      }
      const outer: Interceptor = async (call, next) => {
        if (tenant.get('unset') !== 'unset') wrong.push(`an RPC began with ${tenant.get()}`)
        const status = await next()
        note(call, 'outer, after')
        return status
      }
      const inner: Interceptor = async (call, next) => {
        note(call, 'inner')
        call.onRequest(() => note(call, 'request tap'))
        call.onResponse(() => note(call, 'response tap'))
        call.onResponseMetadata(() => note(call, 'metadata tap'))
        call.onStatus(() => note(call, 'status tap'))
        await settle(1)
        const status = await next()
        note(call, 'inner, after')
        return status
      }
      await using server = await startTestServer({
        interceptors: [outer, entering, inner],
        behaviour: async (rpc) => {
          const emitter: NodeJS.EventEmitter = rpc.call
          for (const event of ['end', 'finish', 'close', 'cancelled']) emitter.on(event, () => note(rpc, event))
          note(rpc, 'handler')
          setTimeout(() => note(rpc, 'timer'), 1)
          await rpc.readAll()
          note(rpc, 'after reading')
          await new Promise((resolve) => setTimeout(resolve, 3))
          await rpc.write({}, () => note(rpc, 'written'))
          rpc.end()
        },
      })
      const client = server.client()
      const rpcs = ['a', 'b', 'c', 'd'].map((name) =>
        runRpc(client, pattern, { metadata: metadataOf({ tenant: name }) }),
      )
      for (const rpc of await Promise.all(rpcs)) expect(rpc.status?.code).toBe(Code.OK)
      await Promise.all(server.calls.map((rpc) => rpc.closed))
      await settle()
      expect(wrong).toEqual([])
      expect([...places]).toEqual(
        expect.arrayContaining([
          'inner',
          'inner, after',
          'outer, after',
          'request tap',
          'response tap',
          'status tap',
          'handler',
          'timer',
          'cancelled',
        ]),
      )
      expect(tenant.get('nobody')).toBe('nobody')
    },
  )

  // reference: deviation 10, sentence 26
  it('starts empty, whatever the context of the code that starts the server or calls it in the same process', async () => {
    const seen: string[] = []
    await using server = await startTestServer({
      interceptors: [(_call, next) => next()],
      behaviour: (rpc) => {
        seen.push(tenant.get('nobody'))
        rpc.end()
      },
    })
    await Promise.resolve().then(async () => {
      tenant.set('of the caller')
      for (const pattern of patterns) await runRpc(server.client(), pattern)
    })
    expect(seen).toEqual(['nobody', 'nobody', 'nobody', 'nobody'])
  })

  it('is there without any interceptor as well, where the server is one of grpc-core', async () => {
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        tenant.set('of the handler')
        await settle(1)
        await rpc.write({ text: tenant.get('nobody') })
        rpc.end()
      },
    })
    expect((await runRpc(server.client(), 'unary')).messages).toEqual([{ text: 'of the handler' }])
    expect(tenant.get('nobody')).toBe('nobody')
  })

  // reference: symbol 52
  it('reset() restores what was before set(), once, and only with a token of its own', async () => {
    const seen: unknown[] = []
    const errors: unknown[] = []
    const attempt = (work: () => void): void => {
      try {
        work()
      } catch (error) {
        errors.push((error as Error).message)
      }
    }
    await using server = await startTestServer({
      interceptors: [
        (_call, next) => {
          const first = tenant.set('first')
          const second = tenant.set('second')
          seen.push(tenant.get())
          tenant.reset(second)
          seen.push(tenant.get())
          tenant.reset(first)
          seen.push(tenant.get('unset'))
          attempt(() => tenant.get())
          attempt(() => tenant.reset(first))
          attempt(() => tenant.reset(hops.set(1) as never))
          return next()
        },
      ],
    })
    await runRpc(server.client(), 'unary')
    expect(seen).toEqual(['second', 'first', 'unset'])
    expect(errors).toEqual([
      expect.stringContaining('"tenant" has no value'),
      expect.stringContaining('already used'),
      expect.stringContaining('this token is of "hops"'),
    ])
  })

  // reference: symbol 53
  it('has its default where nothing was set, and a fallback before it', () => {
    expect(hops.get()).toBe(0)
    expect(hops.get(5)).toBe(5)
    expect(tenant.get('fallback')).toBe('fallback')
    expect(tenant.get(undefined as never)).toBeUndefined()
    expect(() => tenant.get()).toThrow('"tenant" has no value')
    expect(() => new ContextVar('')).toThrow(TypeError)
    expect(() => new ContextVar(7 as never)).toThrow(TypeError)
  })

  // reference: symbol 54
  it('is also there as call.context, without asking the current flow', async () => {
    const seen: unknown[] = []
    await using server = await startTestServer({
      interceptors: [
        (call, next) => {
          call.context.set(tenant, 'by the call')
          return next()
        },
        (call, next) => {
          seen.push(tenant.get(), call.context.get(tenant), call.context.get(hops), call.context.has(hops))
          return next()
        },
      ],
    })
    await runRpc(server.client(), 'bidi')
    expect(seen).toEqual(['by the call', 'by the call', undefined, false])
  })
})

describe('a ContextVar on a client', () => {
  // reference: deviation 10
  it('interceptors see the caller’s values; what they set stays in that RPC', async () => {
    const seen: unknown[] = []
    const counting: Interceptor = async (_call, next) => {
      seen.push(tenant.get('nobody'), hops.get())
      hops.set(hops.get() + 1)
      await settle(1)
      const status = await next()
      seen.push(hops.get())
      return status
    }
    await using server = await startTestServer()
    const client = server.client(counting, counting)
    await Promise.resolve().then(async () => {
      tenant.set('caller')
      hops.set(10)
      const rpc = startRpc(client, 'unary')
      rpc.call.on('status', () => seen.push(`callback ${hops.get()} ${tenant.get()}`))
      await rpc.done
      expect(hops.get()).toBe(10)
    })
    expect(seen).toEqual(['caller', 10, 'caller', 11, 12, 12, 'callback 10 caller'])
  })

  it.each(patterns)('taps of an RPC see its context: %s', async (pattern) => {
    const seen = new Set<string>()
    const tapping: Interceptor = async (call, next) => {
      const name = String(call.metadata.get('tenant')[0])
      tenant.set(name)
      const note = (where: string) => (): void => void seen.add(`${where}:${tenant.get('nobody') === name}`)
      call.onRequest(note('request'))
      call.onResponse(note('response'))
      call.onResponseMetadata(note('metadata'))
      return await next()
    }
    await using server = await startTestServer()
    const client = server.client(tapping)
    const start = (name: string, kind: TestPattern) => runRpc(client, kind, { metadata: metadataOf({ tenant: name }) })
    await Promise.all(['a', 'b', 'c'].map((name) => start(name, pattern)))
    expect([...seen].sort()).toEqual(['metadata:true', 'request:true', 'response:true'])
  })

  it('a call made while another is handled sees that one’s values', async () => {
    const seen: unknown[] = []
    await using backend = await startTestServer()
    const looking: Interceptor = (call, next) => {
      seen.push(tenant.get('nobody'))
      call.metadata.set('tenant', tenant.get('nobody'))
      return next()
    }
    const onward = backend.client(looking)
    await using front = await startTestServer({
      interceptors: [entering],
      behaviour: async (rpc) => {
        await settle(1)
        await runRpc(onward, rpc.pattern)
        rpc.end()
      },
    })
    const client = front.client()
    await Promise.all(
      patterns.map((pattern) => runRpc(client, pattern, { metadata: metadataOf({ tenant: `for ${pattern}` }) })),
    )
    expect(seen.sort()).toEqual(patterns.map((pattern) => `for ${pattern}`).sort())
    expect(backend.calls.map(({ metadata }) => metadata.get('tenant')[0]).sort()).toEqual(seen)
  })
})

describe('work that calls share', () => {
  it('outsideRpc: sees no ContextVar and no server call, and what it starts does not either', async () => {
    const seen: unknown[] = []
    const deadlines: number[] = []
    await using backend = await startTestServer()
    const looking: Interceptor = (call, next) => {
      deadlines.push(call.deadline)
      return next()
    }
    const onward = backend.client(propagate(), looking)
    await using front = await startTestServer({
      interceptors: [entering],
      behaviour: async (rpc) => {
        await outsideRpc(async () => {
          seen.push(tenant.get('none'))
          await settle(1)
          seen.push(tenant.get('none'))
          await runRpc(onward, 'unary')
        })
        seen.push(tenant.get('none'))
        rpc.end()
      },
    })
    const options = { deadline: Date.now() + 60_000 }
    await runRpc(front.client(), 'unary', { metadata: metadataOf({ tenant: 'a' }), options })
    expect(seen).toEqual(['none', 'none', 'a'])
    expect(deadlines).toEqual([Number.POSITIVE_INFINITY])
  })

  it('withoutServerCall: sees the ContextVars, until its result says that it is shared', async () => {
    const seen: unknown[] = []
    await using front = await startTestServer({
      interceptors: [entering],
      behaviour: async (rpc) => {
        const work = async (): Promise<void> => {
          seen.push(tenant.get('none'))
          await settle(1)
          seen.push(tenant.get('none'))
        }
        await withoutServerCall(work, () => false)
        await withoutServerCall(work, () => true)
        seen.push(tenant.get('none'))
        rpc.end()
      },
    })
    await runRpc(front.client(), 'unary', { metadata: metadataOf({ tenant: 'a' }) })
    expect(seen).toEqual(['a', 'a', 'a', 'none', 'a'])
  })
})
