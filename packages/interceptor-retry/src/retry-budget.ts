import {
  bytes,
  type MonotonicTime,
  milliseconds,
  monotonicTime,
  number,
  type OptionsOf,
  type OptionTable,
  quoted,
  readOptions,
} from '@grpc-stack/grpc-core/authoring'
import { ByteBound } from './byte-bound.ts'
import { RatioBudget } from './ratio-budget.ts'
import { type Allowance, TokenBucket } from './token-bucket.ts'

/** Retries as a share of calls in a sliding window. */
export interface RatioBudgetOptions {
  /** Retries per call. Default 0.2: an outage adds at most a fifth to the load. */
  readonly ratio?: number
  /**
   * Retries per second that are free, so that a quiet client can retry too. Default 1. Each process has them: with ten, a fleet
   * of a thousand quiet clients would send three times its calls to a server that is down, whatever `ratio` says.
   */
  readonly minRetriesPerSecond?: number
  /** Length of the window, ms. Default 10 000. */
  readonly windowMs?: number
  /** Request bytes all calls of this budget together keep for replay. Default 16 MiB, as in grpc-js and grpc-java. */
  readonly maxBufferedBytes?: number
  /** Default: monotonic time. */
  readonly clock?: MonotonicTime
}

/** The token bucket of gRFC A6, `retryThrottling` in a service config. */
export interface TokenBudgetOptions {
  /** Above 0, at most 1000. A failure takes one token; retries stop at half. */
  readonly maxTokens: number
  /** Tokens a success gives back. Above 0; decimals after the third are ignored. */
  readonly tokenRatio: number
  /** As in `RatioBudgetOptions`. */
  readonly maxBufferedBytes?: number
}

const share = number({ min: 0 })
const maxBufferedBytes = bytes({ min: 0, infinite: true })
  .default(16 * 1024 * 1024)
  .refusingUndefined('leave it out to keep up to 16 MiB')

const ratioTable = {
  ratio: share.default(0.2).refusingUndefined('leave it out for a fifth of the calls'),
  minRetriesPerSecond: share.default(1).refusingUndefined('leave it out for 1 per second'),
  windowMs: milliseconds({ above: 0 }).default(10_000).refusingUndefined('leave it out for 10 seconds'),
  maxBufferedBytes,
  clock: monotonicTime(),
} satisfies OptionTable<RatioBudgetOptions>

const tokenTable = {
  maxTokens: number({ above: 0, max: 1000 }).expecting('a number above 0 and at most 1000'),
  tokenRatio: number({ above: 0, infinite: true }).expecting('a number above 0'),
  maxBufferedBytes,
} satisfies OptionTable<TokenBudgetOptions>

/**
 * What all calls that share it may spend on retries together, so that retries cannot multiply the load of a server
 * that is failing. Never makes anything wait: without budget the last status is returned at once.
 *
 *     new RetryBudget()                                     // 20 % of calls plus 1 per second
 *     new RetryBudget({ ratio: 0.1, minRetriesPerSecond: 1 })
 *     new RetryBudget({ maxTokens: 10, tokenRatio: 0.1 })   // gRFC A6
 *
 * @throws TypeError for an option that is unknown or out of range.
 */
export class RetryBudget implements Allowance {
  readonly #allowance: TokenBucket | RatioBudget
  readonly buffer: ByteBound

  constructor(options: RatioBudgetOptions | TokenBudgetOptions = {}) {
    const where = 'RetryBudget'
    const tokens =
      typeof options === 'object' && options !== null && ('maxTokens' in options || 'tokenRatio' in options)
    if (tokens) {
      const read = readOptions(where, options, tokenTable, { show: quoted })
      this.#allowance = new TokenBucket(read.maxTokens, read.tokenRatio)
      this.buffer = new ByteBound(read.maxBufferedBytes)
      return
    }
    const read = readOptions(where, options, ratioTable, { show: quoted })
    this.#allowance = ratioBudget(read)
    this.buffer = new ByteBound(read.maxBufferedBytes)
  }

  /** Retries that are affordable now. With a token bucket: tokens above the half at which retries stop. */
  get available(): number {
    const allowance = this.#allowance
    return allowance instanceof TokenBucket
      ? Math.max(0, allowance.tokens - allowance.maxTokens / 2)
      : allowance.retriesLeft
  }

  started(): void {
    this.#allowance.started()
  }

  succeeded(): void {
    this.#allowance.succeeded()
  }

  failed(): void {
    this.#allowance.failed()
  }

  spend(): boolean {
    return this.#allowance.spend()
  }
}

function ratioBudget({ ratio, minRetriesPerSecond, windowMs, clock }: OptionsOf<typeof ratioTable>): RatioBudget {
  return new RatioBudget(ratio, minRetriesPerSecond, windowMs, clock)
}
