/** A call that reached its deadline had too little time to judge the server unless it had this many times the usual time. */
export const USUAL_TIMES = 4

/** Calls to compare with, below which nothing is known. As many as `timeWindow()` wants before it opens. */
const MIN_SAMPLES = 20
/** What a group of calls weighs at most, so that it follows a server that becomes slower or faster. */
const MAX_WEIGHT = 100
/** A group of calls that has not come for this long, while others came, is left out. */
const STALE_MS = 600_000
/** Groups by budget: 1 to 2 ms, 2 to 4 ms, and so on; the last is that of calls without a deadline. */
const GROUPS = 24

/**
 * How long one method usually takes, and so which calls that reached their deadline say something about the server.
 *
 * Callers choose deadlines. If a deadline counted as a failure whatever time the call had, callers with short ones could
 * open the circuit of a healthy server for all others. So a call is compared with calls that had at least about as much time
 * as itself: of these, the mean time to the answer, where those that reached their deadline count with the time they had.
 * By Markov's inequality, at most one in `USUAL_TIMES` of them takes `USUAL_TIMES` times as long, whatever their
 * distribution. Calls with less time are not looked at: however many there are, they do not make the usual time look short.
 *
 *     ended with                                                          then
 *     ──────────────────────────────────────────────────────────────────  ─────────────────────────────────
 *     OK                                                                  its time is noted
 *     its deadline, and it had over 4 × the usual time                    a failure; not noted, or an outage would become usual
 *     its deadline otherwise, or fewer than 20 calls to compare with      nothing; the time it had is noted
 */
export class AnswerTimes {
  readonly #weights = new Float64Array(GROUPS)
  readonly #means = new Float64Array(GROUPS)
  readonly #notedMs = new Float64Array(GROUPS)
  #latestMs = Number.NEGATIVE_INFINITY

  /** Notes a call that was answered after `tookMs`, or had `tookMs` until its deadline. */
  note(budgetMs: number, tookMs: number, nowMs: number): void {
    const group = groupOf(budgetMs)
    const weight = Math.min(MAX_WEIGHT, (this.#weights[group] ?? 0) + 1)
    const mean = this.#means[group] ?? 0
    this.#weights[group] = weight
    this.#means[group] = mean + (tookMs - mean) / weight
    this.#notedMs[group] = nowMs
    this.#latestMs = nowMs
  }

  /** Mean time of calls that had at least about this much, ms; undefined while too few are known. */
  usualMs(budgetMs: number): number | undefined {
    let [weights, sum] = [0, 0]
    for (let group = groupOf(budgetMs); group < GROUPS; group++) {
      const weight = this.#weights[group] ?? 0
      if (this.#latestMs - (this.#notedMs[group] ?? 0) > STALE_MS) continue
      weights += weight
      sum += weight * (this.#means[group] ?? 0)
    }
    return weights < MIN_SAMPLES ? undefined : sum / weights
  }

  /** Whether a call with this much time should have been answered in it. */
  sufficed(budgetMs: number): boolean {
    const usual = this.usualMs(budgetMs)
    return usual !== undefined && budgetMs > USUAL_TIMES * usual
  }
}

function groupOf(budgetMs: number): number {
  return budgetMs < 1 ? 0 : Math.min(GROUPS - 1, Math.floor(Math.log2(budgetMs)))
}
