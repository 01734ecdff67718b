import {
  flag,
  func,
  type OptionsOf,
  type OptionTable,
  objectWith,
  oneOf,
  quoted,
  readOptions,
  readValue,
} from '@grpc-stack/grpc-core/authoring'
import { register } from 'prom-client'
import type { MeasuredMethod, Recorder } from '../recorder.ts'
import { MethodTable } from '../series/method-table.ts'
import { bucketBounds, maxMethods } from '../series/recorder-options.ts'
import { type ExemplarOf, traceOfCall } from './exemplar.ts'
import { type AnyRegistry, checkNamesFree, type FamilyName, familyOf, registerFamily } from './family.ts'
import { PrometheusSeries } from './series.ts'

export interface PrometheusOptions {
  /** Default: prom-client's global registry. */
  readonly registry?: AnyRegistry
  /** The latency histograms, the most numerous series. Default: true. */
  readonly histogram?: boolean
  /** Upper bounds of the latency buckets, ascending, s. Default: those of Prometheus's Go client, 5 ms to 10 s. */
  readonly buckets?: readonly number[]
  /**
   * Exemplars: true for the trace of `tracing()`, else of the call's `traceparent`, if it is sampled, or a function, which is called when the call
   * starts. Needs a registry of type OpenMetrics. Default: none.
   */
  readonly exemplar?: boolean | ExemplarOf
  /** How many methods are told apart before the rest are `other`. Default: 1000. */
  readonly maxMethods?: number
}

/** The part of a grpc-js service definition that is needed to know its methods. */
export type ServiceMethods = Readonly<
  Record<string, { readonly path: string; readonly requestStream: boolean; readonly responseStream: boolean }>
>

export interface PrometheusRecorder extends Recorder {
  readonly registry: AnyRegistry
  /**
   * Makes all series of a service exist at zero, for all codes: without it the first call of each kind is invisible to
   * `rate()`, and a panel says "no data" where it means zero.
   */
  preregister(service: ServiceMethods, side?: 'client' | 'server'): void
}

/** Prometheus's Go client: DefBuckets. */
const DEFAULT_BUCKETS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

const table = {
  registry: objectWith<AnyRegistry>('registerMetric').expecting('a registry of prom-client').default(register),
  histogram: flag().default(true),
  buckets: bucketBounds.default(DEFAULT_BUCKETS),
  exemplar: flag().or(func<ExemplarOf>()).default(false),
  maxMethods,
} satisfies OptionTable<PrometheusOptions>

type Settings = OptionsOf<typeof table>

const sides = oneOf('client', 'server')

/** A recorder, and whether its metrics are still where it put them: tests clear registries. */
interface Registered {
  readonly recorder: PrometheusRecorder
  readonly settings: Settings
  isThere(): boolean
}

// Of the process, because the names on a registry are taken for every copy of this package.
const RECORDERS: unique symbol = Symbol.for('@grpc-stack/interceptor-metrics.prometheus.1')
const scope = globalThis as { [RECORDERS]?: WeakMap<AnyRegistry, Registered> }
scope[RECORDERS] ??= new WeakMap()
const recorders = scope[RECORDERS]

/**
 * Exposes figures on a prom-client registry, by exactly the names, labels and codes of go-grpc-prometheus, so that the
 * dashboards and alerts made for it work.
 *
 *     const recorder = prometheus()
 *     recorder.preregister(GreeterService)
 *     createServer({ interceptors: [metrics({ recorder })] })
 *
 * A registry has one such recorder: a second call returns it.
 *
 * @throws TypeError for an option that does not exist or has a wrong value, a registry on which one of the names is
 *   taken, and a second call with other options.
 */
export function prometheus(options: PrometheusOptions = {}): PrometheusRecorder {
  const settings = readSettings(options)
  const { registry } = settings
  const known = recorders.get(registry)
  if (known?.isThere()) {
    if (!same(settings, known.settings)) {
      throw new TypeError('prometheus: this registry already has a recorder, with other options')
    }
    return known.recorder
  }
  checkNamesFree(registry)
  const created = createRecorder(settings)
  recorders.set(registry, created)
  return created.recorder
}

function createRecorder(settings: Settings): Registered {
  const { registry, histogram, buckets, exemplar, maxMethods } = settings
  const exemplarOf = exemplar === true ? traceOfCall : exemplar || undefined
  const boundsMs = buckets.map((bound) => bound * 1000)
  const families = new Map<FamilyName, PrometheusSeries[]>()
  const methods = new MethodTable(maxMethods, false, (method) => {
    const family = familyOf(method)
    let all = families.get(family)
    if (all === undefined) {
      // On first use, so that a server does not offer the metrics of a client.
      const list: PrometheusSeries[] = []
      registerFamily(registry, family, buckets, histogram, () => list)
      families.set(family, list)
      all = list
    }
    const series = new PrometheusSeries(method, boundsMs, exemplarOf)
    all.push(series)
    return series
  })
  const recorder: PrometheusRecorder = {
    registry,
    method: (method: MeasuredMethod) => methods.get(method),
    preregister(service, side = 'server') {
      readValue('preregister', 'side', side, sides, { show: quoted })
      for (const method of methodsOf(service, side)) methods.get(method).zero()
    },
  }
  const isThere = (): boolean =>
    [...families.keys()].every((family) => registry.getSingleMetric(`${family}_started_total`) !== undefined)
  return { recorder, settings, isThere }
}

function readSettings(options: PrometheusOptions): Settings {
  const settings = readOptions('prometheus', options, table, { show: quoted })
  const openMetrics = settings.registry.contentType.startsWith('application/openmetrics-text')
  if (settings.exemplar !== false && !openMetrics) {
    throw new TypeError(
      'prometheus: option "exemplar" needs a registry of type OpenMetrics: ' +
        'registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)',
    )
  }
  return settings
}

function same(one: Settings, other: Settings): boolean {
  return (
    one.histogram === other.histogram &&
    one.exemplar === other.exemplar &&
    one.maxMethods === other.maxMethods &&
    one.buckets.join() === other.buckets.join()
  )
}

function methodsOf(service: ServiceMethods, side: 'client' | 'server'): readonly MeasuredMethod[] {
  if (typeof service !== 'object' || service === null) throw notAService(service)
  return Object.values(service).map(({ path, requestStream, responseStream }) => {
    if (typeof path !== 'string') throw notAService(service)
    const slash = path.lastIndexOf('/')
    const type = requestStream
      ? responseStream
        ? 'bidi_stream'
        : 'client_stream'
      : responseStream
        ? 'server_stream'
        : 'unary'
    return {
      side,
      per: 'call',
      path,
      service: path.slice(path.startsWith('/') ? 1 : 0, slash),
      name: path.slice(slash + 1),
      type,
      target: undefined,
    }
  })
}

function notAService(given: unknown): TypeError {
  return new TypeError(`preregister: the first argument must be a service definition of grpc-js, got ${quoted(given)}`)
}
