import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor, Status, UnaryUnaryClientInterceptor } from '@grpc-stack/grpc-core'
import { failing, patterns, runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

/** A retry as short as can be, with the header of gRFC A6 and the count on the status. */
const retry: Interceptor<ClientCall> = async function retry(call, next) {
  call.makeReplayable({ maxBytes: 1024, maxMessages: 10 })
  for (let attempts = 1; ; attempts++) {
    if (attempts > 1) call.metadata.set('grpc-previous-rpc-attempts', String(attempts - 1))
    const status: Status = await next()
    if (status.code !== Code.UNAVAILABLE || attempts === 3) return { ...status, origin: status.origin!, attempts }
  }
}

let log: SpanLog
beforeAll(() => {
  log = registerSdk()
})
afterAll(unregisterSdk)
beforeEach(() => log.clear())

describe.each(patterns)('tracing(), retry(), tracing({ per: "attempt" }): %s', (pattern) => {
  it('one span for the call, a child for each attempt, and each server span is a child of its attempt', async () => {
    await using server = await startTestServer({ interceptors: [tracing(), failing(2)] })
    const client = server.channel(tracing(), retry, tracing({ per: 'attempt' })).client(TestClient)
    const { status } = await runRpc(client, pattern)
    expect(status?.code).toBe(Code.OK)
    await log.count(7)
    expect(log.started).toHaveLength(7)

    expect(log.client.attributes).toMatchObject({ 'rpc.status_code': 'OK', 'grpc_stack.attempts': 3 })
    expect(log.client.attributes).not.toHaveProperty('error.type')
    expect(log.client.status.code).toBe(SpanStatusCode.UNSET)
    const { attempts } = log
    const method = log.client.name.split('/')[1]
    for (const [n, attempt] of attempts.entries()) {
      expect(attempt.name).toBe(`Attempt.grpcstack.testing.Test.${method}`)
      expect(attempt.parentSpanContext?.spanId).toBe(log.client.spanContext().spanId)
      expect(attempt.attributes).toMatchObject({
        'previous-rpc-attempts': n,
        'rpc.status_code': n === 2 ? 'OK' : 'UNAVAILABLE',
        'rpc.method': `grpcstack.testing.Test/${method}`,
      })
      expect(attempt.status.code).toBe(n === 2 ? SpanStatusCode.UNSET : SpanStatusCode.ERROR)
      expect(attempt.attributes['error.type']).toBe(n === 2 ? undefined : 'UNAVAILABLE')
    }
    const serverSpans = log.ended.filter(({ kind }) => kind === SpanKind.SERVER)
    expect(serverSpans.map((span) => span.parentSpanContext?.spanId)).toEqual(
      attempts.map((span) => span.spanContext().spanId),
    )
  })
})

describe('attempts', () => {
  it('without a span of their own are one span with their number, and the server spans are its children', async () => {
    await using server = await startTestServer({ interceptors: [tracing(), failing(1)] })
    await runRpc(server.client(tracing(), retry), 'unary')
    await log.count(3)
    expect(log.client.attributes['grpc_stack.attempts']).toBe(2)
    const serverSpans = log.ended.filter(({ kind }) => kind === SpanKind.SERVER)
    expect(serverSpans.map((span) => span.parentSpanContext?.spanId)).toEqual(
      Array(2).fill(log.client.spanContext().spanId),
    )
  })

  it('that run at the same time, as hedged ones do, are children of the call', async () => {
    const twice: UnaryUnaryClientInterceptor = {
      async interceptUnaryUnary(continuation, details, request) {
        const both = [continuation(details, request), continuation(details, request)] as const
        await both[0]
        return both[1]
      },
    }
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.client(tracing(), twice, tracing({ per: 'attempt' })), 'unary')
    await log.count(5)
    expect(log.attempts.map((span) => span.parentSpanContext?.spanId)).toEqual(
      Array(2).fill(log.client.spanContext().spanId),
    )
  })

  it('carry one trace context on the wire, their own', async () => {
    await using server = await startTestServer({ interceptors: [failing(1)] })
    await runRpc(server.client(tracing(), retry, tracing({ per: 'attempt' })), 'unary')
    const values = server.calls[0]?.metadata.get('traceparent')
    expect(values).toHaveLength(1)
    expect(values?.[0]).toContain(log.attempts[1]?.spanContext().spanId)
  })

  it('a span of the application between call and attempt stays between them', async () => {
    const between: Interceptor = (_call, next) =>
      trace.getTracer('app').startActiveSpan('between', (span) => {
        const outcome = next()
        void outcome.then(() => span.end())
        return outcome
      })
    await using server = await startTestServer()
    await runRpc(server.client(tracing(), between, tracing({ per: 'attempt' })), 'unary')
    await log.count(3)
    const [attempt, own] = [
      log.attempts.find((span) => span.name.startsWith('Attempt')),
      log.attempts.find((span) => span.name === 'between'),
    ]
    expect(attempt?.parentSpanContext?.spanId).toBe(own?.spanContext().spanId)
    expect(own?.parentSpanContext?.spanId).toBe(log.client.spanContext().spanId)
  })

  it('do nothing on a server', async () => {
    await using server = await startTestServer({ interceptors: [tracing({ per: 'attempt' })] })
    const { status } = await runRpc(server.client(), 'unary')
    expect(status?.code).toBe(Code.OK)
    expect(log.started).toEqual([])
  })

  it('alone are children of the caller', async () => {
    await using server = await startTestServer()
    await runRpc(server.client(tracing({ per: 'attempt' })), 'unary')
    await log.count(1)
    expect(log.attempts[0]).toMatchObject({ kind: SpanKind.INTERNAL, parentSpanContext: undefined })
  })
})
