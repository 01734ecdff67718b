import { status as Code } from '@grpc/grpc-js'
import { manual, patterns, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import { type ClientCall, type ClientInterceptor, createClient, type Interceptor } from '../index.ts'

const escaped: unknown[] = []
const catchEscaped = (error: unknown): void => void escaped.push(error)
beforeAll(() => {
  process.on('unhandledRejection', catchEscaped).on('uncaughtException', catchEscaped)
})
afterAll(() => {
  process.removeListener('unhandledRejection', catchEscaped).removeListener('uncaughtException', catchEscaped)
})

const hanging: Interceptor = () => new Promise(() => undefined)
const whole = { requests: [{ n: 1 }] }

describe('a deadline that is no time', () => {
  it.each(patterns)('has passed, as grpc-js takes it, also while an interceptor hangs: %s', async (pattern) => {
    await using server = await startTestServer({ behaviour: manual })
    for (const deadline of [Number.NaN, new Date(Number.NaN)]) {
      const rpc = await runRpc(server.client(hanging), pattern, { ...whole, options: { deadline } })
      expect(rpc.status?.code).toBe(Code.DEADLINE_EXCEEDED)
    }
  })
})

const returning: Interceptor = (_call, next) => next()
const late: Interceptor = async (_call, next) => {
  await Promise.resolve()
  return next()
}
const object: ClientInterceptor = {
  interceptUnaryUnary: (continuation, details, request) => continuation(details, request),
  interceptUnaryStream: (continuation, details, request) => continuation(details, request),
  interceptStreamUnary: (continuation, details, requests) => continuation(details, requests),
  interceptStreamStream: (continuation, details, requests) => continuation(details, requests),
}
const stacks = { 'next() returned': [returning], 'next() called late': [late], 'an interceptor object': [object] }

// grpc-js throws on the first two where no caller can catch it (deadline.ts, 1.14), which ends the process.
describe.each(Object.entries(stacks))('a deadline that grpc-js cannot send, with %s', (_, stack) => {
  it.each(patterns)('ends the call at once if it is no number: %s', async (pattern) => {
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(...stack), pattern, { ...whole, options: { deadline: Number.NaN } })
    await server.stop()
    expect([rpc.status?.code, escaped]).toEqual([Code.DEADLINE_EXCEEDED, []])
  })

  it.each(patterns)('is none if it is too far away: %s', async (pattern) => {
    await using server = await startTestServer()
    const setting: Interceptor<ClientCall> = (call, next) => {
      call.deadline = Number.MAX_VALUE
      return next()
    }
    const client = server.client(...stack)
    const codes = [
      await runRpc(client, pattern, { ...whole, options: { deadline: Number.MAX_SAFE_INTEGER } }),
      await runRpc(server.client(setting, ...stack), pattern, whole),
    ].map(({ status }) => status?.code)
    expect([codes, escaped]).toEqual([[Code.OK, Code.OK], []])
  })

  it.each(patterns)('is none if it is null, as to grpc-js: %s', async (pattern) => {
    await using server = await startTestServer()
    const options = { deadline: null as unknown as number }
    const rpc = await runRpc(server.client(...stack), pattern, { ...whole, options })
    expect(rpc.status?.code).toBe(Code.OK)
  })

  it.each(patterns)('is refused at the call if it is of another type: %s', async (pattern) => {
    await using server = await startTestServer()
    const options = { deadline: '2030-01-01' as unknown as number }
    expect(() => startRpc(server.client(...stack), pattern, { ...whole, options })).toThrow(
      'deadline must be a number of epoch milliseconds or a Date, got "2030-01-01"',
    )
  })
})

