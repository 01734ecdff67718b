/**
 * GCRA as the standard gives it (ITU-T I.371, virtual scheduling: a theoretical arrival time per key), in integers of
 * any size. Deliberately another formulation than the one under test.
 */
export class ExactGcra {
  readonly #rate: bigint
  readonly #perUs: bigint
  readonly #burst: bigint
  readonly #arrival = new Map<string, bigint>()

  /** @param rate whole calls per period, @param perUs the period, @param burst whole calls */
  constructor(rate: number, perUs: number, burst: number) {
    this.#rate = BigInt(rate)
    this.#perUs = BigInt(perUs)
    this.#burst = BigInt(burst)
  }

  /** Times are scaled by the rate, so that the emission interval, period ÷ rate, is whole. */
  take(key: string, cost: number, nowUs: number): boolean {
    if (!this.wouldAdmit(key, cost, nowUs)) return false
    if (cost > 0) this.#arrival.set(key, this.#earliest(key, nowUs) + BigInt(cost) * this.#perUs)
    return true
  }

  wouldAdmit(key: string, cost: number, nowUs: number): boolean {
    const tolerance = this.#burst * this.#perUs
    return this.#earliest(key, nowUs) + BigInt(cost) * this.#perUs - tolerance <= BigInt(nowUs) * this.#rate
  }

  /** The first microsecond at which this cost is admitted, if nothing else is meanwhile. */
  admittedFrom(key: string, cost: number): number {
    const scaled = (this.#arrival.get(key) ?? 0n) + BigInt(cost) * this.#perUs - this.#burst * this.#perUs
    return scaled <= 0n ? 0 : Number((scaled + this.#rate - 1n) / this.#rate)
  }

  /** Calls of cost 1 that fit into any span: burst + rate × span ÷ period, rounded down. */
  bound(spanUs: number): number {
    return Number(this.#burst + (this.#rate * BigInt(spanUs)) / this.#perUs)
  }

  #earliest(key: string, nowUs: number): bigint {
    const now = BigInt(nowUs) * this.#rate
    const arrival = this.#arrival.get(key) ?? 0n
    return arrival > now ? arrival : now
  }
}
