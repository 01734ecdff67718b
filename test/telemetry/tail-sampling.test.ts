// Which traces the policies of the documentation keep, decided by nothing but spans that came to a collector over OTLP. A shop is called
// by clients; its handler calls a store. Every trace is also decided by the first span of the shop alone.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { credentials, Metadata, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js'
import {
  abort,
  type ClientCall,
  createChannel,
  createClient,
  createServer,
  type Interceptor,
  interceptChannel,
} from '@grpc-stack/grpc-core'
import { serverAuth, shareable } from '@grpc-stack/interceptor-auth'
import { circuitBreaker } from '@grpc-stack/interceptor-circuit'
import { byMetadata, rateLimit } from '@grpc-stack/interceptor-ratelimit'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import { tracing } from '@grpc-stack/interceptor-tracing'
import { startTracing } from '@grpc-stack/interceptor-tracing/node'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { OtlpReceiver, type ReceivedSpan } from '../../packages/interceptor-tracing/test/otlp-receiver.ts'
import { policiesOf } from './tail-sampler.ts'

const guide = readFileSync(fileURLToPath(new URL('../../docs/guides/opentelemetry.md', import.meta.url)), 'utf8')
const policies = policiesOf(/^```yaml\n(processors:\n {2}tail_sampling:.*?)^```/ms.exec(guide)?.[1] ?? '')

const toBytes = (text: string): Buffer => Buffer.from(text)
const toText = (bytes: Buffer): string => bytes.toString()

const serviceOf = (name: string) =>
  ({
    call: {
      path: `/${name}/Call`,
      requestStream: false,
      responseStream: false,
      requestSerialize: toBytes,
      requestDeserialize: toText,
      responseSerialize: toBytes,
      responseDeserialize: toText,
    },
  }) satisfies ServiceDefinition
const shopService = serviceOf('shop.v1.Shop')
const storeService = serviceOf('store.v1.Store')

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

interface Case {
  /** What the handler of the shop does. */
  readonly shop?: () => Promise<unknown>
  /** Instead of a call of the shop by a client without tracing. */
  readonly instead?: (metadata: Metadata) => Promise<unknown>
  readonly metadata?: Readonly<Record<string, string>>
  /** Once the shop handles it. */
  readonly cancelled?: true
  /** The policies that keep the trace by all of its spans. */
  readonly kept: readonly string[]
  /** And by the first span alone. Default: the same. */
  readonly byFirstSpan?: readonly string[]
}

const open: (() => void)[] = []
let receiver: OtlpReceiver
/** The spans of a case, the first of its trace first. */
let spansOf: (name: string) => readonly ReceivedSpan[]
/** Calls of the store through these interceptors. */
let store: (request: string, interceptors: readonly Interceptor<ClientCall>[], options?: object) => Promise<string>

const never = (): Promise<never> => new Promise(() => undefined)
const fallBack = (): string => 'a cached answer'
const retrying = () => retry({ initialBackoffMs: 1, maxBackoffMs: 1, idempotent: '*' })
const hedging = () => hedge({ delayMs: 20, maxAttempts: 2, idempotent: '*', budget: false })
const brokenCircuit = () => {
  const breaker = circuitBreaker()
  breaker.forceOpen()
  return breaker
}

const cases: Readonly<Record<string, Case>> = {
  'a call that goes well': { kept: [] },
  'a call of the store that goes well': { shop: () => store('fine', []), kept: [] },
  'something that is not there': { shop: async () => abort(5, 'no such article'), kept: [] },
  'a handler that fails': { shop: () => Promise.reject(new Error('boom')), kept: ['errors'] },
  'a call without a token': { metadata: { authorization: 'Bearer stolen' }, kept: ['refused'] },
  'a call beyond the limit': { metadata: { caller: 'greedy' }, kept: ['refused'] },
  // Without a deadline of the client, whose reset would race with the server's timer.
  'a deadline that passes': { shop: never, metadata: { 'grpc-timeout': '50m' }, kept: ['errors', 'given-up'] },
  'a caller that gives up': { shop: never, cancelled: true, kept: ['given-up'] },
  'a handler that takes long': { shop: () => sleep(1000), kept: ['slow'] },
  'a call that its caller repeats': { metadata: { 'grpc-previous-rpc-attempts': '1' }, kept: ['repeated-by-caller'] },
  'a call inside that is retried': {
    shop: () => store('unavailable once', [retrying()]),
    kept: ['errors', 'several-attempts', 'repeated-by-caller', 'trouble-inside'],
    byFirstSpan: ['trouble-inside'],
  },
  'a call inside that is hedged': {
    shop: () => store('silent once', [hedging()]),
    kept: ['errors', 'given-up', 'several-attempts', 'repeated-by-caller', 'trouble-inside'],
    byFirstSpan: ['trouble-inside'],
  },
  'a call inside whose deadline passes, and that the shop can do without': {
    shop: () => store('silent', [], { timeoutMs: 50 }).catch(fallBack),
    kept: ['errors', 'given-up', 'trouble-inside'],
    byFirstSpan: ['trouble-inside'],
  },
  'a call inside that an open circuit refuses, and that the shop can do without': {
    shop: () => store('fine', [brokenCircuit()]).catch(fallBack),
    kept: ['errors', 'refused', 'trouble-inside'],
    byFirstSpan: ['trouble-inside'],
  },
  'a client that retries': {
    instead: (metadata) => store('unavailable once', [retrying()], { metadata }),
    kept: ['errors', 'several-attempts', 'repeated-by-caller'],
    byFirstSpan: ['several-attempts'],
  },
  'a client that hedges': {
    instead: (metadata) => store('silent once', [hedging()], { metadata }),
    kept: ['errors', 'given-up', 'several-attempts', 'repeated-by-caller'],
    byFirstSpan: ['several-attempts'],
  },
  'a client whose circuit is open': {
    instead: (metadata) => store('fine', [brokenCircuit()], { metadata }),
    kept: ['errors', 'refused'],
  },
  'a client whose deadline passes': {
    instead: (metadata) => store('silent', [], { metadata, timeoutMs: 50 }),
    kept: ['errors', 'given-up'],
  },
}

