import { func, invalidOption, milliseconds, number, type OptionKind } from '@grpc-stack/grpc-core/authoring'
import { type Quota, quotaOf } from './gcra.ts'

export interface QuotaOptions {
  readonly rate: number
  readonly perMs?: number
  readonly burst?: number
}

/** What everything with a rate reads. */
export const quotaOptions: {
  readonly rate: OptionKind<number>
  readonly perMs: OptionKind<number>
  readonly burst: OptionKind<number | undefined>
} = {
  rate: number({ above: 0 }),
  perMs: milliseconds({ above: 0 }).default(1000).refusingUndefined('leave it out for a period of one second'),
  burst: number({ min: 1 }).optional().refusingUndefined('leave it out for a burst as large as the rate'),
}

export function costOption<F extends (...args: never[]) => number>(): OptionKind<number | F> {
  return func<F>()
    .or(number({ min: 0 }))
    .default(1)
    .refusingUndefined('leave it out for a cost of 1')
}

/** A fixed cost that can be paid. */
export function checkCost<F>(where: string, cost: number | F, burst: number): number | F {
  if (typeof cost !== 'number' || cost <= burst) return cost
  throw invalidOption(where, 'cost', `a function or a number from 0 to the burst, ${burst}`, cost)
}

interface ReadQuota {
  readonly rate: number
  readonly perMs: number
  readonly burst: number | undefined
}

/** The numbers of a limit, read, with what is counted. */
export function resolveQuota(where: string, read: ReadQuota): Required<QuotaOptions> & { quota: Quota } {
  const { rate, perMs, burst = Math.max(1, rate) } = read
  const quota = quotaOf(rate, perMs, burst)
  if (quota === undefined) {
    throw new TypeError(
      `${where}: options "rate" ${rate}, "perMs" ${perMs} and "burst" ${burst} cannot be counted exactly`,
    )
  }
  return { rate, perMs, burst, quota }
}

/** The same for the same numbers, in every process. */
export function nameOf({ rate, perMs, burst }: Required<QuotaOptions>): string {
  const numbers = `${rate}/${perMs}ms`
  return burst === Math.max(1, rate) ? numbers : `${numbers}:${burst}`
}
