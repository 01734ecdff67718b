const MINUTE_MS = 60_000

/** Lets one report of a kind through in a minute, and counts the others for the next one to tell. */
export class OnceAMinute {
  #last: number | undefined
  #more = 0

  /** A sentence on the reports left out since the last one, maybe empty, to end this one with; undefined if this one is left out. */
  admit(): string | undefined {
    const now = performance.now()
    if (this.#last !== undefined && now - this.#last < MINUTE_MS) {
      this.#more++
      return undefined
    }
    const more = this.#more === 0 ? '' : ` ${this.#more} more went unreported since the last report.`
    this.#last = now
    this.#more = 0
    return more
  }
}
