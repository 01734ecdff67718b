import {
  Client,
  status as Code,
  credentials,
  Metadata,
  Server,
  ServerInterceptingCall,
  type StatusObject,
} from '@grpc/grpc-js'
import { SpanKind } from '@opentelemetry/api'
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base'
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-base'
import pino from 'pino'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { serveGrpcJs } from './grpc-js-peer.ts'
import { Echo, SMALL } from './service.ts'
import { nullSinks, type Sinks, startTracing } from './telemetry.ts'
import { token } from './token.ts'
import type { BenchClient, Variant } from './variant.ts'

// The first to start tracing decides where spans go.
const spans = new InMemorySpanExporter()
const provider = startTracing(spans)
const { fullByHandInto } = await import('./full-by-hand.ts')
const { oursFullInto } = await import('./ours-full.ts')
const variants: Record<string, (sinks: Sinks) => Variant> = { 'full stack': oursFullInto, 'by hand': fullByHandInto }

/** What one call shows of itself, but for what is another each time: times, ids and ports. */
interface Seen {
  readonly lines: readonly object[]
  readonly spans: readonly object[]
  readonly metrics: readonly string[]
}

/** @param mayEnter false for one that the server refuses */
async function seen(
  make: (sinks: Sinks) => Variant,
  mayEnter: boolean,
  act: (client: BenchClient) => Promise<void>,
): Promise<Seen> {
  const lines: string[] = []
  const registries: Registry[] = []
  const registry = (): Registry => {
    const made = new Registry()
    registries.push(made)
    return made
  }
  const variant = make({ logger: pino({}, { write: (line: string) => void lines.push(line) }), registry })
  const server = await variant.startServer()
  const client = variant.openClient(server.port, mayEnter)
  const once = async (): Promise<void> => {
    lines.length = 0
    spans.reset()
    await act(client).catch(() => undefined)
    await expect
      .poll(async () => {
        await provider.forceFlush()
        return spans.getFinishedSpans()
      })
      .toHaveLength(2)
  }
  // The second is one of those that the benchmark takes the time of: what is verified once is known.
  await once()
  await once()
  client.close()
  server.close()
  const finished = spans.getFinishedSpans()
  const [client_, server_] = [SpanKind.CLIENT, SpanKind.SERVER].map((kind) =>
    finished.find((span) => span.kind === kind),
  )
  expect(server_?.parentSpanContext?.spanId).toBe(client_?.spanContext().spanId)
  const texts = await Promise.all(registries.map((one) => one.metrics()))
  return {
    lines: lines.map((line) => masked(JSON.parse(line))).sort(bySide),
    spans: finished.map(described).sort(bySide),
    metrics: texts.flatMap((text) => text.split('\n').flatMap(counted)).sort(),
  }
}

/** A line without what depends on time, and its labels in order. */
function counted(line: string): string[] {
  if (line === '' || line.startsWith('# HELP')) return []
  const [, name, labels = '', value = ''] = /^(\w+)\{(.*)\} (.*)$/.exec(line) ?? []
  if (name === undefined) return [line]
  const sorted = labels.split(',').sort().join()
  return [`${name}{${sorted}} ${/_seconds_(bucket|sum)$/.test(name) ? 'some' : value}`]
}

const CHANGING = ['time', 'pid', 'hostname', 'grpc.time_ms', 'grpc.start_time', 'request.id', 'trace_id', 'span_id']

function masked(line: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(line).map(([name, value]) => [
      name,
      CHANGING.includes(name) ? `some ${typeof value}` : withoutPort(value),
    ]),
  )
}

function described({ name, kind, attributes, status, events, links }: ReadableSpan): object {
  const shown = Object.entries(attributes).map(([key, value]) => [
    key,
    key.endsWith('.port') ? `some ${typeof value}` : withoutPort(value),
  ])
  return { name, kind: SpanKind[kind], attributes: Object.fromEntries(shown), status, events, links }
}

function withoutPort(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/:\d{4,5}$/, ':port') : value
}

function bySide(a: object, b: object): number {
  return JSON.stringify(a).localeCompare(JSON.stringify(b))
}

