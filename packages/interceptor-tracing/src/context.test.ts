import { AsyncLocalStorage } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import type { Interceptor } from '@grpc-stack/grpc-core'
import {
  type Behaviour,
  metadataOf,
  patterns,
  runRpc,
  startRpc,
  startTestServer,
  TestClient,
  type TestServer,
} from '@grpc-stack/grpc-testing'
import { context, trace } from '@opentelemetry/api'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

const activeSpan = () => trace.getActiveSpan()?.spanContext().spanId

let log: SpanLog
beforeAll(() => {
  log = registerSdk()
})
afterAll(unregisterSdk)
beforeEach(() => log.clear())

describe.each(patterns)('on the server, the context of the span: %s', (pattern) => {
  it('is the one of the handler and of all its stream events, and calls do not mix', async () => {
    /** Span ids by the text of the request, and where they were seen. */
    const seen = new Map<string, [where: string, spanId: string | undefined][]>()
    const watching: Behaviour = async (rpc) => {
      const places: [string, string | undefined][] = [['handler', activeSpan()]]
      const note = (where: string) => places.push([where, activeSpan()])
      const call: EventEmitter = rpc.call
      call.on('cancelled', () => note('cancelled'))
      if (pattern === 'clientStream' || pattern === 'bidi') {
        call.once('readable', () => note('readable'))
        call.on('end', () => note('end'))
      }
      const first = await rpc.read()
      note('after the first read')
      seen.set(first?.text ?? '', places)
      await rpc.readAll()
      note('after the last read')
      await new Promise<void>((resolve) => setTimeout(resolve, 1))
      note('after a timer')
      await rpc.write({ text: 'answer' })
      note('after a write')
      rpc.end()
      await rpc.closed
      note('after the end')
    }
    await using server = await startTestServer({ interceptors: [tracing()], behaviour: watching })
    const client = server.channel(tracing()).client(TestClient)
    const texts = Array.from({ length: 10 }, (_, n) => `call ${n}`)
    await Promise.all(texts.map((text) => runRpc(client, pattern, { requests: [{ text }] })))
    await log.count(20)
    await Promise.all(server.calls.map((rpc) => rpc.closed))
    await new Promise((resolve) => setImmediate(resolve))

    const serverSpans = log.ended.filter((span) => span.kind === 1).map((span) => span.spanContext().spanId)
    const used = texts.map((text) => {
      const places = seen.get(text) ?? []
      expect(places.length).toBeGreaterThanOrEqual(6)
      const ids = new Set(places.map(([, id]) => id))
      expect(ids, `${text}: ${JSON.stringify(places)}`).toHaveLength(1)
      return [...ids][0]
    })
    expect(used.toSorted()).toEqual(serverSpans.toSorted())
  })
})

describe('on the server', () => {
  it('a span of the handler is a child of the span of the RPC', async () => {
    await using server = await startTestServer({
      interceptors: [tracing()],
      behaviour: (rpc) => {
        trace.getTracer('app').startSpan('work').end()
        rpc.end()
      },
    })
    await runRpc(server.client(), 'unary')
    await log.count(2)
    expect(log.attempts[0]?.name).toBe('work')
    expect(log.attempts[0]?.parentSpanContext?.spanId).toBe(log.server.spanContext().spanId)
  })

  it('inner interceptors run in it too, also after a wait', async () => {
    const seen: (string | undefined)[] = []
    const inner: Interceptor = async (_call, next) => {
      seen.push(activeSpan())
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(activeSpan())
      const status = await next()
      seen.push(activeSpan())
      return status
    }
    await using server = await startTestServer({ interceptors: [tracing(), inner] })
    await runRpc(server.client(), 'unary')
    await log.count(1)
    expect(seen).toEqual(Array(3).fill(log.server.spanContext().spanId))
  })
})

describe.each(patterns)('on the client: %s', (pattern) => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.stop())

  it("callbacks run in the caller's context, inner interceptors in that of the span", async () => {
    const storage = new AsyncLocalStorage<string>()
    const inner: (string | undefined)[] = []
    const look: Interceptor = async (_call, next) => {
      inner.push(activeSpan())
      const status = await next()
      inner.push(activeSpan())
      return status
    }
    const client = server.channel(tracing(), look).client(TestClient)
    const outside: [string, string | undefined, string | undefined][] = []
    const tracer = trace.getTracer('app')
    const caller = tracer.startSpan('caller')
    const made = await storage.run('mine', () =>
      context.with(trace.setSpan(context.active(), caller), async () => {
        const rpc = startRpc(client, pattern, { requests: [{ text: 'a', n: 2 }], metadata: metadataOf({ 'x-a': '1' }) })
        const call: EventEmitter = rpc.call
        for (const event of ['metadata', 'data', 'end', 'status', 'error']) {
          call.on(event, () => outside.push([event, activeSpan(), storage.getStore()]))
        }
        outside.push(['after the call was made', activeSpan(), storage.getStore()])
        return rpc
      }),
    )
    await made.done
    caller.end()
    expect(outside.length).toBeGreaterThanOrEqual(3)
    for (const [event, span, store] of outside) {
      expect([event, span, store]).toEqual([event, caller.spanContext().spanId, 'mine'])
    }
    expect(inner).toEqual(Array(2).fill(log.client.spanContext().spanId))
    expect(log.client.parentSpanContext?.spanId).toBe(caller.spanContext().spanId)
  })
})
