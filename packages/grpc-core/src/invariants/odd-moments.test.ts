import { status as Code } from '@grpc/grpc-js'
import { manual, patterns, runRpc, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { describe, expect, it } from 'vitest'
import { until } from '../../test/observing.ts'
import type { ClientCall, Interceptor } from '../index.ts'

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
