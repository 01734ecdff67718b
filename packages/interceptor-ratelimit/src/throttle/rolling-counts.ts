const BUCKETS = 60

/** What became of a request. */
export type RequestEnd = 'accepted' | 'rejected' | 'heldBack'

/**
 * Requests, and those of them that were accepted and rejected, over the last so many milliseconds, forgotten in sixtieths of
 * it. O(1) in time and memory.
 */
export class RollingCounts {
  requests = 0
  accepts = 0
  rejections = 0
  readonly #bucketMs: number
  readonly #requests = new Float64Array(BUCKETS)
  readonly #accepts = new Float64Array(BUCKETS)
  readonly #rejections = new Float64Array(BUCKETS)
  /** Number of the current bucket, counted since the zero of the clock. */
  #current = Number.NEGATIVE_INFINITY

  constructor(windowMs: number) {
    this.#bucketMs = windowMs / BUCKETS
  }

  /** Forgets what is older than the window. */
  advance(nowMs: number): void {
    const bucket = Math.floor(nowMs / this.#bucketMs)
    // A clock that went backwards goes on counting in the bucket it had.
    const passed = Math.min(BUCKETS, bucket - this.#current)
    if (passed <= 0) return
    for (let i = 0; i < passed; i++) {
      const index = slot(bucket - i)
      this.requests -= this.#requests[index] as number
      this.accepts -= this.#accepts[index] as number
      this.rejections -= this.#rejections[index] as number
      this.#requests[index] = 0
      this.#accepts[index] = 0
      this.#rejections[index] = 0
    }
    this.#current = bucket
  }

  add(nowMs: number, end: RequestEnd): void {
    this.advance(nowMs)
    const index = slot(this.#current)
    this.requests++
    this.#requests[index] = (this.#requests[index] as number) + 1
    if (end === 'accepted') {
      this.accepts++
      this.#accepts[index] = (this.#accepts[index] as number) + 1
    } else if (end === 'rejected') {
      this.rejections++
      this.#rejections[index] = (this.#rejections[index] as number) + 1
    }
  }
}

function slot(bucket: number): number {
  return ((bucket % BUCKETS) + BUCKETS) % BUCKETS
}
