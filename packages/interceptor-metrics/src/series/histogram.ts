/**
 * Latency buckets of gRFC A66, in milliseconds: fine enough at both ends that percentiles read from them are good to a few
 * percent from 10 µs to 100 s.
 */
export const latencyBoundsMs: readonly number[] = [
  0.01, 0.05, 0.1, 0.3, 0.6, 0.8, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 250,
  300, 400, 500, 650, 800, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000,
]

/** Counts observations in buckets. Observing is a binary search and three additions; nothing is allocated. */
export class Histogram {
  /** Upper bounds, inclusive, ascending. */
  readonly bounds: readonly number[]
  /** Per bucket, not cumulative; one more than there are bounds, for what is above the last. */
  readonly counts: Float64Array
  count = 0
  sum = 0
  min: number = Number.POSITIVE_INFINITY
  max: number = Number.NEGATIVE_INFINITY

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  /** @returns the index of the bucket the value went to */
  observe(value: number): number {
    const bucket = bucketOf(this.bounds, value)
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.count++
    this.sum += value
    if (value < this.min) this.min = value
    if (value > this.max) this.max = value
    return bucket
  }

  add(other: Histogram): void {
    for (const [i, count] of other.counts.entries()) this.counts[i] = (this.counts[i] ?? 0) + count
    this.count += other.count
    this.sum += other.sum
    this.min = Math.min(this.min, other.min)
    this.max = Math.max(this.max, other.max)
  }

  /**
   * The value below which this share of the observations lies, as Prometheus's `histogram_quantile` estimates it: evenly
   * spread within a bucket, but never outside of what was observed. NaN without observations.
   * @param share from 0 to 1
   */
  percentile(share: number): number {
    if (this.count === 0) return Number.NaN
    const rank = share * this.count
    let below = 0
    let i = 0
    for (; i < this.bounds.length; i++) {
      const count = this.counts[i] ?? 0
      if (count > 0 && below + count >= rank) break
      below += count
    }
    const lower = Math.max(this.bounds[i - 1] ?? 0, this.min)
    const upper = Math.min(this.bounds[i] ?? this.max, this.max)
    const within = this.counts[i] ?? 0
    const position = within === 0 ? 1 : (rank - below) / within
    return Math.min(upper, lower + (upper - lower) * Math.max(0, position))
  }
}

function bucketOf(bounds: readonly number[], value: number): number {
  let low = 0
  let high = bounds.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (value <= (bounds[middle] as number)) high = middle
    else low = middle + 1
  }
  return low
}
