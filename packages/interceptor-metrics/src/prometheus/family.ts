import type { OpenMetricsContentType, PrometheusContentType, Registry } from 'prom-client'
import type { MeasuredMethod } from '../recorder.ts'
import { goCodeNames } from '../series/code-names.ts'
import type { Exemplar } from './exemplar.ts'
import type { PrometheusSeries } from './series.ts'

/** A registry of prom-client, whichever text it speaks. */
export type AnyRegistry = Registry<PrometheusContentType> | Registry<OpenMetricsContentType>

/** Which figures have a set of names of their own. */
export type FamilyName = 'grpc_server' | 'grpc_client' | 'grpc_client_attempt'

export function familyOf({ side, per }: Pick<MeasuredMethod, 'side' | 'per'>): FamilyName {
  if (side === 'server') return 'grpc_server'
  return per === 'attempt' ? 'grpc_client_attempt' : 'grpc_client'
}

interface Sample {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly exemplar?: Exemplar | undefined
}

/** One metric of a family: its name without the prefix, and how it is read off the figures. */
interface Metric {
  readonly suffix: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  samples(series: PrometheusSeries, name: string): readonly Sample[]
}

const one = (read: (series: PrometheusSeries) => number) => (series: PrometheusSeries) => [
  { labels: { ...series.labels }, value: read(series) },
]

/**
 * Names, labels and help texts of go-grpc-middleware (providers/prometheus/server_metrics.go, client_metrics.go). The last two
 * are not from there: Prometheus can tell neither from the others without a join.
 */
function metricsOf(family: FamilyName, buckets: readonly number[], histogram: boolean): readonly Metric[] {
  const server = family === 'grpc_server'
  const what = family === 'grpc_client_attempt' ? 'RPC attempts' : 'RPCs'
  const latency: Metric = {
    suffix: 'handling_seconds',
    help: server
      ? 'Histogram of response latency (seconds) of gRPC that had been application-level handled by the server.'
      : 'Histogram of response latency (seconds) of the gRPC until it is finished by the application.',
    type: 'histogram',
    samples: (series, name) => histogramSamples(series, name, buckets),
  }
  return [
    {
      suffix: 'started_total',
      help: `Total number of ${what} started on the ${server ? 'server' : 'client'}.`,
      type: 'counter',
      samples: one(({ startedCount }) => startedCount),
    },
    {
      suffix: 'handled_total',
      help: `Total number of ${what} completed ${server ? 'on the server' : 'by the client'}, regardless of success or failure.`,
      type: 'counter',
      samples: handledSamples,
    },
    {
      suffix: 'msg_received_total',
      help: `Total number of RPC stream messages received ${server ? 'on the server' : 'by the client'}.`,
      type: 'counter',
      samples: one(({ receivedCount }) => receivedCount),
    },
    {
      suffix: 'msg_sent_total',
      help: `Total number of gRPC stream messages sent by the ${server ? 'server' : 'client'}.`,
      type: 'counter',
      samples: one(({ sentCount }) => sentCount),
    },
    ...(histogram ? [latency] : []),
    {
      suffix: 'in_flight',
      help: `Number of ${what} in progress on the ${server ? 'server' : 'client'}.`,
      type: 'gauge',
      samples: one(({ inFlight }) => inFlight),
    },
    {
      suffix: 'refused_total',
      help: `Total number of ${what} an interceptor of this ${server ? 'server' : 'client'} refused.`,
      type: 'counter',
      samples: (series) =>
        [...series.refusals].map(([interceptor, value]) => ({ labels: { ...series.labels, interceptor }, value })),
    },
  ]
}

function handledSamples(series: PrometheusSeries): readonly Sample[] {
  return series.codes.flatMap((latency, code) =>
    latency === undefined
      ? []
      : [
          {
            labels: { ...series.labels, grpc_code: goCodeNames[code] as string },
            value: latency.count,
            exemplar: series.exemplars?.byCode[code],
          },
        ],
  )
}

function histogramSamples(series: PrometheusSeries, name: string, buckets: readonly number[]): readonly Sample[] {
  const { labels, exemplars } = series
  const latency = series.total()
  let below = 0
  const samples: Sample[] = [...latency.counts].map((count, i) => {
    below += count
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: i < buckets.length ? String(buckets[i]) : '+Inf' },
      value: below,
      exemplar: exemplars?.byBucket[i],
    }
  })
  samples.push({ metricName: `${name}_sum`, labels: { ...labels }, value: latency.sum / 1000 })
  samples.push({ metricName: `${name}_count`, labels: { ...labels }, value: latency.count })
  return samples
}

/**
 * A metric as prom-client's registries ask for it. Not one of its own classes: those hash the labels of every `inc()`, child
 * handles included (prom-client 15: lib/counter.js), where these figures are plain numbers until Prometheus scrapes.
 */
class ExposedMetric {
  /** prom-client takes the `_total` off the name on an OpenMetrics registry. */
  name: string
  readonly help: string
  readonly type: Metric['type']
  readonly aggregator = 'sum'
  readonly #fullName: string
  readonly #metric: Metric
  readonly #series: () => readonly PrometheusSeries[]

  constructor(family: FamilyName, metric: Metric, series: () => readonly PrometheusSeries[]) {
    this.name = this.#fullName = `${family}_${metric.suffix}`
    this.help = metric.help
    this.type = metric.type
    this.#metric = metric
    this.#series = series
  }

  /**
   * For JSON, and so for a scrape of all workers of a cluster: by the full name, as text of Prometheus's own format has it, whether or not
   * this registry has exposed text of OpenMetrics meanwhile.
   */
  async get(): Promise<object> {
    return this.#figures(this.#fullName)
  }

  /** For text: by the name that prom-client expects in it (15: lib/registry.js). */
  async getForPromString(): Promise<object> {
    return this.#figures(this.name)
  }

  #figures(name: string): object {
    const { help, type, aggregator } = this
    const values = this.#series().flatMap((series) => this.#metric.samples(series, this.#fullName))
    return { name, help, type, aggregator, values }
  }

  /** The figures of a method belong together: resetting one metric resets them all. */
  reset(): void {
    for (const series of this.#series()) series.reset()
  }
}

const FAMILIES: readonly FamilyName[] = ['grpc_server', 'grpc_client', 'grpc_client_attempt']

/**
 * Makes sure the names are free, before the first RPC needs them.
 * @throws TypeError if something else on the registry has one of the names.
 */
export function checkNamesFree(registry: AnyRegistry): void {
  for (const family of FAMILIES) {
    for (const { suffix } of metricsOf(family, [], true)) {
      const name = `${family}_${suffix}`
      if (registry.getSingleMetric(name) !== undefined) {
        throw new TypeError(
          `prometheus: the registry already has a metric "${name}"; give option "registry" another one, ` +
            'and join them with Registry.merge() where they are scraped',
        )
      }
    }
  }
}

/** Puts the metrics of a family on the registry. */
export function registerFamily(
  registry: AnyRegistry,
  family: FamilyName,
  buckets: readonly number[],
  histogram: boolean,
  series: () => readonly PrometheusSeries[],
): void {
  for (const metric of metricsOf(family, buckets, histogram)) {
    // prom-client's type wants one of its classes; its registries use name, get() and reset().
    const exposed: unknown = new ExposedMetric(family, metric, series)
    registry.registerMetric(exposed as Parameters<Registry['registerMetric']>[0])
  }
}
