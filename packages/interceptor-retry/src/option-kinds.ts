import { status as Code } from '@grpc/grpc-js'
import { accepts, LONGEST_TIMEOUT_MS, milliseconds, type OptionKind } from '@grpc-stack/grpc-core/authoring'
import type { Allowance } from './token-bucket.ts'

/** A wait that one timer can take. */
export const wait: OptionKind<number> = milliseconds({ min: 0, max: LONGEST_TIMEOUT_MS }).expecting(
  'a number of milliseconds ≥ 0',
)

/** A budget, or none. */
export const budget: OptionKind<Allowance | false> = accepts(
  'a RetryBudget or false',
  (value): value is Allowance | false => value === false || isAllowance(value),
)

/** Codes of failures. */
export function errorCodes(expected: string, min: number): OptionKind<readonly Code[]> {
  return accepts(expected, (value): value is readonly Code[] => {
    return Array.isArray(value) && value.length >= min && value.every(isErrorCode)
  })
}

function isErrorCode(code: unknown): boolean {
  return typeof code === 'number' && code !== Code.OK && typeof Code[code] === 'string'
}

function isAllowance(value: unknown): value is Allowance {
  if (typeof value !== 'object' || value === null) return false
  const allowance = value as Record<string, unknown>
  return ['started', 'succeeded', 'failed', 'spend'].every((name) => typeof allowance[name] === 'function')
}
