import { status as Code } from '@grpc/grpc-js'
import type { Interceptor } from '@grpc-stack/grpc-core'
import {
  endWith,
  failing,
  interceptorSuite,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startTestServer,
  type TestServer,
  type TestServerOptions,
  testService,
} from '@grpc-stack/grpc-testing'
import { AggregatorRegistry, Counter, type OpenMetricsContentType, Registry, register } from 'prom-client'
import { afterEach, describe, expect, it } from 'vitest'
import { metrics } from '../metrics.ts'
import { prometheus } from './prometheus.ts'

const servers: TestServer[] = []
const start = async (options?: TestServerOptions): Promise<TestServer> => {
  const server = await startTestServer(options)
  servers.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

interceptorSuite('metrics() for Prometheus', () => metrics({ recorder: prometheus({ registry: new Registry() }) }))

/** The lines of an exposition, without comments, sorted. */
const lines = (text: string, start = ''): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith(start) && line !== '' && !line.startsWith('#'))
    .sort()

const service = 'grpc_service="grpcstack.testing.Test"'

describe('what Prometheus scrapes', () => {
  // reference: flaw 87
  it('exactly the names, labels and codes of go-grpc-prometheus', async () => {
    const registry = new Registry()
    const recorder = prometheus({ registry })
    const server = await start({ interceptors: [metrics({ recorder })] })
    const client = server.client(metrics({ recorder }))
    for (const pattern of patterns) await runRpc(client, pattern)
    await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
    await settle()
    const text = await registry.metrics()
    const unary = `grpc_type="unary",${service},grpc_method="Unary"`
    for (const side of ['server', 'client']) {
      expect(lines(text, `grpc_${side}_started_total`)).toEqual([
        `grpc_${side}_started_total{grpc_type="bidi_stream",${service},grpc_method="Bidi"} 1`,
        `grpc_${side}_started_total{grpc_type="client_stream",${service},grpc_method="ClientStream"} 1`,
        `grpc_${side}_started_total{grpc_type="server_stream",${service},grpc_method="ServerStream"} 1`,
        `grpc_${side}_started_total{${unary}} 2`,
      ])
      expect(lines(text, `grpc_${side}_handled_total{grpc_type="unary"`)).toEqual([
        `grpc_${side}_handled_total{${unary},grpc_code="NotFound"} 1`,
        `grpc_${side}_handled_total{${unary},grpc_code="OK"} 1`,
      ])
      const streamed = `grpc_type="server_stream",${service},grpc_method="ServerStream"`
      const [many, single] = side === 'server' ? ['sent', 'received'] : ['received', 'sent']
      expect(lines(text, `grpc_${side}_msg_${many}_total{${streamed}`)).toEqual([
        `grpc_${side}_msg_${many}_total{${streamed}} 3`,
      ])
      expect(lines(text, `grpc_${side}_msg_${single}_total{${streamed}`)).toEqual([
        `grpc_${side}_msg_${single}_total{${streamed}} 1`,
      ])
      const handling = `grpc_${side}_handling_seconds`
      expect(lines(text, `${handling}_count{${unary}`)).toEqual([`${handling}_count{${unary}} 2`])
      expect(lines(text, `${handling}_bucket{${unary},le="+Inf"`)).toEqual([`${handling}_bucket{${unary},le="+Inf"} 2`])
      expect(lines(text, `${handling}_bucket{${unary}`)).toHaveLength(12)
      expect(Number(lines(text, `${handling}_sum{${unary}`)[0]?.split(' ')[1])).toBeGreaterThan(0)
      expect(lines(text, `grpc_${side}_in_flight{${unary}`)).toEqual([`grpc_${side}_in_flight{${unary}} 0`])
    }
    // Help and type lines as in providers/prometheus/server_metrics.go and client_metrics.go.
    for (const line of [
      '# HELP grpc_server_started_total Total number of RPCs started on the server.',
      '# HELP grpc_server_handled_total Total number of RPCs completed on the server, regardless of success or failure.',
      '# HELP grpc_server_msg_received_total Total number of RPC stream messages received on the server.',
      '# HELP grpc_server_msg_sent_total Total number of gRPC stream messages sent by the server.',
      '# HELP grpc_server_handling_seconds Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.',
      '# HELP grpc_client_started_total Total number of RPCs started on the client.',
      '# HELP grpc_client_handled_total Total number of RPCs completed by the client, regardless of success or failure.',
      '# HELP grpc_client_msg_received_total Total number of RPC stream messages received by the client.',
      '# HELP grpc_client_msg_sent_total Total number of gRPC stream messages sent by the client.',
      '# HELP grpc_client_handling_seconds Histogram of response latency (seconds) of the gRPC until it is finished by the application.',
      '# TYPE grpc_server_handled_total counter',
      '# TYPE grpc_server_handling_seconds histogram',
      '# TYPE grpc_server_in_flight gauge',
    ]) {
      expect(text.split('\n')).toContain(line)
    }
  })

  it('only the side there is', async () => {
    const registry = new Registry()
    const server = await start({ interceptors: [metrics({ recorder: prometheus({ registry }) })] })
    await runRpc(server.client(), 'unary')
    await settle()
    const text = await registry.metrics()
    expect(text).toContain('grpc_server_started_total')
    expect(text).not.toContain('grpc_client')
  })

  it('buckets by boundary, in seconds', async () => {
    const registry = new Registry()
    const recorder = prometheus({ registry, buckets: [0.005, 0.3] })
    const method = recorder.method({
      side: 'server',
      per: 'call',
      path: '/a/A',
      service: 'a',
      name: 'A',
      type: 'unary',
      target: undefined,
    })
    for (const ms of [5, 5.001, 300, 1500]) method?.ended({} as never, { code: Code.OK }, ms, undefined)
    const labels = 'grpc_type="unary",grpc_service="a",grpc_method="A"'
    expect(lines(await registry.metrics(), 'grpc_server_handling_seconds')).toEqual([
      `grpc_server_handling_seconds_bucket{${labels},le="+Inf"} 4`,
      `grpc_server_handling_seconds_bucket{${labels},le="0.005"} 1`,
      `grpc_server_handling_seconds_bucket{${labels},le="0.3"} 3`,
      `grpc_server_handling_seconds_count{${labels}} 4`,
      `grpc_server_handling_seconds_sum{${labels}} 1.810001`,
    ])
  })

  it('no histogram, if it is not wanted', async () => {
    const registry = new Registry()
    const server = await start({ interceptors: [metrics({ recorder: prometheus({ registry, histogram: false }) })] })
    await runRpc(server.client(), 'unary')
    expect(await registry.metrics()).not.toContain('handling_seconds')
  })

  it('who refused, and attempts', async () => {
    const registry = new Registry()
    const recorder = prometheus({ registry })
    const retry: Interceptor = async function retry(_call, next) {
      return next()
    }
    const server = await start()
    const stack = [metrics({ recorder }), retry, metrics({ recorder, per: 'attempt' }), failing(1)]
    await runRpc(server.client(...stack), 'unary')
    const labels = `grpc_type="unary",${service},grpc_method="Unary"`
    const text = await registry.metrics()
    expect(lines(text, 'grpc_client_attempt_handled_total')).toEqual([
      `grpc_client_attempt_handled_total{${labels},grpc_code="Unavailable"} 1`,
    ])
    expect(lines(text, 'grpc_client_refused_total')).toEqual([
      `grpc_client_refused_total{${labels},interceptor="failing"} 1`,
    ])
  })

  it('all series of a service from the start, if it is pre-registered', async () => {
    const registry = new Registry()
    const recorder = prometheus({ registry })
    recorder.preregister(testService)
    recorder.preregister(testService, 'client')
    const text = await registry.metrics()
    for (const side of ['server', 'client']) {
      expect(lines(text, `grpc_${side}_started_total`)).toHaveLength(4)
      expect(lines(text, `grpc_${side}_handled_total`)).toHaveLength(4 * 17)
      expect(lines(text, `grpc_${side}_handled_total`)).toContain(
        `grpc_${side}_handled_total{grpc_type="bidi_stream",${service},grpc_method="Bidi",grpc_code="Canceled"} 0`,
      )
    }
    const server = await start({ interceptors: [metrics({ recorder })] })
    await runRpc(server.client(), 'unary')
    await settle()
    expect(lines(await registry.metrics(), 'grpc_server_started_total')).toHaveLength(4)
  })

  it('merged with other registries, and across the workers of a cluster', async () => {
    const registry = new Registry()
    const other = new Registry()
    new Counter({ name: 'orders_total', help: 'Orders.', registers: [other] }).inc()
    const server = await start({ interceptors: [metrics({ recorder: prometheus({ registry }) })] })
    await runRpc(server.client(), 'unary')
    await settle()
    const merged = await Registry.merge([registry, other]).metrics()
    expect(merged).toContain('grpc_server_started_total')
    expect(merged).toContain('orders_total 1')
    const worker = await registry.getMetricsAsJSON()
    const cluster = await AggregatorRegistry.aggregate([worker, structuredClone(worker)]).metrics()
    expect(lines(cluster, 'grpc_server_started_total')[0]).toMatch(/} 2$/)
    expect(lines(cluster, 'grpc_server_handling_seconds_count')[0]).toMatch(/} 2$/)
  })

  it('from zero again after a reset, but for what is in progress', async () => {
    const registry = new Registry()
    const recorder = prometheus({ registry })
    const server = await start({ interceptors: [metrics({ recorder })] })
    const client = server.client()
    await runRpc(client, 'unary')
    await settle()
    registry.resetMetrics()
    expect(lines(await registry.metrics(), 'grpc_server_handled_total')).toEqual([])
    await runRpc(client, 'unary')
    await settle()
    expect(lines(await registry.metrics(), 'grpc_server_handled_total')[0]).toMatch(/} 1$/)
  })
})

