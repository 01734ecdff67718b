import { runRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { InMemorySpanExporter } from '@opentelemetry/sdk-trace-node'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { tracing } from './index.ts'
import { type StartedTracing, type StartTracingOptions, startTracing } from './node.ts'

let started: StartedTracing | undefined
afterEach(async () => {
  await started?.shutdown()
  started = undefined
})

/** The spans of a call, by what it told the server of the trace it belongs to. */
async function spansOf(options: StartTracingOptions, traceparent?: string) {
  const exporter = new InMemorySpanExporter()
  started = startTracing({ ...options, exporter })
  await using server = await startTestServer({ interceptors: [tracing()] })
  const metadata = server.behave((rpc) => rpc.end())
  if (traceparent !== undefined) metadata.set('traceparent', traceparent)
  await runRpc(server.client(), 'unary', { metadata })
  await started.flush()
  return exporter.getFinishedSpans()
}

const sampled = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

describe('what the environment says', () => {
  it('of the sampler holds where no option does', async () => {
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_always_off')
    expect(await spansOf({})).toHaveLength(0)
  })

  it('of the sampler gives way to sampleRatio', async () => {
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_always_off')
    expect(await spansOf({ sampleRatio: 1 })).toHaveLength(1)
  })

  it('of nothing records everything', async () => {
    expect(await spansOf({})).toHaveLength(1)
  })

  it("of a sampler that keeps a caller's decision keeps it", async () => {
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_always_off')
    expect(await spansOf({}, sampled)).toHaveLength(1)
  })

  it('of the resource is merged with what the options say', async () => {
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'team=a,region=b')
    const [span] = await spansOf({ resource: { region: 'c' }, serviceName: 'shop' })
    expect(span?.resource.attributes).toMatchObject({ team: 'a', region: 'c', 'service.name': 'shop' })
  })
})

describe('without endpoint and environment', () => {
  it('spans go to http://localhost:4317, where collectors listen', () => {
    // The exporter tells in private members alone, and what listens on that port here is not ours to say.
    const told: unknown[] = []
    const look = (value: unknown, depth: number): void => {
      if (typeof value === 'string') told.push(value)
      else if (typeof value === 'object' && value !== null && depth < 8) {
        for (const inside of Object.values(value)) look(inside, depth + 1)
      }
    }
    const exporter = new OTLPTraceExporter({})
    look(exporter, 0)
    expect(told.filter((text) => /4317/.test(String(text)))[0]).toMatch(/^(http:\/\/)?localhost:4317$/)
  })
})
