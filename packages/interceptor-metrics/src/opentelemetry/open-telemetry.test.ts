import { status as Code, credentials, ServerCredentials } from '@grpc/grpc-js'
import { type ClientCall, clientInterceptors, createServer, type Interceptor } from '@grpc-stack/grpc-core'
import {
  endWith,
  FakeClock,
  failing,
  interceptorSuite,
  patterns,
  runRpc,
  settle,
  startTestServer,
  TestClient,
  type TestServer,
  type TestServerOptions,
  testService,
} from '@grpc-stack/grpc-testing'
import { metrics as globalMetrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  DataPointType,
  InMemoryMetricExporter,
  MeterProvider,
  type MetricData,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { metrics } from '../metrics.ts'
import { openTelemetry } from './open-telemetry.ts'

const servers: TestServer[] = []
const readers: { shutdown(): Promise<void> }[] = []
const start = async (options?: TestServerOptions): Promise<TestServer> => {
  const server = await startTestServer(options)
  servers.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
  await Promise.all(readers.splice(0).map((provider) => provider.shutdown()))
})

/** An SDK whose metrics can be read. */
function sdk() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  readers.push(meterProvider)
  const read = async (): Promise<Map<string, MetricData>> => {
    const { resourceMetrics, errors } = await reader.collect()
    expect(errors).toEqual([])
    const all = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
    return new Map(all.map((metric) => [metric.descriptor.name, metric]))
  }
  return { meterProvider, read }
}

const pointsOf = (metric: MetricData | undefined) =>
  (metric?.dataPoints ?? []).map(({ attributes, value }) => ({ attributes, value }))
const histogramsOf = (metric: MetricData | undefined) => {
  if (metric?.dataPointType !== DataPointType.HISTOGRAM) throw new Error('no such histogram')
  return metric.dataPoints
}

const provider = new MeterProvider()
interceptorSuite('metrics() for OpenTelemetry', () =>
  metrics({ recorder: openTelemetry({ meterProvider: provider, retries: true }) }),
)

const method = 'grpcstack.testing.Test/Unary'

