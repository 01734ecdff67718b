export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of the mean of some values. */
export function standardError(values: readonly number[]): number {
  if (values.length < 2) return 0
  const middle = mean(values)
  const variance = values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1)
  return Math.sqrt(variance / values.length)
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? 0
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2
}

/** Student's t for 95 % on both sides, by degrees of freedom from 1. */
const T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228]

/** The 95 % interval of the mean, by Student's t. Undefined for a single value, which says nothing. */
export function interval(values: readonly number[]): readonly [number, number] | undefined {
  const freedom = values.length - 1
  if (freedom < 1) return undefined
  // Beyond the table: the first terms of the expansion in 1/freedom, right to the second decimal.
  const t = T[freedom - 1] ?? 1.96 + 2.372 / freedom + 2.823 / freedom ** 2
  const half = t * standardError(values)
  const middle = mean(values)
  return [middle - half, middle + half]
}
