import { status as Code, Metadata } from '@grpc/grpc-js'
import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'
import {
  echo,
  endWith,
  Gate,
  metadataOf,
  patterns,
  runRpc,
  startTestServer,
  TestClient,
} from '@grpc-stack/grpc-testing'
import { SpanKind, trace } from '@opentelemetry/api'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { registerSdk, type SpanLog, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'

let log: SpanLog
beforeAll(() => {
  log = registerSdk()
})
afterAll(unregisterSdk)
beforeEach(() => log.clear())

const refuse: Interceptor<ClientCall> = function refuse() {
  return { code: Code.RESOURCE_EXHAUSTED }
}
const twice: Interceptor<ClientCall> = async function twice(call, next) {
  call.makeReplayable({ maxBytes: 1024, maxMessages: 10 })
  await next()
  return next()
}

/** What becomes of a call of the handler: what is inside of `tracing()`, and what the other server does. */
const outcomes: Readonly<Record<string, { readonly inside?: Interceptor<ClientCall>; readonly code?: Code }>> = {
  fine: {},
  failed: { code: Code.NOT_FOUND },
  retried: { inside: twice, code: Code.UNAVAILABLE },
  late: { code: Code.DEADLINE_EXCEEDED },
  refused: { inside: refuse },
}

/** The server's span of a call whose handler makes these calls, one after the other. */
async function spanOfCallWith(inside: readonly string[], within = (run: () => Promise<void>) => run()) {
  await using store = await startTestServer()
  await using shop = await startTestServer({
    interceptors: [tracing()],
    behaviour: async (rpc) => {
      await within(async () => {
        for (const name of inside) {
          const { inside, code } = outcomes[name] ?? {}
          const channel = inside === undefined ? store.channel(tracing()) : store.channel(tracing(), inside)
          const metadata = code === undefined ? new Metadata() : store.behave(endWith({ code }))
          await runRpc(channel.client(TestClient), 'unary', { metadata })
        }
      })
      await echo(rpc)
    },
  })
  await runRpc(shop.client(), 'unary')
  while (!log.ended.some(({ kind }) => kind === SpanKind.SERVER)) await log.count(log.ended.length + 1)
  return log.server
}

describe('the first span of a service in a trace', () => {
  it.each([
    [[], undefined],
    [['fine', 'failed'], undefined],
    [['retried', 'fine'], 'retried'],
    [['late'], 'deadline_exceeded'],
    [['refused'], 'refused'],
    [['refused', 'late', 'retried'], 'refused'],
    [['retried', 'late'], 'deadline_exceeded'],
  ])('tells the worst that became of calls that the handler made: %j: %s', async (inside, told) => {
    const span = await spanOfCallWith(inside)
    expect(span.attributes['grpc_stack.outgoing']).toBe(told)
    expect(span.attributes).not.toHaveProperty('grpc_stack.refused_by')
    expect(span.attributes).not.toHaveProperty('grpc_stack.attempts')
  })

  it('is told from within other spans of the handler, and these are not', async () => {
    const tracer = trace.getTracer('application')
    const span = await spanOfCallWith(['retried'], (run) =>
      tracer.startActiveSpan('work', (work) => run().finally(() => work.end())),
    )
    expect(span.attributes['grpc_stack.outgoing']).toBe('retried')
    const work = log.ended.find(({ name }) => name === 'work')
    expect(work?.attributes).not.toHaveProperty('grpc_stack.outgoing')
  })

  it('is left alone once it has ended', async () => {
    const over = new Gate()
    let late: Promise<unknown> | undefined
    await using store = await startTestServer()
    await using shop = await startTestServer({
      interceptors: [tracing()],
      behaviour: async (rpc) => {
        late = over.opened.then(() => runRpc(store.channel(tracing(), refuse).client(TestClient), 'unary'))
        await echo(rpc)
      },
    })
    await runRpc(shop.client(), 'unary')
    await log.count(1)
    over.open()
    await late
    await log.count(2)
    expect(log.server.attributes).not.toHaveProperty('grpc_stack.outgoing')
  })

  it('is none where a call belongs to no server call', async () => {
    await using store = await startTestServer()
    await runRpc(store.channel(tracing(), refuse).client(TestClient), 'unary')
    await log.count(1)
    expect(log.client.attributes).not.toHaveProperty('grpc_stack.outgoing')
    expect(log.client.attributes['grpc_stack.refused_by']).toBe('refuse')
  })
})

describe('a call that its caller tries again', () => {
  it.each(patterns)('says so on the span of the server: %s', async (pattern) => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    await runRpc(server.client(), pattern, { metadata: metadataOf({ 'grpc-previous-rpc-attempts': '2' }) })
    await log.count(1)
    expect(log.server.attributes['previous-rpc-attempts']).toBe(2)
  })

  it.each(['0', '-1', '1.5', '100', '1e1', 'often', ''])('not where %j is what the caller says', async (text) => {
    await using server = await startTestServer({ interceptors: [tracing()] })
    const metadata = new Metadata()
    metadata.set('grpc-previous-rpc-attempts', text)
    await runRpc(server.client(), 'unary', { metadata })
    await log.count(1)
    expect(log.server.attributes).not.toHaveProperty('previous-rpc-attempts')
  })
})
