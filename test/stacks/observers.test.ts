// Observers around what repeats calls, with every package as it is: what they tell of attempts comes from core's own counts.
import { status as Code } from '@grpc/grpc-js'
import { echo, endWith, FakeClock, Gate, runRpc, settle, startRpc, startTestServer } from '@grpc-stack/grpc-testing'
import { metrics } from '@grpc-stack/interceptor-metrics'
import { openTelemetry } from '@grpc-stack/interceptor-metrics/opentelemetry'
import { hedge, retry } from '@grpc-stack/interceptor-retry'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { afterEach, describe, expect, it } from 'vitest'

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()))
})

/** A recorder, and the sums of the histograms it fed. */
function recording() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const meterProvider = new MeterProvider({ readers: [reader] })
  closers.push(() => meterProvider.shutdown())
  const sums = async (): Promise<Record<string, unknown>> => {
    await reader.forceFlush()
    const found = exporter.getMetrics().flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
    return Object.fromEntries(
      found.map(({ descriptor, dataPoints }) => [
        descriptor.name.replace('grpc.client.call.', ''),
        dataPoints.map(({ value }) => (value as { readonly sum?: number }).sum),
      ]),
    )
  }
  return { recorder: openTelemetry({ meterProvider, retries: true, rpc: false, grpc: false }), sums }
}

describe('metrics around hedge() and retry()', () => {
  it('have the hedges of a call that a hedge answered', async () => {
    const clock = new FakeClock()
    const { recorder, sums } = recording()
    let attempts = 0
    const never = new Gate()
    await using server = await startTestServer({
      behaviour: async (rpc) => {
        if (++attempts < 3) await never.opened
        else await echo(rpc)
      },
    })
    const hedging = hedge({ delayMs: 100, maxAttempts: 3, idempotent: '*', budget: false, clock })
    const rpc = startRpc(server.client(metrics({ recorder }), hedging), 'unary')
    for (let i = 1; i <= 3; i++) {
      while (attempts < i) await settle(1)
      if (i < 3) await clock.advance(100)
    }
    await rpc.done
    never.open()
    expect(rpc.status?.code).toBe(Code.OK)
    expect(await sums()).toMatchObject({ hedges: [2] })
    expect(await sums()).not.toHaveProperty('retries')
  })

  it('have the retries of a call, and the time it waited between them', async () => {
    const clock = new FakeClock()
    const { recorder, sums } = recording()
    let attempts = 0
    await using server = await startTestServer({
      behaviour: (rpc) => (++attempts < 3 ? endWith({ code: Code.UNAVAILABLE })(rpc) : echo(rpc)),
    })
    const client = server.client(
      metrics({ recorder }),
      retry({ clock, jitter: 'none', initialBackoffMs: 100, backoffMultiplier: 2 }),
    )
    const rpc = startRpc(client, 'unary')
    for (const waitMs of [100, 200]) {
      await clock.timerSet()
      await clock.advance(waitMs)
    }
    await rpc.done
    await runRpc(client, 'unary')
    expect(rpc.status?.code).toBe(Code.OK)
    expect(await sums()).toMatchObject({ retries: [2], retry_delay: [0.3] })
    expect(await sums()).not.toHaveProperty('hedges')
  })
})
