// The generic cell rate algorithm (ITU-T I.371), in its form as a leaky bucket: each key owes what it was admitted for,
// the debt leaks away at the rate of the limit, and a call is admitted if the debt with it does not exceed the burst.
//
// All of it in whole numbers. Time is in microseconds; debt is in units chosen per quota so that both what leaks in
// one microsecond and what a call costs are whole. Every sum below stays under 2^53, where doubles are exact, so what
// is admitted never exceeds the bound by a rounding error, and the Redis script, whose numbers are doubles too, comes
// to the same decisions.

/** A limit in whole numbers. */
export interface Quota {
  /** Units of debt that leak away in a microsecond. */
  readonly leakPerUs: number
  /** Units a call of cost 1 adds. */
  readonly unitsPerCall: number
  /** The largest debt: the burst, in units. */
  readonly capacity: number
}

const LARGEST = 2 ** 52
const FINEST_LEAK = 1e4 // where numbers have to shrink, the rate keeps four digits

/**
 * `rate` calls per `perMs`, `burst` of them at once. Where the numbers do not come out whole, the quota is a hair
 * stricter than asked for.
 * @returns undefined if burst and period are too large to count exactly
 */
export function quotaOf(rate: number, perMs: number, burst: number): Quota | undefined {
  const scale = wholeScale(rate)
  let leak = Math.floor(rate * scale + 1e-9)
  let cost = Math.ceil(perMs * 1000) * scale
  const divisor = greatestCommonDivisor(leak, cost)
  leak /= divisor
  cost /= divisor
  while (burst * cost > LARGEST) {
    if (leak / 2 < FINEST_LEAK) return undefined
    leak = Math.floor(leak / 2)
    cost = Math.ceil(cost / 2)
  }
  const capacity = Math.floor(burst * cost)
  return leak >= 1 && capacity >= 1 ? { leakPerUs: leak, unitsPerCall: cost, capacity } : undefined
}

/** What is left of a debt. A clock that went backwards neither forgives nor blocks anything. */
export function debtAt(quota: Quota, debt: number, lastUs: number, nowUs: number): number {
  const elapsed = nowUs - lastUs
  if (elapsed <= 0) return debt
  const leaked = elapsed * quota.leakPerUs
  return leaked >= debt ? 0 : debt - leaked
}

/** A cost in units; `Infinity` if it never fits. */
export function unitsOf(quota: Quota, cost: number): number {
  const units = cost === 1 ? quota.unitsPerCall : Math.ceil(cost * quota.unitsPerCall)
  return units > quota.capacity ? Number.POSITIVE_INFINITY : units
}

/** Whole milliseconds until so many units fit: 0 if they fit now, `Infinity` if they never do. Waiting that long is enough. */
export function waitMs(quota: Quota, debt: number, units: number): number {
  const excess = debt + units - quota.capacity
  if (excess <= 0) return 0
  if (excess > debt) return Number.POSITIVE_INFINITY
  return leakMs(quota, excess)
}

/** Whole milliseconds until nothing is owed. */
export function resetMs(quota: Quota, debt: number): number {
  return debt <= 0 ? 0 : leakMs(quota, debt)
}

/** How many calls of cost 1 fit now. */
export function remaining(quota: Quota, debt: number): number {
  return Math.max(0, Math.floor((quota.capacity - debt) / quota.unitsPerCall))
}

function leakMs(quota: Quota, units: number): number {
  // The quotient is not rounded down to a whole number: under 2^53 the nearest fraction above one is farther away than that.
  return Math.ceil(Math.ceil(units / quota.leakPerUs) / 1000)
}

/** The power of ten that makes a rate such as 0.5 whole; one that has no such power is cut after six decimals. */
function wholeScale(rate: number): number {
  for (let scale = 1; scale < 1e6; scale *= 10) {
    if (Math.abs(rate * scale - Math.round(rate * scale)) < 1e-9) return scale
  }
  return 1e6
}

function greatestCommonDivisor(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return x || 1
}
