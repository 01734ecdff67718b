import { integer, milliseconds, number, type OptionKind } from '@grpc-stack/grpc-core/authoring'
import type { WindowCounts } from './failure-window.ts'

/** `RateOptions`, checked and complete. */
export interface RateLimits {
  readonly failureRate: number
  readonly minCalls: number
  readonly slowMs: number | undefined
  readonly slowRate: number
}

const rate = number({ above: 0, max: 1 })

/** What both windows read beside their size. */
export const rateOptions: {
  readonly failureRate: OptionKind<number>
  readonly minCalls: OptionKind<number | undefined>
  readonly slowMs: OptionKind<number | undefined>
  readonly slowRate: OptionKind<number>
} = {
  failureRate: rate.default(0.5),
  minCalls: integer({ min: 1 }).optional(),
  slowMs: milliseconds().optional(),
  slowRate: rate.default(1),
}

export function exceeds(limits: RateLimits, { calls, failures, slow }: WindowCounts): boolean {
  if (calls < limits.minCalls) return false
  return failures >= limits.failureRate * calls || (limits.slowMs !== undefined && slow >= limits.slowRate * calls)
}
