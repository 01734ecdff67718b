import { type OptionTable, oneOf, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import type { MeasuredMethod, Recorder } from '../recorder.ts'
import { latencyBoundsMs } from '../series/histogram.ts'
import { MethodSeries } from '../series/method-series.ts'
import { MethodTable } from '../series/method-table.ts'
import { bucketBounds, maxMethods } from '../series/recorder-options.ts'
import { type MetricsSnapshot, type SnapshotFilter, snapshotOf } from './snapshot.ts'

export interface InMemoryOptions {
  /** Upper bounds of the latency buckets, ascending, ms. Default: the 40 of gRFC A66, 10 µs to 100 s. */
  readonly bucketsMs?: readonly number[]
  /** How many methods are told apart before the rest are `other`. Default: 1000. */
  readonly maxMethods?: number
}

export interface InMemoryRecorder extends Recorder {
  /**
   * The figures as they are now. The snapshot does not change later.
   * @throws TypeError for a filter that does not exist or has a wrong value.
   */
  snapshot(filter?: SnapshotFilter): MetricsSnapshot
}

const options = {
  bucketsMs: bucketBounds.default(latencyBoundsMs),
  maxMethods,
} satisfies OptionTable<InMemoryOptions>

const filters = {
  side: oneOf('client', 'server').optional(),
  per: oneOf('call', 'attempt').default('call'),
} satisfies OptionTable<SnapshotFilter>

/**
 * Keeps figures in this process, for a status page, a test, or an endpoint of your own.
 *
 *     const recorder = inMemory()
 *     const server = createServer({ interceptors: [metrics({ recorder })] })
 *     recorder.snapshot().requests['/shop.v1.Cart/Get']
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function inMemory(given: InMemoryOptions = {}): InMemoryRecorder {
  const { bucketsMs, maxMethods } = readOptions('inMemory', given, options, { show: quoted })
  const table = new MethodTable(maxMethods, false, (method) => new MethodSeries(method, bucketsMs))
  return {
    method: (method: MeasuredMethod) => table.get(method),
    snapshot(filter = {}) {
      const { side, per } = readOptions('snapshot', filter, filters, { show: quoted })
      return snapshotOf(
        [...table.values()].filter(({ method }) => method.per === per && (side ?? method.side) === method.side),
      )
    },
  }
}