describe('by the semantic conventions', () => {
  // reference: flaw 87
  it('the duration of calls, on both sides, with attributes, unit and buckets', async () => {
    const { meterProvider, read } = sdk()
    const clock = new FakeClock()
    const recorder = openTelemetry({ meterProvider })
    const wait: Interceptor = async function wait(_call, next) {
      await clock.advance(60)
      return next()
    }
    const server = await start({ interceptors: [metrics({ recorder, clock }), wait] })
    const client = server.channel(metrics({ recorder, clock })).client(TestClient)
    await runRpc(client, 'unary')
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.INTERNAL })) })
    await settle()
    const all = await read()
    const [address, port] = server.address.split(':')
    for (const side of ['client', 'server'] as const) {
      const metric = all.get(`rpc.${side}.call.duration`)
      expect(metric?.descriptor).toMatchObject({
        unit: 's',
        description: `Measures the duration of an ${side === 'client' ? 'outgoing' : 'incoming'} Remote Procedure Call (RPC).`,
      })
      const points = histogramsOf(metric)
      const common = {
        'rpc.system.name': 'grpc',
        'rpc.method': method,
        ...(side === 'client' && { 'server.address': address, 'server.port': Number(port) }),
      }
      expect(points.map(({ attributes }) => attributes)).toEqual([
        { ...common, 'rpc.status_code': 'OK' },
        // What a caller asked wrongly is an error to the caller, not to the server.
        { ...common, 'rpc.status_code': 'NOT_FOUND', ...(side === 'client' && { 'error.type': 'NOT_FOUND' }) },
        { ...common, 'rpc.status_code': 'INTERNAL', 'error.type': 'INTERNAL' },
      ])
      expect(points[0]?.value.buckets.boundaries).toEqual([
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
      ])
      expect(points[0]?.value.sum).toBeCloseTo(0.06, 3)
      expect(points[0]?.value.count).toBe(1)
    }
  })

  it('names the servers of stubs with channels of their own, though they share their interceptors', async () => {
    const { meterProvider, read } = sdk()
    const shared = clientInterceptors(metrics({ recorder: openTelemetry({ meterProvider, grpc: false }) }))
    const both = [await start(), await start()]
    for (const { address } of both) {
      const client = new TestClient(address, credentials.createInsecure(), { interceptors: shared })
      await runRpc(client, 'unary')
      await runRpc(client, 'unary')
      client.close()
    }
    const points = histogramsOf((await read()).get('rpc.client.call.duration'))
    expect(points.map(({ attributes, value }) => [attributes['server.port'], value.count])).toEqual(
      both.map(({ address }) => [Number(address.split(':')[1]), 2]),
    )
  })

  it('what is an error can be decided otherwise', async () => {
    const { meterProvider, read } = sdk()
    const recorder = openTelemetry({
      meterProvider,
      isError: (code, side) => side === 'server' && code === Code.NOT_FOUND,
    })
    const server = await start({ interceptors: [metrics({ recorder })] })
    await runRpc(server.client(), 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
    await settle()
    const all = await read()
    expect(pointsOf(all.get('rpc.server.call.duration'))[0]?.attributes['error.type']).toBe('NOT_FOUND')
  })

  // reference: flaw 86
  it('unregistered methods are _OTHER', async () => {
    const { meterProvider, read } = sdk()
    const server = createServer({ interceptors: [metrics({ recorder: openTelemetry({ meterProvider }) })] })
    server.addService(testService, {
      unary: () => ({}),
      clientStream: () => ({}),
      serverStream: () => [],
      bidi: () => [],
    })
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      )
    })
    const client = new TestClient(`127.0.0.1:${port}`, credentials.createInsecure())
    try {
      const identity = (bytes: Buffer) => bytes
      for (const path of ['/made.Up/B', '/made.Up/D']) {
        await new Promise((resolve) => client.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), resolve))
      }
    } finally {
      client.close()
      server.forceShutdown()
    }
    const all = await read()
    expect(
      histogramsOf(all.get('rpc.server.call.duration')).map((p) => [p.attributes['rpc.method'], p.value.count]),
    ).toEqual([['_OTHER', 2]])
    expect(pointsOf(all.get('grpc.server.call.started'))).toEqual([
      { attributes: { 'grpc.method': 'other' }, value: 2 },
    ])
  })
})

