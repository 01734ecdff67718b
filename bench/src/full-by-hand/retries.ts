import { status as Code, type Metadata } from '@grpc/grpc-js'

const MOST_ATTEMPTS = 3
const WINDOW_MS = 10_000
const RATIO = 0.2
const FREE_IN_WINDOW = 10

/** Retries of UNAVAILABLE by the rules of gRFC A6, no more than a fifth of the calls of ten seconds and one each second. */
export class Retries {
  #calls = 0
  #retries = 0
  #since = performance.now()

  /** A call begins. */
  started(): void {
    this.#renew()
    this.#calls++
  }

  /**
   * How long to wait for another attempt, ms; undefined: there is none.
   * @param attempts made
   * @param deadline of the call, epoch milliseconds
   */
  waitMs(code: Code, trailers: Metadata | undefined, attempts: number, deadline: number): number | undefined {
    if (code !== Code.UNAVAILABLE || attempts >= MOST_ATTEMPTS) return undefined
    const pushback = trailers?.get('grpc-retry-pushback-ms') ?? []
    // A value that is no number of milliseconds means: not again.
    if (pushback.length > 1 || (pushback.length === 1 && !/^\d{1,9}$/.test(String(pushback[0])))) return undefined
    const waitMs =
      pushback.length === 1 ? Number(pushback[0]) : Math.random() * Math.min(5000, 100 * 2 ** (attempts - 1))
    if (Date.now() + waitMs >= deadline) return undefined
    this.#renew()
    if (this.#retries >= FREE_IN_WINDOW + RATIO * this.#calls) return undefined
    this.#retries++
    return waitMs
  }

  #renew(): void {
    const now = performance.now()
    if (now - this.#since < WINDOW_MS) return
    this.#calls = this.#retries = 0
    this.#since = now
  }
}