describe('exemplars', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
  const openMetrics = () => {
    const registry = new Registry<OpenMetricsContentType>()
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    return registry
  }

  it('lead from a bucket and a code to a trace', async () => {
    const registry = openMetrics()
    const server = await start({ interceptors: [metrics({ recorder: prometheus({ registry, exemplar: true }) })] })
    await runRpc(server.client(), 'unary', { metadata: metadataOf({ traceparent }) })
    await settle()
    const text = await registry.metrics()
    const exemplar = /# \{trace_id="4bf92f3577b34da6a3ce929d0e0e4736"\} [\d.e-]+ \d+\.?\d*$/
    expect(lines(text, 'grpc_server_handled_total')[0]).toMatch(exemplar)
    expect(lines(text, 'grpc_server_handling_seconds_bucket').filter((line) => exemplar.test(line))).toHaveLength(1)
  })

  it('come from a function, asked when the call starts', async () => {
    const registry = openMetrics()
    const recorder = prometheus({ registry, exemplar: (call) => ({ path: call.method.name }) })
    const server = await start()
    await runRpc(server.client(metrics({ recorder })), 'bidi')
    expect(lines(await registry.metrics(), 'grpc_client_handled_total')[0]).toContain('# {path="Bidi"} 1 ')
  })

  it('that a scraper would refuse are dropped and counted', async () => {
    const registry = openMetrics()
    const recorder = prometheus({ registry, exemplar: () => ({ id: 'x'.repeat(200) }) })
    const measured = metrics({ recorder, onFailure: () => undefined })
    const server = await start()
    await runRpc(server.client(measured), 'unary')
    expect(measured.failures).toBe(1)
    const text = await registry.metrics()
    expect(text).not.toContain('# {')
    expect(lines(text, 'grpc_client_started_total')[0]).toMatch(/} 1$/)
  })

  it('need OpenMetrics', () => {
    expect(() => prometheus({ registry: new Registry(), exemplar: true })).toThrow(
      'needs a registry of type OpenMetrics',
    )
  })
})

