import type { MethodType } from '../recorder.ts'
import { codeNames } from '../series/code-names.ts'
import type { Histogram } from '../series/histogram.ts'
import type { MethodSeries } from '../series/method-series.ts'

/** Latencies in milliseconds. Without calls, everything but `count` and `sumMs` is 0. */
export interface LatencySnapshot {
  readonly count: number
  readonly sumMs: number
  readonly averageMs: number
  readonly minMs: number
  readonly maxMs: number
  /** Estimated from the buckets, good to their width. */
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  /** How many calls took at most `leMs`; the last is `Infinity`. Cumulative, as in Prometheus. */
  readonly buckets: readonly { readonly leMs: number; readonly count: number }[]
}

/** One side of one method. */
export interface MethodSnapshot {
  readonly side: 'client' | 'server'
  readonly per: 'call' | 'attempt'
  readonly path: string
  readonly service: string
  readonly method: string
  readonly type: MethodType
  readonly started: number
  readonly ended: number
  readonly inFlight: number
  /** Those that ended with any code but OK. */
  readonly errors: number
  readonly messagesSent: number
  readonly messagesReceived: number
  /** Calls an interceptor of this process refused, by its name. */
  readonly refusals: Readonly<Record<string, number>>
  readonly latency: LatencySnapshot
  /** By the name of the code, such as `NOT_FOUND`; codes that have not occurred are not there. */
  readonly byCode: Readonly<Record<string, LatencySnapshot>>
}

/** What was measured, by method path with its leading slash; `other` for methods that are not told apart. */
export interface MetricsSnapshot {
  /** Calls started. */
  readonly requests: Readonly<Record<string, number>>
  /** Calls that ended with any code but OK. */
  readonly errors: Readonly<Record<string, number>>
  /** Of all calls that ended, failed ones too. Methods without an ended call are not there. */
  readonly averageLatencyMs: Readonly<Record<string, number>>
  /** How many calls ended with which code. */
  readonly byCode: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** Calls in progress. */
  readonly inFlight: Readonly<Record<string, number>>
  /** Everything, per side and method. */
  readonly methods: readonly MethodSnapshot[]
}

/** Which figures a snapshot is of. */
export interface SnapshotFilter {
  /** Default: both. A method that this process both serves and calls is then counted twice, once for each. */
  readonly side?: 'client' | 'server'
  /** Default: `call`. */
  readonly per?: 'call' | 'attempt'
}

export function snapshotOf(all: readonly MethodSeries[]): MetricsSnapshot {
  const requests: Record<string, number> = {}
  const errors: Record<string, number> = {}
  const inFlight: Record<string, number> = {}
  const averageLatencyMs: Record<string, number> = {}
  const byCode: Record<string, Record<string, number>> = {}
  const sums: Record<string, Histogram> = {}
  for (const series of all) {
    const { path } = series.method
    requests[path] = (requests[path] ?? 0) + series.startedCount
    errors[path] = (errors[path] ?? 0) + errorsOf(series)
    inFlight[path] = (inFlight[path] ?? 0) + series.inFlight
    const total = series.total()
    if (sums[path] === undefined) sums[path] = total
    else sums[path].add(total)
    byCode[path] ??= {}
    for (const [code, latency] of series.codes.entries()) {
      const name = codeNames[code] as string
      if (latency !== undefined) byCode[path][name] = (byCode[path][name] ?? 0) + latency.count
    }
  }
  for (const [path, { count, sum }] of Object.entries(sums)) if (count > 0) averageLatencyMs[path] = sum / count
  return { requests, errors, averageLatencyMs, byCode, inFlight, methods: all.map(methodSnapshot) }
}

function errorsOf(series: MethodSeries): number {
  return series.endedCount - (series.codes[0]?.count ?? 0)
}

function methodSnapshot(series: MethodSeries): MethodSnapshot {
  const { side, per, path, service, name, type } = series.method
  return {
    side,
    per,
    path,
    service,
    method: name,
    type,
    started: series.startedCount,
    ended: series.endedCount,
    inFlight: series.inFlight,
    errors: errorsOf(series),
    messagesSent: series.sentCount,
    messagesReceived: series.receivedCount,
    refusals: Object.fromEntries(series.refusals),
    latency: latencySnapshot(series.total()),
    byCode: Object.fromEntries(
      series.codes.flatMap((latency, code) => (latency ? [[codeNames[code], latencySnapshot(latency)]] : [])),
    ),
  }
}

function latencySnapshot(latency: Histogram): LatencySnapshot {
  const { count, sum, bounds, counts } = latency
  let below = 0
  const buckets = [...counts].map((n, i) => {
    below += n
    return { leMs: bounds[i] ?? Number.POSITIVE_INFINITY, count: below }
  })
  const some = count > 0
  return {
    count,
    sumMs: sum,
    averageMs: some ? sum / count : 0,
    minMs: some ? latency.min : 0,
    maxMs: some ? latency.max : 0,
    p50Ms: some ? latency.percentile(0.5) : 0,
    p90Ms: some ? latency.percentile(0.9) : 0,
    p99Ms: some ? latency.percentile(0.99) : 0,
    buckets,
  }
}
