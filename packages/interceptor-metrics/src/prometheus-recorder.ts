import { register } from 'prom-client'
import { type ExemplarOf, traceOfCall } from './exemplar.ts'
import { checkBounds } from './histogram.ts'
import { MAX_METHODS, MethodTable } from './method-table.ts'
import { checkLimit, checkNames, fail } from './options.ts'
import { type AnyRegistry, checkNamesFree, type FamilyName, familyOf, registerFamily } from './prometheus-family.ts'
import { PrometheusSeries } from './prometheus-series.ts'
import type { MeasuredMethod, Recorder } from './recorder.ts'

export interface PrometheusOptions {
  /** Default: prom-client's global registry. */
  readonly registry?: AnyRegistry
  /** The latency histograms, the most numerous series. Default: true. */
  readonly histogram?: boolean
  /** Upper bounds of the latency buckets, ascending, s. Default: those of Prometheus's Go client, 5 ms to 10 s. */
  readonly buckets?: readonly number[]
  /**
   * Exemplars: true for the trace in the call's `traceparent` if it is sampled, or a function, which is called when the call
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

interface Settings {
  readonly histogram: boolean
  readonly buckets: readonly number[]
  readonly exemplarOf: ExemplarOf | undefined
  readonly maxMethods: number
}

/** A recorder, and whether its metrics are still where it put them: tests clear registries. */
interface Registered {
  readonly recorder: PrometheusRecorder
  readonly settings: Settings
  isThere(): boolean
}

const recorders = new WeakMap<AnyRegistry, Registered>()

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
  checkNames('prometheus', options, ['registry', 'histogram', 'buckets', 'exemplar', 'maxMethods'])
  const registry = options.registry ?? register
  if (typeof registry?.registerMetric !== 'function') {
    fail('prometheus: option "registry"', 'a registry of prom-client', registry)
  }
  const settings = readSettings(options, registry)
  const known = recorders.get(registry)
  if (known?.isThere()) {
    if (!same(settings, known.settings)) {
      throw new TypeError('prometheus: this registry already has a recorder, with other options')
    }
    return known.recorder
  }
  checkNamesFree(registry)
  const created = createRecorder(registry, settings)
  recorders.set(registry, created)
  return created.recorder
}

function createRecorder(registry: AnyRegistry, settings: Settings): Registered {
  const { histogram, buckets, exemplarOf, maxMethods } = settings
  const boundsMs = buckets.map((bound) => bound * 1000)
  const families = new Map<FamilyName, PrometheusSeries[]>()
  const table = new MethodTable(maxMethods, false, (method) => {
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
    method: (method: MeasuredMethod) => table.get(method),
    preregister(service, side = 'server') {
      for (const method of methodsOf(service, side)) table.get(method).zero()
    },
  }
  const isThere = (): boolean =>
    [...families.keys()].every((family) => registry.getSingleMetric(`${family}_started_total`) !== undefined)
  return { recorder, settings, isThere }
}

function readSettings(options: PrometheusOptions, registry: AnyRegistry): Settings {
  const { histogram = true, exemplar = false, maxMethods = MAX_METHODS } = options
  if (typeof histogram !== 'boolean') fail('prometheus: option "histogram"', 'true or false', histogram)
  if (typeof exemplar !== 'boolean' && typeof exemplar !== 'function') {
    fail('prometheus: option "exemplar"', 'true, false or a function', exemplar)
  }
  const openMetrics = registry.contentType.startsWith('application/openmetrics-text')
  if (exemplar !== false && !openMetrics) {
    throw new TypeError(
      'prometheus: option "exemplar" needs a registry of type OpenMetrics: ' +
        'registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)',
    )
  }
  return {
    histogram,
    buckets: checkBounds(options.buckets ?? DEFAULT_BUCKETS, 'prometheus: option "buckets"'),
    exemplarOf: exemplar === true ? traceOfCall : exemplar || undefined,
    maxMethods: checkLimit('prometheus: option "maxMethods"', maxMethods),
  }
}

function same(one: Settings, other: Settings): boolean {
  return (
    one.histogram === other.histogram &&
    one.exemplarOf === other.exemplarOf &&
    one.maxMethods === other.maxMethods &&
    one.buckets.join() === other.buckets.join()
  )
}

function methodsOf(service: ServiceMethods, side: 'client' | 'server'): readonly MeasuredMethod[] {
  if (typeof service !== 'object' || service === null) fail('preregister: service', 'a service definition', service)
  return Object.values(service).map(({ path, requestStream, responseStream }) => {
    if (typeof path !== 'string') fail('preregister: service', 'a service definition of grpc-js', service)
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
