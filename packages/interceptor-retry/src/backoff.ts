/** How long to wait before a retry, without chance. */
export interface BackoffPolicy {
  readonly initialBackoffMs: number
  readonly maxBackoffMs: number
  readonly backoffMultiplier: number
}

/**
 * How chance spreads the waits of many clients:
 *
 * - `full`: anywhere from 0 to the backoff, the widest spread and the least load in a storm;
 * - `proportional`: the backoff ± 20 %, as gRFC A6 defines it, the cap included;
 * - `none`: exactly the backoff.
 */
export type Jitter = 'full' | 'proportional' | 'none'

/** The wait before retry `n` (the first is 1), before jitter: `min(initial × multiplier^(n-1), max)`. */
export function backoffMs(policy: BackoffPolicy, n: number): number {
  const { initialBackoffMs, maxBackoffMs, backoffMultiplier } = policy
  if (initialBackoffMs === 0) return 0 // 0 × Infinity is NaN
  return Math.min(initialBackoffMs * backoffMultiplier ** (n - 1), maxBackoffMs)
}

/** @param random returns a number from 0 to 1 */
export function jittered(ms: number, jitter: Jitter, random: () => number): number {
  if (jitter === 'full') return ms * random()
  if (jitter === 'proportional') return ms * (0.8 + 0.4 * random())
  return ms
}