describe('by gRFC A66', () => {
  it('calls and attempts of a client, calls of a server', async () => {
    const { meterProvider, read } = sdk()
    const recorder = openTelemetry({ meterProvider })
    const sizeOf = (message: unknown) => JSON.stringify(message).length
    const retry: Interceptor<ClientCall> = async function retry(call, next) {
      call.makeReplayable({ maxBytes: 1e6, maxMessages: 10 })
      const status = await next()
      return status.code === Code.OK ? status : next()
    }
    const server = await start({ interceptors: [metrics({ recorder, sizeOf })] })
    const stack = [metrics({ recorder }), retry, metrics({ recorder, sizeOf, per: 'attempt' }), failing(1)]
    await runRpc(server.channel(...stack).client(TestClient), 'unary', { requests: [{ text: 'hello' }] })
    await settle()
    const all = await read()
    const target = { 'grpc.method': method, 'grpc.target': `dns:///${server.address}` }
    expect(pointsOf(all.get('grpc.client.attempt.started'))).toEqual([{ attributes: target, value: 2 }])
    expect(pointsOf(all.get('grpc.server.call.started'))).toEqual([{ attributes: { 'grpc.method': method }, value: 1 }])
    const counts = (name: string) =>
      histogramsOf(all.get(name)).map(({ attributes, value }) => [attributes, value.count])
    expect(counts('grpc.client.attempt.duration')).toEqual([
      [{ ...target, 'grpc.status': 'UNAVAILABLE' }, 1],
      [{ ...target, 'grpc.status': 'OK' }, 1],
    ])
    expect(counts('grpc.client.call.duration')).toEqual([[{ ...target, 'grpc.status': 'OK' }, 1]])
    expect(counts('grpc.server.call.duration')).toEqual([[{ 'grpc.method': method, 'grpc.status': 'OK' }, 1]])
    const bytes = '{"text":"hello"}'.length
    const sums = (name: string) => histogramsOf(all.get(name)).map(({ value }) => value.sum)
    expect(sums('grpc.client.attempt.sent_total_compressed_message_size')).toEqual([0, bytes])
    expect(sums('grpc.client.attempt.rcvd_total_compressed_message_size')).toEqual([0, bytes])
    expect(sums('grpc.server.call.sent_total_compressed_message_size')).toEqual([bytes])
    expect(sums('grpc.server.call.rcvd_total_compressed_message_size')).toEqual([bytes])
    const units = (name: string) => all.get(name)?.descriptor.unit
    expect([
      units('grpc.client.attempt.started'),
      units('grpc.server.call.started'),
      units('grpc.client.attempt.duration'),
      units('grpc.server.call.sent_total_compressed_message_size'),
    ]).toEqual(['{attempt}', '{call}', 's', 'By'])
    expect(histogramsOf(all.get('grpc.client.call.duration'))[0]?.value.buckets.boundaries).toHaveLength(41)
    expect(
      histogramsOf(all.get('grpc.server.call.sent_total_compressed_message_size'))[0]?.value.buckets.boundaries,
    ).toHaveLength(14)
  })

  it.each(patterns)('a started %s call is there before it ends', async (pattern) => {
    const { meterProvider, read } = sdk()
    const server = await start({
      behaviour: () => undefined,
      interceptors: [metrics({ recorder: openTelemetry({ meterProvider }) })],
    })
    const client = server.client()
    void runRpc(client, pattern, { requests: [{}] })
    await server.received(0)
    const all = await read()
    expect(pointsOf(all.get('grpc.server.call.started'))[0]?.value).toBe(1)
    expect(all.get('grpc.server.call.duration')?.dataPoints ?? []).toEqual([])
  })

  it('no sizes without sizeOf', async () => {
    const { meterProvider, read } = sdk()
    const server = await start({ interceptors: [metrics({ recorder: openTelemetry({ meterProvider }) })] })
    await runRpc(server.client(), 'unary')
    await settle()
    const all = await read()
    expect(all.get('grpc.server.call.sent_total_compressed_message_size')?.dataPoints ?? []).toEqual([])
  })
})

// test/stacks/observers.test.ts has them with retry() and hedge().
describe('by gRFC A96', () => {
  /** Makes four attempts. */
  const repeating: Interceptor<ClientCall> = async (call, next) => {
    call.makeReplayable({ maxBytes: 0, maxMessages: 0 })
    for (let i = 0; i < 3; i++) await next()
    return next()
  }

  it('nothing unless asked', async () => {
    const { meterProvider, read } = sdk()
    const server = await start({ interceptors: [failing(3)] })
    await runRpc(server.client(metrics({ recorder: openTelemetry({ meterProvider }) }), repeating), 'unary')
    const all = await read()
    expect([...all.keys()].filter((name) => /retr|hedge/.test(name))).toEqual([])
  })

  it('the attempts of which the status tells, the first left out', async () => {
    const { meterProvider, read } = sdk()
    const recorder = openTelemetry({ meterProvider, retries: true })
    const server = await start({ interceptors: [failing(3)] })
    await runRpc(server.client(metrics({ recorder }), repeating), 'unary')
    await runRpc(server.client(metrics({ recorder })), 'unary')
    const all = await read()
    const attributes = { 'grpc.method': method, 'grpc.target': `dns:///${server.address}` }
    const sums = (name: string) =>
      histogramsOf(all.get(name)).map(({ attributes: found, value }) => [found, value.count, value.sum])
    expect(sums('grpc.client.call.retries')).toEqual([[attributes, 1, 3]])
    expect(sums('grpc.client.call.retry_delay')).toEqual([[attributes, 2, 0]])
    expect(all.has('grpc.client.call.hedges')).toBe(false)
  })
})

