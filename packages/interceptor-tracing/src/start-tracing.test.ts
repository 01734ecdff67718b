import { AsyncLocalStorage } from 'node:async_hooks'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Interceptor } from '@grpc-stack/grpc-core'
import { runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { context, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api'
import { isTracingSuppressed } from '@opentelemetry/core'
import { B3Propagator } from '@opentelemetry/propagator-b3'
import { AlwaysOffSampler, InMemorySpanExporter, type SpanExporter } from '@opentelemetry/sdk-trace-node'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { OtlpReceiver } from '../test/otlp-receiver.ts'
import { registerSdk, unregisterSdk } from '../test/recorded-spans.ts'
import { tracing } from './index.ts'
import { type StartedTracing, type StartTracingOptions, startTracing } from './node.ts'

let started: StartedTracing | undefined
const start = (options?: StartTracingOptions): StartedTracing => {
  started = startTracing(options)
  return started
}
afterEach(async () => {
  await started?.shutdown()
  started = undefined
  unregisterSdk()
})

const listeners = () => ['SIGTERM', 'SIGINT', 'beforeExit'].map((event) => process.listenerCount(event))

async function traceACall(): Promise<void> {
  await using server = await startTestServer({ interceptors: [tracing()] })
  await runRpc(server.client(tracing()), 'unary')
}

describe('startTracing', () => {
  it('provider, context, propagation and export work after one call', async () => {
    const exporter = new InMemorySpanExporter()
    const tracingNow = start({
      serviceName: 'shop',
      serviceVersion: '1.2.3',
      resource: { 'deployment.environment.name': 'test' },
      exporter,
    })
    await traceACall()
    await tracingNow.flush()
    const spans = exporter.getFinishedSpans()
    expect(spans).toHaveLength(2)
    expect(spans[0]?.resource.attributes).toMatchObject({
      'service.name': 'shop',
      'service.version': '1.2.3',
      'deployment.environment.name': 'test',
      'telemetry.sdk.language': 'nodejs',
    })
    const [server, client] = spans
    expect(server?.parentSpanContext?.spanId).toBe(client?.spanContext().spanId)
    expect(tracingNow.lostSpans).toBe(0)
  })

  it('exports in no context of a call, whichever call filled the batch', async () => {
    const user = new AsyncLocalStorage<string>()
    const seen: unknown[] = []
    const exported = new Promise<void>((resolve) => {
      const note = (): void => {
        const active = context.active()
        seen.push(user.getStore(), trace.getSpan(active), propagation.getBaggage(active), isTracingSuppressed(active))
      }
      const exporter: SpanExporter = {
        export: (_spans, done) => {
          note()
          done({ code: 0 })
          resolve()
        },
        shutdown: async () => undefined,
      }
      start({ exporter, batch: { maxExportBatchSize: 2, scheduledDelayMs: 60_000 } })
    })
    const enter: Interceptor = (_call, next) => user.run('of one call', next)
    await using server = await startTestServer({ interceptors: [enter, tracing()] })
    await user.run('of a caller', () => runRpc(server.client(enter, tracing()), 'unary'))
    await exported
    expect(seen).toEqual([undefined, undefined, undefined, true])
  })

  it('refuses an endpoint with a password, and does not print it', () => {
    const endpoint = 'http://user:hunter2@127.0.0.1:4317'
    expect(() => start({ endpoint })).toThrow(
      /^startTracing: option "endpoint" must be a URL without user and password/,
    )
    expect(() => start({ endpoint })).not.toThrow(/hunter2/)
  })

  it('exports over OTLP/gRPC to the endpoint', async () => {
    const receiver = await OtlpReceiver.start()
    try {
      const tracingNow = start({ serviceName: 'shop', endpoint: receiver.endpoint })
      await traceACall()
      await tracingNow.shutdown()
      expect(receiver.spans.map(({ service, kind }) => [service, kind])).toEqual([
        ['shop', 2],
        ['shop', 3],
      ])
    } finally {
      receiver.stop()
    }
  })

  it('takes what is not given from the environment', async () => {
    const receiver = await OtlpReceiver.start()
    vi.stubEnv('OTEL_SERVICE_NAME', 'from-env')
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'team=a')
    vi.stubEnv('OTEL_EXPORTER_OTLP_ENDPOINT', receiver.endpoint)
    try {
      const tracingNow = start()
      expect(tracingNow.provider).toBeDefined()
      await traceACall()
      await tracingNow.shutdown()
      expect(receiver.spans[0]?.service).toBe('from-env')
    } finally {
      receiver.stop()
    }
  })

  it('counts the spans that the exporter loses, and warns once', async () => {
    const warnings: Error[] = []
    const onWarning = (warning: Error & { code?: string }) => {
      if (warning.code === 'GRPC_STACK_SPANS_LOST') warnings.push(warning)
    }
    process.on('warning', onWarning)
    const receiver = await OtlpReceiver.start()
    receiver.refuse = true
    try {
      const tracingNow = start({ endpoint: receiver.endpoint })
      await traceACall()
      await tracingNow.flush()
      expect(tracingNow.lostSpans).toBe(2)
      await traceACall()
      await tracingNow.flush()
      expect(tracingNow.lostSpans).toBe(4)
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings).toHaveLength(1)
      expect(warnings[0]?.message).toMatch(/^startTracing: spans could not be exported: .*not here/)
    } finally {
      process.removeListener('warning', onWarning)
      receiver.stop()
    }
  })

  it('counts the spans of an exporter that throws', async () => {
    const exporter: SpanExporter = {
      export() {
        throw new Error('on purpose')
      },
      shutdown: async () => undefined,
    }
    const tracingNow = start({ exporter })
    await traceACall()
    await tracingNow.flush()
    expect(tracingNow.lostSpans).toBe(2)
  })

  it('does not wait for an exporter that hangs', async () => {
    const exporter: SpanExporter = { export() {}, shutdown: () => new Promise(() => undefined) }
    const tracingNow = start({ exporter, shutdownTimeoutMs: 20 })
    await traceACall()
    await tracingNow.flush()
    await tracingNow.shutdown()
  })

  it('sampleRatio 0 records nothing new, but what the caller decided', async () => {
    const exporter = new InMemorySpanExporter()
    const tracingNow = start({ exporter, sampleRatio: 0 })
    await traceACall()
    await tracingNow.flush()
    expect(exporter.getFinishedSpans()).toEqual([])
    const decided = trace.setSpanContext(ROOT_CONTEXT, {
      traceId: '1'.repeat(32),
      spanId: '2'.repeat(16),
      traceFlags: 1,
    })
    await context.with(decided, traceACall)
    await tracingNow.flush()
    expect(exporter.getFinishedSpans()).toHaveLength(2)
  })

  it('takes a sampler and a propagator', async () => {
    start({ exporter: new InMemorySpanExporter(), sampler: new AlwaysOffSampler(), propagator: new B3Propagator() })
    expect(propagation.fields()).toEqual(['b3'])
    expect(trace.getTracer('x').startSpan('x').isRecording()).toBe(false)
  })

  it('refuses to set up a second SDK, and can be started again after shutdown', async () => {
    const first = start({ exporter: new InMemorySpanExporter() })
    expect(() => startTracing({ exporter: new InMemorySpanExporter() })).toThrow('has an OpenTelemetry SDK already')
    await first.shutdown()
    start({ exporter: new InMemorySpanExporter() })
    await started?.shutdown()
    registerSdk()
    expect(() => startTracing()).toThrow('has an OpenTelemetry SDK already')
  })

  it('shutdown leaves an SDK alone that was registered since by other code', async () => {
    const first = start({ exporter: new InMemorySpanExporter() })
    unregisterSdk()
    const log = registerSdk()
    await first.shutdown()
    await traceACall()
    await log.count(2)
  })

  it('listens to the process until shutdown, or not at all', async () => {
    const before = listeners()
    const watching = start({ exporter: new InMemorySpanExporter() })
    expect(listeners()).toEqual(before.map((n) => n + 1))
    await watching.shutdown()
    expect(listeners()).toEqual(before)
    start({ exporter: new InMemorySpanExporter(), shutdownWithProcess: false })
    expect(listeners()).toEqual(before)
  })

  it('a second signal ends the process at once, collector or not', async () => {
    const child = fork(fileURLToPath(new URL('../test/hop.mjs', import.meta.url)), ['stuck'], {
      env: { ...process.env, NAME: 'stuck' },
      execArgv: [],
    })
    try {
      await once(child, 'message')
      child.kill('SIGTERM')
      expect(await once(child, 'message')).toEqual(['exporting', undefined])
      child.kill('SIGTERM')
      expect(await once(child, 'exit')).toEqual([null, 'SIGTERM'])
    } finally {
      child.kill('SIGKILL')
    }
  })

  it.each([
    [{ name: 'x' }, 'startTracing: unknown option "name"; known are serviceName, serviceVersion,'],
    [{ servicename: 'x' }, 'startTracing: unknown option "servicename"; did you mean "serviceName"?'],
    [{ serviceName: '' }, 'startTracing: option "serviceName" must be a non-empty string, got ""'],
    [{ endpoint: 1 }, 'startTracing: option "endpoint" must be a non-empty string, got a number'],
    [{ exporter: 'otlp' }, 'startTracing: option "exporter" must be an object with export and shutdown, got "otlp"'],
    [{ sampleRatio: 2 }, 'startTracing: option "sampleRatio" must be a number from 0 to 1, got 2'],
    [{ sampleRatio: 1, sampler: new AlwaysOffSampler() }, 'startTracing: give "sampler" or "sampleRatio", not both'],
    [{ endpoint: 'x', exporter: new InMemorySpanExporter() }, 'startTracing: give "exporter" or "endpoint", not both'],
    [{ batch: { size: 1 } }, 'startTracing: option "batch": unknown option "size"; '],
    [{ batch: { maxQueueSize: 0 } }, 'startTracing: option "batch.maxQueueSize" must be a number > 0, got 0'],
    [
      { shutdownTimeoutMs: -1 },
      'startTracing: option "shutdownTimeoutMs" must be a number of milliseconds ≥ 0 and < 2147483648, got -1',
    ],
    [{ shutdownWithProcess: 1 }, 'startTracing: option "shutdownWithProcess" must be true or false, got 1'],
  ])('refuses %j', (options, message) => {
    expect(() => startTracing(options as StartTracingOptions)).toThrow(TypeError)
    expect(() => startTracing(options as StartTracingOptions)).toThrow(message)
  })
})
