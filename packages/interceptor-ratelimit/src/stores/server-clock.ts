/** How long the best answer is kept. Clocks are corrected by some milliseconds in a minute at most. */
const WINDOW_MS = 10_000

/**
 * What the clock of a server shows, from the times that its answers carry. An answer is read some time after the server looked
 * at its clock, so each tells how late it is there at least; the one that travelled fastest is the best.
 */
export class ServerClock {
  /** The server's clock less ours, in µs: the largest that was seen, of this window and of the one before. */
  #aheadUs = Number.NEGATIVE_INFINITY
  #aheadBeforeUs = Number.NEGATIVE_INFINITY
  #windowEndMs = 0

  /** @param serverUs what an answer says, read at `nowMs` of our monotonic clock */
  heard(serverUs: number, nowMs: number): void {
    if (nowMs >= this.#windowEndMs) {
      const recent = nowMs < this.#windowEndMs + WINDOW_MS
      this.#aheadBeforeUs = recent ? this.#aheadUs : Number.NEGATIVE_INFINITY
      this.#aheadUs = Number.NEGATIVE_INFINITY
      this.#windowEndMs = nowMs + WINDOW_MS
    }
    this.#aheadUs = Math.max(this.#aheadUs, Math.floor(serverUs - nowMs * 1000))
  }

  /**
   * The latest that the server may decide for its answer to be here at `ms`, in µs by its clock; 0 if nothing was heard of it.
   */
  deadlineUs(ms: number): number {
    const aheadUs = Math.max(this.#aheadUs, this.#aheadBeforeUs)
    return Number.isFinite(aheadUs) ? Math.floor(ms * 1000 + aheadUs) : 0
  }
}