describe('a timeout that is too long to send', () => {
  it('is none, in createClient and in the details of an interceptor object', async () => {
    const rewriting: ClientInterceptor = {
      interceptUnaryUnary: (continuation, details, request) =>
        continuation(details.with({ timeoutMs: Number.MAX_VALUE }), request),
    }
    await using server = await startTestServer()
    for (const channel of [server.channel(), server.channel(returning), server.channel(rewriting)]) {
      const client = createClient(server.definition, channel)
      for (const timeoutMs of [Number.MAX_VALUE, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
        expect((await client.unary({}, { timeoutMs }).status).code).toBe(Code.OK)
      }
    }
    expect(escaped).toEqual([])
  })
})

describe('call.signal on a client', () => {
  it.each(patterns)('aborts when the deadline passes while an attempt runs: %s', async (pattern) => {
    const reasons: unknown[] = []
    const watching: Interceptor = (call, next) => {
      call.signal.addEventListener('abort', () => reasons.push(call.signal.reason))
      return next()
    }
    await using server = await startTestServer({ behaviour: manual })
    await runRpc(server.client(watching), pattern, { ...whole, options: { deadline: Date.now() + 60 } })
    expect(reasons).toEqual([expect.objectContaining({ code: Code.DEADLINE_EXCEEDED })])
  })

  it.each(patterns)(
    'does not abort when the server says that a deadline of its own has passed: %s',
    async (pattern) => {
      let aborted = false
      const watching: Interceptor = (call, next) => {
        call.signal.addEventListener('abort', () => {
          aborted = true
        })
        return next()
      }
      await using server = await startTestServer({ behaviour: (rpc) => rpc.end({ code: Code.DEADLINE_EXCEEDED }) })
      const rpc = await runRpc(server.client(watching), pattern, {
        ...whole,
        options: { deadline: Date.now() + 60_000 },
      })
      expect([rpc.status?.code, aborted]).toEqual([Code.DEADLINE_EXCEEDED, false])
    },
  )
})

describe('respond()', () => {
  it.each(['serverStream', 'bidi'] as const)('settles when the call is cancelled, on a client: %s', async (pattern) => {
    let settled = false
    const answering: Interceptor = async (call) => {
      await call.respond({ text: 'unread' })
      settled = true
      return { code: Code.OK }
    }
    await using server = await startTestServer()
    const rpc = startRpc(server.client(answering), pattern, { ...whole, reading: false })
    rpc.cancel()
    await rpc.done
    await until(() => settled)
    expect(rpc.status?.code).toBe(Code.CANCELLED)
  })

  it.each(['unary', 'clientStream'] as const)(
    'and then next(), on a server, ends an RPC with one response with INTERNAL: %s',
    async (pattern) => {
      const twice: Interceptor = async (call, next) => {
        void call.respond({ text: 'first' })
        return await next()
      }
      await using server = await startTestServer({ interceptors: [twice] })
      const rpc = await runRpc(server.client(), pattern, whole)
      expect(rpc.status?.code).toBe(Code.INTERNAL)
    },
  )
})

describe('call.cancel()', () => {
  it.each(patterns)('may be called where an attempt ends: %s', async (pattern) => {
    const thrown: unknown[] = []
    const cancelling: Interceptor<ClientCall> = (call, next) => {
      call.onAttempt(() => () => {
        try {
          call.cancel()
        } catch (error) {
          thrown.push(error)
        }
      })
      return next()
    }
    await using server = await startTestServer()
    await runRpc(server.client(cancelling), pattern, whole)
    expect(thrown).toEqual([])
  })
})

const hooks = ['onRequest', 'onResponse', 'onResponseMetadata'] as const

describe.each([
  ['grpc-js', []],
  ['an interceptor object that passes everything on', [object]],
] as const)('in the taps of an interceptor around %s', (_, inside) => {
  it.each(patterns)('call.cancel() where a response comes ends the call with CANCELLED: %s', async (pattern) => {
    const cancelling: Interceptor<ClientCall> = (call, next) => {
      call.onResponse(() => call.cancel())
      return next()
    }
    await using server = await startTestServer()
    const rpc = await runRpc(server.client(cancelling, ...inside), pattern, whole)
    expect(rpc.status?.code).toBe(Code.CANCELLED)
  })

  it.each(patterns.flatMap((pattern) => hooks.map((hook) => [hook, pattern] as const)))(
    'what an %s tap throws ends the call with INTERNAL: %s',
    async (hook, pattern) => {
      const statuses: unknown[] = []
      const watching: Interceptor = (call, next) => {
        call.onStatus((status) => void statuses.push(status.code))
        return next()
      }
      const throwing: Interceptor = (call, next) => {
        call[hook](() => {
          throw new Error('of a tap')
        })
        return next()
      }
      await using server = await startTestServer()
      const rpc = await runRpc(server.client(watching, throwing, ...inside), pattern, whole)
      expect([rpc.error?.code, rpc.status?.code, ...statuses]).toEqual([Code.INTERNAL, Code.INTERNAL, Code.INTERNAL])
      expect(rpc.error?.details).toBe(`An ${hook} tap failed: of a tap`)
      // As with every error that grpc-js gives. Those of JavaScriptCore, on Bun, have a line and a column as well.
      const keys = Reflect.ownKeys(rpc.error ?? {}).filter((key) => key !== 'line' && key !== 'column')
      expect(keys.sort()).toEqual(['code', 'details', 'message', 'metadata', 'stack'])
    },
  )

  it.each(['unary', 'serverStream'] as const)(
    'call.cancel() where an attempt begins lets none begin: %s',
    async (pattern) => {
      const cancelling: Interceptor<ClientCall> = (call, next) => {
        call.onAttempt(() => {
          call.cancel()
          return undefined
        })
        return next()
      }
      await using server = await startTestServer()
      const rpc = await runRpc(server.client(cancelling, ...inside), pattern, whole)
      expect([rpc.status?.code, server.calls.length]).toEqual([Code.CANCELLED, 0])
    },
  )
})
