import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Interceptor } from '@grpc-stack/grpc-core'
import {
  endWith,
  failing,
  manual,
  metadataOf,
  patterns,
  runRpc,
  settle,
  startRpc,
  startTestServer,
  testService,
} from '@grpc-stack/grpc-testing'
import { type OpenMetricsContentType, Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { missing, Prometheus, promtool } from '../../test/prometheus.ts'
import { metrics } from '../metrics.ts'
import { prometheus } from './prometheus.ts'

const file = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url))

interface Panel {
  readonly id: number
  readonly title: string
  readonly type: string
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string }[]
}

const dashboard = JSON.parse(readFileSync(file('dashboards/grpc.json'), 'utf8')) as {
  readonly panels: readonly Panel[]
}

/** The expressions of the dashboard, with the variables Grafana would put in. */
const expressionsOver = (interval: string): string[][] =>
  dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => [
      title,
      expr.replaceAll('$__rate_interval', interval).replaceAll('$job', '.*').replaceAll('$service', '.*'),
    ]),
  )
const expressions = expressionsOver('1m')

const retry: Interceptor<ClientCall> = async function retry(call, next) {
  call.makeReplayable({ maxBytes: 1e6, maxMessages: 10 })
  const status = await next()
  return status.code === Code.UNAVAILABLE ? next() : status
}

const refuseSome: Interceptor = function rateLimit(call, next) {
  return call.metadata.get('refuse').length > 0 ? { code: Code.RESOURCE_EXHAUSTED } : next()
}

interface Traffic {
  /** More calls, so that rates have something to show. */
  more(): Promise<void>
  end(): Promise<void>
}

/** Calls of all kinds and endings, so that every metric has something to show. One stream stays open until `end()`. */
async function traffic(registry: Registry<OpenMetricsContentType> | Registry): Promise<Traffic> {
  const recorder = prometheus({ registry })
  recorder.preregister(testService)
  const server = await startTestServer({ interceptors: [metrics({ recorder }), refuseSome] })
  const stack = [metrics({ recorder }), retry, metrics({ recorder, per: 'attempt' }), failing(1)]
  const client = server.client(...stack)
  for (const pattern of patterns) {
    for (let i = 0; i < 5; i++) await runRpc(client, pattern)
    await runRpc(client, pattern, { metadata: server.behave(endWith({ code: Code.INTERNAL })) })
  }
  await runRpc(client, 'unary', { metadata: server.behave(endWith({ code: Code.NOT_FOUND })) })
  await runRpc(client, 'unary', { metadata: metadataOf({ refuse: 'yes' }) })
  const open = startRpc(client, 'bidi', { metadata: server.behave(manual) })
  await server.received(server.calls.length)
  await settle()
  return {
    more: async () => {
      await runRpc(client, 'bidi')
      await runRpc(client, 'unary')
    },
    end: async () => {
      open.cancel()
      await open.done
      await server.stop()
    },
  }
}

