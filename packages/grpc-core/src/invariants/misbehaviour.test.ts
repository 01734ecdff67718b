import { status as Code, Metadata } from '@grpc/grpc-js'
import { metadataOf, patterns, type RpcSettings, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { awaiting, sides, until } from '../../test/observing.ts'
import { abort, type Call, type Interceptor, RpcError } from '../index.ts'

const whole: RpcSettings = { requests: [{ text: 'a', n: 2 }] }
const secret = new Error('password=hunter2')

// biome-ignore lint/suspicious/noExplicitAny: a misbehaving interceptor returns what no type allows
const invalid = (value: any): Interceptor => {
  return () => value
}

const misbehaviours: readonly [name: string, make: () => Interceptor][] = [
  [
    'throws',
    () => () => {
      throw secret
    },
  ],
  ['rejects', () => () => Promise.reject(secret)],
  ['throws a string', () => () => Promise.reject('password=hunter2')],
  ['throws nothing', () => () => Promise.reject(undefined)],
  ['throws null', () => () => Promise.reject(null)],
  [
    'throws after calling next()',
    () => (_call, next) => {
      void next()
      throw secret
    },
  ],
  [
    'throws after next()',
    () => async (_call, next) => {
      await next()
      throw secret
    },
  ],
  ['returns nothing', () => invalid(undefined)],
  ['returns null', () => invalid(null)],
  ['returns a number', () => invalid(14)],
  ['returns a string', () => invalid('OK')],
  ['returns a function', () => invalid(() => ({ code: 0 }))],
  ['returns an empty object', () => invalid({})],
  ['returns an unknown code', () => invalid({ code: 17 })],
  ['returns a fraction of a code', () => invalid({ code: 0.5 })],
  ['returns a negative code', () => invalid({ code: -1 })],
  ['returns the name of a code', () => invalid({ code: 'NOT_FOUND' })],
  ['returns details that are no string', () => invalid({ code: 5, details: { password: 'hunter2' } })],
  ['returns metadata that is none', () => invalid({ code: 5, metadata: { password: 'hunter2' } })],
  ['promises nothing', () => invalid(Promise.resolve())],
  ['promises an invalid status', () => invalid(Promise.resolve({ code: 'x' }))],
  [
    'returns a promise of its own that throws',
    () =>
      invalid({
        // biome-ignore lint/suspicious/noThenProperty: that is the point
        then() {
          throw secret
        },
      }),
  ],
  [
    'returns something that throws when touched',
    () =>
      invalid({
        get code(): number {
          throw secret
        },
      }),
  ],
  [
    'registers a tap that is none',
    () => (call, next) => {
      call.onRequest('nothing' as never)
      return next()
    },
  ],
  [
    'assigns metadata that is none',
    () => (call, next) => {
      call.metadata = { password: 'hunter2' } as never
      return next()
    },
  ],
  [
    'assigns a deadline that is none',
    () => (call, next) => {
      call.deadline = Number.NaN
      return next()
    },
  ],
  [
    'taps requests and throws',
    () => (call, next) => {
      call.onRequest(() => {
        throw secret
      })
      return next()
    },
  ],
  [
    'taps responses and throws',
    () => (call, next) => {
      call.onResponse(() => {
        throw secret
      })
      return next()
    },
  ],
  [
    'taps response metadata and throws',
    () => (call, next) => {
      call.onResponseMetadata(() => {
        throw secret
      })
      return next()
    },
  ],
]

const escaped: unknown[] = []
const catchEscaped = (error: unknown): void => void escaped.push(error)

describe('invariant 3: an interceptor that misbehaves ends its RPC with INTERNAL, and nothing else', () => {
  beforeEach(() => {
    process.on('unhandledRejection', catchEscaped).on('uncaughtException', catchEscaped)
  })
  afterEach(() => {
    process.removeListener('unhandledRejection', catchEscaped).removeListener('uncaughtException', catchEscaped)
    expect(escaped.splice(0)).toEqual([])
  })

  describe.each(sides)('on the %s', (side) => {
    describe.each(misbehaviours)('an interceptor that %s', (_name, make) => {
      it.each(patterns)('%s', async (pattern) => {
        const outer = awaiting()
        const inner = awaiting()
        const interceptors = [outer.interceptor, make(), inner.interceptor]
        await using server = await startTestServer({ interceptors: side === 'server' ? interceptors : [] })
        const client = side === 'client' ? server.client(...interceptors) : server.client()
        const rpc = await runRpc(client, pattern)
        expect(rpc.status?.code).toBe(Code.INTERNAL)
        await until(() => outer.statuses.length > 0)
        expect(outer.codes).toEqual([Code.INTERNAL])
        expect(outer.statuses[0]?.origin).toBe('local')
        expect(outer.statuses[0]?.cause).toBeDefined()
        if (side === 'server') {
          const onTheWire = JSON.stringify([rpc.status?.details, rpc.status?.metadata.toJSON()])
          expect(onTheWire).not.toContain('hunter2')
          expect(onTheWire).not.toContain('anonymous')
          expect(rpc.status?.details).toBe('Internal error')
        }
        // The next RPC knows nothing of it.
        await until(() => inner.calls.length === inner.statuses.length)
        expect((await runRpc(server.client(), pattern, { metadata: metadataOf({ again: '1' }) })).isDone).toBe(true)
      })
    })

    it('the cause is the very error', async () => {
      const outer = awaiting()
      const throwing: Interceptor = () => {
        throw secret
      }
      const interceptors = [outer.interceptor, throwing]
      await using server = await startTestServer({ interceptors: side === 'server' ? interceptors : [] })
      await runRpc(side === 'client' ? server.client(...interceptors) : server.client(), 'unary')
      await until(() => outer.statuses.length > 0)
      expect(outer.statuses[0]?.cause).toBe(secret)
    })

    it.each(patterns)('a thrown RpcError ends the RPC with its own status: %s', async (pattern) => {
      const outer = awaiting()
      const metadata = metadataOf({ 'retry-after': '1' })
      const throwing: Interceptor = async function quota() {
        throw new RpcError(Code.RESOURCE_EXHAUSTED, 'no more today', { metadata, cause: secret })
      }
      const interceptors = [outer.interceptor, throwing]
      await using server = await startTestServer({ interceptors: side === 'server' ? interceptors : [] })
      const client = side === 'client' ? server.client(...interceptors) : server.client()
      const rpc = await runRpc(client, pattern)
      expect(rpc.status).toMatchObject({ code: Code.RESOURCE_EXHAUSTED, details: 'no more today' })
      expect(rpc.error?.metadata.get('retry-after')).toEqual(['1'])
      await until(() => outer.statuses.length > 0)
      expect(outer.statuses[0]).toMatchObject({ origin: 'local', refusedBy: 'quota', cause: secret })
      if (side === 'server') expect(JSON.stringify(rpc.error?.metadata.toJSON())).not.toContain('hunter2')
      else expect(rpc.error).toMatchObject({ refusedBy: 'quota', cause: secret })
    })

    // reference: symbol 43
    it('abort() is short for it', async () => {
      const aborting: Interceptor = () => abort(Code.OUT_OF_RANGE, 'too far', metadataOf({ limit: '9' }))
      await using server = await startTestServer({ interceptors: side === 'server' ? [aborting] : [] })
      const rpc = await runRpc(side === 'client' ? server.client(aborting) : server.client(), 'bidi')
      expect(rpc.status).toMatchObject({ code: Code.OUT_OF_RANGE, details: 'too far' })
      expect(rpc.status?.metadata.get('limit')).toEqual(['9'])
    })

    // reference: deviation 26
    it.each(patterns)('an onStatus tap that throws changes nothing, and is reported: %s', async (pattern) => {
      const warnings = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
      const throwing: Interceptor = (call, next) => {
        call.onStatus(() => {
          throw secret
        })
        return next()
      }
      await using server = await startTestServer({ interceptors: side === 'server' ? [throwing] : [] })
      const rpc = await runRpc(side === 'client' ? server.client(throwing) : server.client(), pattern)
      expect(rpc.status?.code).toBe(Code.OK)
      await until(() => warnings.mock.calls.length > 0)
      expect(warnings.mock.calls).toEqual([[expect.stringContaining('onStatus'), 'GrpcStackWarning']])
    })
  })

  it.each(patterns)('next() after the interceptor has returned starts nothing: %s', async (pattern) => {
    const escapedNext: (() => unknown)[] = []
    const careless: Interceptor = (_call, next) => {
      escapedNext.push(next)
      return { code: Code.ABORTED }
    }
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(careless), pattern)
    expect(rpc.status?.code).toBe(Code.ABORTED)
    expect(await escapedNext[0]?.()).toMatchObject({ code: Code.INTERNAL, origin: 'local' })
    expect(server.calls).toEqual([])
  })

  // reference: deviation 21
  it.each(patterns)('on a server next() runs an RPC once: a second time is INTERNAL: %s', async (pattern) => {
    const outer = awaiting()
    const second: unknown[] = []
    const twice: Interceptor = async (_call, next) => {
      const status = await next()
      second.push(await next())
      return status
    }
    await using server = await startTestServer({ interceptors: [outer.interceptor, twice] })
    const rpc = await runRpc(server.client(), pattern)
    expect(rpc.status?.code).toBe(Code.INTERNAL)
    expect(second).toMatchObject([{ code: Code.INTERNAL }])
    expect(server.calls.length).toBe(1)
  })

  it('details that HTTP/2 cannot carry are repaired, not fatal', async () => {
    const details = `broken \uD800 surrogate, ünicode, % and\nline`
    await using server = await startTestServer({ interceptors: [() => ({ code: Code.ABORTED, details })] })
    const rpc = await runRpc(server.client(), 'unary')
    expect(rpc.status).toMatchObject({ code: Code.ABORTED, details: details.replace('\uD800', '\uFFFD') })
  })

  it('a misbehaving interceptor of one RPC does not touch another on the same connection', async () => {
    const flaky: Interceptor = (call: Call, next) => {
      if (call.metadata.get('misbehave').length > 0) throw secret
      return next()
    }
    await using server = await startTestServer({ interceptors: [flaky] })
    const client = server.client()
    const misbehave = new Metadata()
    misbehave.set('misbehave', '1')
    const rpcs = patterns.flatMap((pattern) => [
      startRpc(client, pattern, { ...whole, metadata: misbehave }),
      startRpc(client, pattern, whole),
    ])
    const codes = (await Promise.all(rpcs.map((rpc) => rpc.done))).map(({ status }) => status?.code)
    expect(codes).toEqual(patterns.flatMap(() => [Code.INTERNAL, Code.OK]))
  })
})
