import type { ReplayPool } from '@grpc-stack/grpc-core'

/** Whether retries are affordable. What happens to the calls is told to it, once per event. */
export interface Allowance {
  /** A call begins. */
  started(): void
  /** A call ended OK. */
  succeeded(): void
  /** An attempt failed in a way that says the server is in trouble. */
  failed(): void
  /** Whether one more attempt is affordable; if so, it is spent. */
  spend(): boolean
  /** Room for the request bytes the calls keep for replay. Default: each call its own. */
  readonly buffer?: ReplayPool
}

/**
 * gRFC A6 "Throttling Retry Attempts and Hedged RPCs": each failure takes a token, each success gives back a fraction of
 * one, and there are retries only while more than half of the tokens are left. Counts in thousandths, because the
 * fraction is defined to three decimals and sums of decimals drift.
 */
export class TokenBucket implements Allowance {
  readonly #max: number
  readonly #refill: number
  #level: number

  constructor(maxTokens: number, tokenRatio: number) {
    this.#max = Math.floor(maxTokens * 1000)
    this.#refill = truncateToThousandths(tokenRatio)
    this.#level = this.#max
  }

  get tokens(): number {
    return this.#level / 1000
  }

  get maxTokens(): number {
    return this.#max / 1000
  }

  started(): void {}

  succeeded(): void {
    this.#level = Math.min(this.#level + this.#refill, this.#max)
  }

  failed(): void {
    this.#level = Math.max(this.#level - 1000, 0)
  }

  spend(): boolean {
    return this.#level > this.#max / 2
  }
}

/** A6: decimals beyond the third are ignored. Not by multiplication alone: 1.001 × 1000 is 1000.9999… */
function truncateToThousandths(ratio: number): number {
  return Math.floor(Number((ratio * 1000).toPrecision(12)))
}