const calls: Record<string, [mayEnter: boolean, act: (client: BenchClient) => Promise<void>]> = {
  'a call that succeeds': [true, (client) => client.unary(false)],
  'a call that the server refuses': [false, (client) => client.unary(false)],
  'a call whose handler fails': [true, (client) => client.fail()],
  'a server stream': [true, (client) => client.serverStream()],
  'a client stream': [true, (client) => client.clientStream()],
  'a stream both ways': [true, (client) => client.bidi()],
}

// Otherwise the benchmark would compare work with less work.
describe('the full stack and the same by hand record the same', () => {
  it.each(Object.entries(calls))('%s', async (_what, [mayEnter, act]) => {
    const ours = await seen(oursFullInto, mayEnter, act)
    const byHand = await seen(fullByHandInto, mayEnter, act)
    expect(byHand).toEqual(ours)
    expect(ours.lines.length).toBeGreaterThan(0)
  })
})

describe('they send the same', () => {
  it.each(Object.entries(variants))('to a server: %s', async (_name, make) => {
    const heard: Metadata[] = []
    const server = await serveOnce(heard)
    const client = make(nullSinks()).openClient(server.port, true)
    await client.unary(false)
    client.close()
    server.close()
    expect(heard.map(keysOf)).toEqual([['authorization', 'traceparent', 'user-agent']])
  })

  it.each(Object.entries(variants))('to a client: %s', async (_name, make) => {
    const server = await make(nullSinks()).startServer()
    const client = new Client(`127.0.0.1:${server.port}`, credentials.createInsecure())
    const { path, requestSerialize, responseDeserialize } = Echo.unary
    const call = (authorization: string) =>
      new Promise<[Metadata | undefined, StatusObject]>((resolve) => {
        const metadata = new Metadata()
        metadata.set('authorization', authorization)
        metadata.set('x-request-id', 'request-1')
        let headers: Metadata | undefined
        client
          .makeUnaryRequest(path, requestSerialize, responseDeserialize, SMALL, metadata, () => undefined)
          .on('metadata', (received) => {
            headers = received
          })
          .on('status', (status) => resolve([headers, status]))
      })
    const [headers, ok] = await call(`Bearer ${token}`)
    const [none, refused] = await call('Bearer wrong')
    client.close()
    server.close()
    expect([ok.code, headers?.get('x-request-id')]).toEqual([Code.OK, ['request-1']])
    expect([refused.code, refused.details]).toEqual([Code.UNAUTHENTICATED, 'No valid credentials'])
    expect([none, refused.metadata.get('x-request-id')]).toEqual([undefined, ['request-1']])
  })
})

const methods = ['unary', 'serverStream', 'clientStream', 'bidi'] as const

describe('they try a call again that the server could not take', () => {
  it.each(methods.flatMap((method) => Object.keys(variants).map((name) => [method, name] as const)))(
    '%s, %s',
    async (method, name) => {
      const heard: Metadata[] = []
      const server = await serveOnce(heard, 1)
      const client = variants[name]!(nullSinks()).openClient(server.port, true)
      await (method === 'unary' ? client.unary(false) : client[method]())
      client.close()
      server.close()
      expect(heard.map((metadata) => metadata.get('grpc-previous-rpc-attempts'))).toEqual([[], ['1']])
    },
  )
})

function keysOf(metadata: Metadata): string[] {
  return Object.keys(metadata.getMap()).sort()
}

/** A server of grpc-js's that answers UNAVAILABLE a few times, and then as it should. */
async function serveOnce(heard: Metadata[], failures = 0): Promise<{ port: number; close(): void }> {
  const server = new Server({
    interceptors: [
      (_method, call) =>
        new ServerInterceptingCall(call, {
          start: (next) =>
            next({
              onReceiveMetadata(metadata, proceed) {
                heard.push(metadata)
                if (heard.length > failures) proceed(metadata)
                else call.sendStatus({ code: Code.UNAVAILABLE, details: 'not now' })
              },
            }),
        }),
    ],
  })
  return await serveGrpcJs(server)
}
