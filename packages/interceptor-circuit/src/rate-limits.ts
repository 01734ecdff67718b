import type { RateOptions, WindowCounts } from './failure-window.ts'
import { checkNumber } from './option-checks.ts'

/** `RateOptions`, checked and complete. */
export interface RateLimits {
  readonly failureRate: number
  readonly minCalls: number
  readonly slowMs: number | undefined
  readonly slowRate: number
}

export const RATE_OPTIONS: readonly string[] = ['failureRate', 'minCalls', 'slowMs', 'slowRate']

const isRate = (n: number): boolean => n > 0 && n <= 1

export function readRates(where: string, options: RateOptions, defaultMinCalls: number): RateLimits {
  const { failureRate = 0.5, minCalls = defaultMinCalls, slowMs, slowRate = 1 } = options
  checkNumber(where, 'failureRate', failureRate, 'a number above 0, at most 1', isRate)
  checkNumber(where, 'minCalls', minCalls, 'an integer ≥ 1', (n) => Number.isInteger(n) && n >= 1)
  checkNumber(where, 'slowRate', slowRate, 'a number above 0, at most 1', isRate)
  if (slowMs !== undefined) checkNumber(where, 'slowMs', slowMs, 'a number of milliseconds ≥ 0', (n) => n >= 0)
  return { failureRate, minCalls, slowMs, slowRate }
}

export function exceeds(limits: RateLimits, { calls, failures, slow }: WindowCounts): boolean {
  if (calls < limits.minCalls) return false
  return failures >= limits.failureRate * calls || (limits.slowMs !== undefined && slow >= limits.slowRate * calls)
}