describe('a registry', () => {
  it('has one recorder', async () => {
    const registry = new Registry()
    expect(prometheus({ registry })).toBe(
      prometheus({ registry, buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] }),
    )
    expect(() => prometheus({ registry, histogram: false })).toThrow('already has a recorder, with other options')
  })

  it('is the global one by default', async () => {
    try {
      const recorder = prometheus()
      expect(recorder.registry).toBe(register)
      recorder.preregister(testService)
      expect(await register.metrics()).toContain('grpc_server_started_total')
      expect(prometheus()).toBe(recorder)
      register.clear()
      expect(prometheus()).not.toBe(recorder)
    } finally {
      register.clear()
    }
  })

  it('whose names are taken is refused at once', () => {
    const registry = new Registry()
    new Counter({ name: 'grpc_client_handled_total', help: 'Another library.', registers: [registry] })
    expect(() => prometheus({ registry })).toThrow('the registry already has a metric "grpc_client_handled_total"')
  })
})

describe('options are checked when the recorder is made', () => {
  it.each([
    [{ register: new Registry() }, 'prometheus: unknown option "register"'],
    [{ registry: {} }, 'prometheus: option "registry" must be a registry of prom-client'],
    [{ histogram: 1 }, 'prometheus: option "histogram" must be true or false'],
    [{ buckets: [1, 1] }, 'prometheus: option "buckets" must be a list of ascending positive numbers'],
    [{ exemplar: 'trace' }, 'prometheus: option "exemplar" must be true, false or a function'],
    [{ maxMethods: 1.5 }, 'prometheus: option "maxMethods" must be an integer ≥ 1'],
  ])('prometheus(%#)', (options, message) => {
    const make = () => prometheus({ registry: new Registry(), ...options } as never)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(message)
  })

  it('preregister', () => {
    const recorder = prometheus({ registry: new Registry() })
    expect(() => recorder.preregister(undefined as never)).toThrow(
      'preregister: the first argument must be a service definition of grpc-js, got undefined',
    )
    expect(() => recorder.preregister({ get: {} } as never)).toThrow('must be a service definition of grpc-js')
    expect(() => recorder.preregister(testService, 'sever' as never)).toThrow(
      'preregister: option "side" must be "client" or "server", got "sever"',
    )
  })
})
