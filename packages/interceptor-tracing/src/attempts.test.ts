import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor, Status, UnaryUnaryClientInterceptor } from '@grpc-stack/grpc-core'
import { failing, patterns, runRpc, startTestServer, TestClient } from '@grpc-stack/grpc-testing'
import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { hrTimeToMilliseconds } from '@opentelemetry/core'
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
  it('need no second tracing() where there are several: the span of the first is made when the second begins', async () => {
    await using server = await startTestServer({ interceptors: [tracing(), failing(1)] })
    const before = Date.now()
    await runRpc(server.client(tracing(), retry), 'unary')
    await log.count(5)
    const { client, attempts } = log
    expect(client.attributes['grpc_stack.attempts']).toBe(2)
    expect(
      attempts.map(({ name, attributes, parentSpanContext }) => [name, attributes, parentSpanContext?.spanId]),
    ).toEqual(
      ['UNAVAILABLE', 'OK'].map((code, n) => [
        'Attempt.grpcstack.testing.Test.Unary',
        expect.objectContaining({ 'previous-rpc-attempts': n, 'rpc.status_code': code }),
        client.spanContext().spanId,
      ]),
    )
    expect(attempts[0]?.status.code).toBe(SpanStatusCode.ERROR)
    const [first, second] = attempts as [(typeof attempts)[0], (typeof attempts)[0]]
    for (const { startTime, endTime } of attempts) {
      expect(hrTimeToMilliseconds(startTime)).toBeGreaterThanOrEqual(before)
      expect(hrTimeToMilliseconds(endTime)).toBeGreaterThan(hrTimeToMilliseconds(startTime))
    }
    expect(hrTimeToMilliseconds(second.startTime)).toBeGreaterThanOrEqual(hrTimeToMilliseconds(first.endTime) - 2)
    const serverSpans = log.ended.filter(({ kind }) => kind === SpanKind.SERVER)
    expect(serverSpans.map((span) => span.parentSpanContext?.spanId)).toEqual([
      client.spanContext().spanId,
      second.spanContext().spanId,
    ])
  })

  it('of a call that succeeds at once, or that nothing would try again, have no span', async () => {
    await using server = await startTestServer()
    await runRpc(server.client(tracing(), retry), 'unary')
    await runRpc(server.client(tracing()), 'unary')
    await log.count(2)
    expect(log.attempts).toEqual([])
  })

  it('have one span each where both are asked for', async () => {
    await using server = await startTestServer({ interceptors: [failing(2)] })
    await runRpc(server.client(tracing(), retry, tracing({ per: 'attempt' })), 'unary')
    await log.count(4)
    expect(log.started).toHaveLength(4)
  })

  it('are not what the hooks of the call are about', async () => {
    const seen: string[] = []
    const options = {
      spanName: () => 'own',
      requestHook: () => void seen.push('request'),
      responseHook: () => void seen.push('response'),
    }
    await using server = await startTestServer({ interceptors: [failing(1)] })
    await runRpc(server.client(tracing(options), retry), 'unary')
    await log.count(3)
    expect(seen).toEqual(['request', 'response'])
    expect(log.attempts.map(({ name }) => name)).toEqual(Array(2).fill('Attempt.grpcstack.testing.Test.Unary'))
  })

  const twice: UnaryUnaryClientInterceptor = {
    async interceptUnaryUnary(continuation, details, request) {
      const both = [continuation(details, request), continuation(details, request)] as const
      await both[0]
      return both[1]
    },
  }

  it.each([
    ['with a tracing() of their own', [tracing({ per: 'attempt' })]],
    ['without', []],
  ])('that run at the same time, as hedged ones do, are children of the call: %s', async (_how, inside) => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.client(tracing(), twice, ...inside), 'unary')
    await log.count(5)
    expect(log.attempts.map((span) => span.parentSpanContext?.spanId)).toEqual(
      Array(2).fill(log.client.spanContext().spanId),
    )
    for (const { status, attributes } of log.attempts) {
      expect(status.code).toBe(SpanStatusCode.UNSET)
      expect(attributes['rpc.status_code']).toBe('OK')
    }
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