beforeAll(async () => {
  receiver = await OtlpReceiver.start()
  const tracingNow = startTracing({ endpoint: receiver.endpoint, serviceName: 'shop', shutdownWithProcess: false })
  const traced = tracing({ attributes: (call) => ({ case: String(call.metadata.get('case')[0] ?? '') }) })

  const storeServer = createServer()
  storeServer.addService(storeService, {
    call: async ({ request, metadata }) => {
      const isFirst = !metadata.get('grpc-previous-rpc-attempts').length
      if (request === 'unavailable once' && isFirst) abort(14, 'try again')
      if (request === 'silent' || (request === 'silent once' && isFirst)) await never()
      return 'a real answer'
    },
  })
  const storeAddress = await bind(storeServer)
  const storeChannel = createChannel(storeAddress, credentials.createInsecure())
  store = (request, interceptors, options = {}) =>
    Promise.resolve(
      createClient(storeService, interceptChannel(storeChannel, traced, ...interceptors)).call(request, options),
    )

  let handled: (() => void) | undefined
  const shopServer = createServer({
    interceptors: [
      traced,
      serverAuth({ verify: shareable((token) => (token === 'sesame' ? { subject: 'me' } : null)) }),
      rateLimit({ rate: 1, perMs: 3_600_000, burst: 1, key: byMetadata('caller') }),
    ],
  })
  shopServer.addService(shopService, {
    call: async ({ request }) => {
      handled?.()
      await cases[request]?.shop?.()
      return 'served'
    },
  })
  const shopChannel = createChannel(await bind(shopServer), credentials.createInsecure())
  const shop = createClient(shopService, shopChannel)
  open.push(
    () => shopChannel.close(),
    () => storeChannel.close(),
    () => shopServer.forceShutdown(),
    () => storeServer.forceShutdown(),
    () => receiver.stop(),
  )

  const call = (name: string, given: Partial<Case>, caller = name): Promise<unknown> => {
    const metadata = new Metadata()
    const all = { authorization: 'Bearer sesame', caller, case: name, ...given.metadata }
    for (const [key, value] of Object.entries(all)) metadata.set(key, value)
    if (given.instead !== undefined) return given.instead(metadata).catch(() => undefined)
    const rpc = shop.call(name, { metadata })
    handled = given.cancelled ? () => rpc.cancel() : undefined
    return Promise.resolve(rpc).catch(() => undefined)
  }
  await call('the first', {}, 'greedy')
  // So that deadlines of cases are for calls, not for connections.
  await store('fine', [])
  for (const [name, given] of Object.entries(cases)) await call(name, given)

  const names = Object.keys(cases)
  spansOf = (name) => {
    const first = receiver.spans.find(({ attributes, parentSpanId }) => attributes.case === name && parentSpanId === '')
    const rest = receiver.spans.filter((span) => span !== first && span.traceId === first?.traceId)
    return first === undefined ? [] : [first, ...rest]
  }
  // A server may end its span after the client has its answer; the spans inside of it have ended by then.
  await vi.waitFor(
    async () => {
      await tracingNow.flush()
      expect(names.filter((name) => spansOf(name).length === 0)).toEqual([])
    },
    { timeout: 10_000 },
  )
  open.push(() => void tracingNow.shutdown())
}, 60_000)

afterAll(() => {
  for (const close of open) close()
})

async function bind(server: ReturnType<typeof createServer>): Promise<string> {
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return `127.0.0.1:${port}`
}

/** The policies that keep these spans. A busy machine makes any call slow. */
const keptBy = (name: string, spans: readonly ReceivedSpan[]): string[] =>
  [...policies]
    .filter(([policy]) => policy !== 'slow' || name === 'a handler that takes long')
    .filter(([, keeps]) => keeps(spans))
    .map(([policy]) => policy)

describe('the policies of the guide', () => {
  it('are all read', () => expect([...policies.keys()]).toHaveLength((guide.match(/^ +- \{ name: /gm) ?? []).length))

  it.each(Object.entries(cases))('%s', (name, { kept, byFirstSpan = kept }) => {
    const spans = spansOf(name)
    expect(keptBy(name, spans)).toEqual(kept)
    expect(keptBy(name, spans.slice(0, 1))).toEqual(byFirstSpan)
  })

  it('go by attributes with few values', () => {
    const values = new Set(
      receiver.spans.flatMap(({ attributes }) =>
        Object.entries(attributes)
          .filter(([key]) => key.startsWith('grpc_stack.') || key === 'previous-rpc-attempts')
          .map(([key, value]) => `${key} ${value}`),
      ),
    )
    expect([...values].sort()).toEqual([
      'grpc_stack.attempts 2',
      'grpc_stack.hedges 1',
      'grpc_stack.outgoing deadline_exceeded',
      'grpc_stack.outgoing hedged',
      'grpc_stack.outgoing refused',
      'grpc_stack.outgoing retried',
      'grpc_stack.refused_by circuitBreaker',
      'grpc_stack.refused_by rateLimit',
      'grpc_stack.refused_by serverAuth',
      'previous-rpc-attempts 0',
      'previous-rpc-attempts 1',
    ])
  })
})