describe('openTelemetry()', () => {
  it('emits only what is wanted', async () => {
    const { meterProvider, read } = sdk()
    const server = await start()
    await runRpc(server.client(metrics({ recorder: openTelemetry({ meterProvider, rpc: false }) })), 'unary')
    expect([...(await read()).keys()]).toEqual(['grpc.client.call.duration'])
    const second = sdk()
    const recorder = openTelemetry({ meterProvider: second.meterProvider, grpc: false })
    await runRpc(server.client(metrics({ recorder })), 'unary')
    expect([...(await second.read()).keys()]).toEqual(['rpc.client.call.duration'])
  })

  it('takes the global provider that is there when the first call is made', async () => {
    const { meterProvider, read } = sdk()
    const server = await start()
    const client = server.client(metrics({ recorder: openTelemetry() }))
    globalMetrics.setGlobalMeterProvider(meterProvider)
    try {
      await runRpc(client, 'unary')
      expect([...(await read()).keys()]).toContain('rpc.client.call.duration')
    } finally {
      globalMetrics.disable()
    }
  })

  it('gives the SDK the same attributes for the same method and code', async () => {
    const seen = new Set<unknown>()
    const histogram = { record: (_value: number, attributes: object) => void seen.add(attributes) }
    const meter = {
      createHistogram: () => histogram,
      createObservableCounter: () => ({ addCallback: () => undefined }),
    }
    const recorder = openTelemetry({ meterProvider: { getMeter: () => meter as never } })
    const server = await start()
    const client = server.client(metrics({ recorder }))
    for (let i = 0; i < 5; i++) await runRpc(client, 'unary')
    expect(seen.size).toBe(2)
    for (const attributes of seen) expect(Object.isFrozen(attributes)).toBe(true)
  })

  it.each<[string, (code: number) => unknown]>([
    [
      'throws',
      () => {
        throw new Error('out of order')
      },
    ],
    ['answers with a promise', async () => true],
  ])('goes by the conventions where isError %s, and warns once', async (_what, isError) => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const { meterProvider, read } = sdk()
    const recorder = openTelemetry({ meterProvider, grpc: false, isError: isError as (code: number) => boolean })
    const server = await start({ behaviour: endWith({ code: Code.NOT_FOUND }) })
    const client = server.client(metrics({ recorder }))
    for (const pattern of patterns) await runRpc(client, pattern)
    const points = histogramsOf((await read()).get('rpc.client.call.duration'))
    expect(points.map(({ attributes }) => attributes['error.type'])).toEqual(patterns.map(() => 'NOT_FOUND'))
    expect(warned).toHaveBeenCalledTimes(1)
  })

  it.each([
    [{ provider: {} }, 'openTelemetry: unknown option "provider"'],
    [{ meterProvider: {} }, 'openTelemetry: option "meterProvider" must be a MeterProvider'],
    [{ rpc: 1 }, 'openTelemetry: option "rpc" must be true or false'],
    [{ grpc: 'a66' }, 'openTelemetry: option "grpc" must be true or false'],
    [{ retries: 1 }, 'openTelemetry: option "retries" must be true or false'],
    [{ retires: true }, 'openTelemetry: unknown option "retires"; did you mean "retries"?'],
    [{ isError: [] }, 'openTelemetry: option "isError" must be a function'],
    [{ maxMethods: 0 }, 'openTelemetry: option "maxMethods" must be an integer ≥ 1'],
  ])('checks its options: %j', (options, message) => {
    expect(() => openTelemetry(options as never)).toThrow(TypeError)
    expect(() => openTelemetry(options as never)).toThrow(message)
  })
})