describe('a real Prometheus', () => {
  it('scrapes what is exposed, and answers every panel of the dashboard', { timeout: 60_000 }, async ({ skip }) => {
    const reason = missing('prometheus')
    if (reason) skip(reason)
    const registry = new Registry()
    const calls = await traffic(registry)
    const server = await Prometheus.start(registry, [file('alerts/grpc.rules.yml')])
    try {
      const handled = 'sum by (grpc_type, grpc_code) (grpc_server_handled_total) > 0'
      const samples = await server.queryUntil(handled, (found) => found.length > 0)
      expect(await server.scrapeError()).toBeUndefined()
      const counts = samples.map(({ labels, value }) => `${labels.grpc_type} ${labels.grpc_code} ${value}`)
      expect(counts.sort()).toEqual([
        'bidi_stream Internal 1',
        'bidi_stream OK 5',
        'client_stream Internal 1',
        'client_stream OK 5',
        'server_stream Internal 1',
        'server_stream OK 5',
        'unary Internal 1',
        'unary NotFound 1',
        'unary OK 5',
        'unary ResourceExhausted 1',
      ])
      expect(await server.query('sum(grpc_server_in_flight)')).toMatchObject([{ value: 1 }])
      expect(await server.query('sum(grpc_server_started_total) - sum(grpc_server_handled_total)')).toMatchObject([
        { value: 1 },
      ])
      expect(await server.query('sum(grpc_server_msg_sent_total{grpc_type="server_stream"})')).toMatchObject([
        { value: 15 },
      ])
      expect(await server.query('grpc_server_handling_seconds_count{grpc_type="unary"}')).toMatchObject([{ value: 8 }])
      expect(await server.query('count(grpc_server_handled_total)')).toMatchObject([{ value: 4 * 17 }])
      expect(
        await server.query('sum(grpc_client_attempt_started_total) - sum(grpc_client_started_total)'),
      ).toMatchObject([{ value: 1 }])
      // rate() needs two scrapes, with calls between them: all of these calls, since a scrape may come between two of them.
      await calls.more()
      const kinds = 'grpc_type=~"unary|bidi_stream"'
      const moved = (side: string) => `min(sum by (grpc_type) (rate(grpc_${side}_handled_total{${kinds}}[1m]))) > 0`
      await server.queryUntil(`${moved('server')} and ${moved('client')}`, (found) => found.length > 0)
      for (const [title, expression] of expressions) {
        const found = await server.query(expression ?? '')
        expect({ title, expression, found: found.length > 0 }).toEqual({ title, expression, found: true })
      }
      // At rest every rate is 0, and no panel divides by it.
      await server.queryUntil('sum(rate(grpc_server_started_total[1s])) == 0', (found) => found.length > 0)
      for (const [title, expression] of expressionsOver('1s')) {
        const values = (await server.query(expression ?? '')).map(({ value }) => value)
        expect({ title, expression, finite: values.every(Number.isFinite) }).toEqual({
          title,
          expression,
          finite: true,
        })
        if (title === 'Faults') expect(values).toEqual([0])
      }
      const rules = await server.query('job_service:grpc_server_handled:rate5m')
      expect(rules).toMatchObject([{ labels: { grpc_service: 'grpcstack.testing.Test', job: 'shop' } }])
    } finally {
      await server.stop()
      await calls.end()
    }
  })

  it('takes OpenMetrics, and keeps the exemplars', { timeout: 60_000 }, async ({ skip }) => {
    const reason = missing('prometheus')
    if (reason) skip(reason)
    const registry = new Registry<OpenMetricsContentType>()
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    const recorder = prometheus({ registry, exemplar: true })
    const grpc = await startTestServer({ interceptors: [metrics({ recorder })] })
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    await runRpc(grpc.client(), 'unary', { metadata: metadataOf({ traceparent }) })
    await settle()
    const server = await Prometheus.start(registry)
    try {
      const found = await server.queryUntil('grpc_server_handled_total', (samples) => samples.length > 0)
      expect(await server.scrapeError()).toBeUndefined()
      expect(found).toMatchObject([{ labels: { grpc_code: 'OK' }, value: 1 }])
      expect(await server.exemplars('grpc_server_handling_seconds_bucket')).toMatchObject([
        { labels: { trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' } },
      ])
    } finally {
      await server.stop()
      await grpc.stop()
    }
  })
})

describe('promtool', () => {
  it('finds no fault with the exposition', { timeout: 30_000 }, async ({ skip }) => {
    const reason = missing('promtool')
    if (reason) skip(reason)
    const registry = new Registry()
    const calls = await traffic(registry)
    try {
      expect(await promtool(['check', 'metrics'], await registry.metrics())).toBe('')
    } finally {
      await calls.end()
    }
  })

  it('finds no fault with the alert rules', { timeout: 30_000 }, async ({ skip }) => {
    const reason = missing('promtool')
    if (reason) skip(reason)
    expect(await promtool(['check', 'rules', file('alerts/grpc.rules.yml')])).toContain('SUCCESS')
  })

  it('sees every alert fire when it should, and none when it should not', { timeout: 30_000 }, async ({ skip }) => {
    const reason = missing('promtool')
    if (reason) skip(reason)
    await promtool(['test', 'rules', file('alerts/grpc.rules.test.yml')])
  })
})

describe('the dashboard', () => {
  it('has panels with identities and places of their own, and asks something in each', () => {
    const ids = dashboard.panels.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    const taken = new Set<string>()
    for (const { type, targets = [], gridPos } of dashboard.panels) {
      if (type !== 'row') expect(targets.length).toBeGreaterThan(0)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(x).toBeLessThan(24)
          expect(taken.has(`${x},${y}`)).toBe(false)
          taken.add(`${x},${y}`)
        }
      }
    }
  })

  it('shows every metric there is, and none that is not', () => {
    const exposed = ['server', 'client'].flatMap((side) =>
      [
        'started_total',
        'handled_total',
        'msg_received_total',
        'msg_sent_total',
        'handling_seconds_bucket',
        'in_flight',
      ].map((name) => `grpc_${side}_${name}`),
    )
    const all = [...exposed, 'grpc_server_refused_total', 'grpc_client_attempt_started_total']
    const shown = new Set(
      expressions.flatMap(([, expression]) => expression?.match(/grpc_(?:server|client)\w+/g) ?? []),
    )
    expect([...shown].sort()).toEqual(all.sort())
  })
})
