/** Attempts made, and those of them that were hedges. */
export interface Attempted {
  readonly begun: number
  readonly hedges: number
}

const NONE: Attempted = { begun: 0, hedges: 0 }

/**
 * The attempts of one call, those that interceptor objects inside of it made included. An attempt counts when its RPC is begun on
 * the channel: a refusal by an interceptor further in is none. It is a hedge if another attempt of the same run of an interceptor object
 * was running when it began; without an interceptor object there is one at a time.
 *
 *     call ── AttemptCount ◀── Siblings of its interceptor object ◀── AttemptCount of the call of each continuation
 */
export class AttemptCount implements Attempted {
  begun = 0
  hedges = 0
  readonly #among: Siblings | undefined
  /** By the index of an interceptor: what had been counted when it called `next()` last. Absent: nothing. */
  #before: Attempted[] | undefined

  /** @param among the attempts of the interceptor object whose continuation made the call */
  constructor(among: Siblings | undefined) {
    this.#among = among
  }

  /** An RPC begins. Returns its number among all attempts of the application's call, from 1 on. */
  begin(): number {
    let outermost: AttemptCount = this
    this.begun++
    for (let among = this.#among; among !== undefined; among = outermost.#among) {
      outermost = among.of
      outermost.begun++
      if (among.running++ > 0) outermost.hedges++
    }
    return outermost.begun
  }

  /** An RPC that was begun has ended, or the call goes on without it. */
  end(): void {
    for (let among = this.#among; among !== undefined; among = among.of.#among) among.running--
  }

  /** Several attempts were made and counted as one: another stack of this library stands between this one and the channel. */
  add(begun: number, hedges: number): void {
    this.begun += begun
    this.hedges += hedges
    this.#among?.of.add(begun, hedges)
  }

  /** The interceptor at this index calls `next()`. */
  proceeds(index: number): void {
    if (this.begun === 0) return
    this.#before ??= []
    this.#before[index] = { begun: this.begun, hedges: this.hedges }
  }

  /** What was attempted since the interceptor at this index called `next()` last; for -1, in the whole call. */
  since(index: number): Attempted {
    const { begun, hedges } = this.#before?.[index] ?? NONE
    return { begun: this.begun - begun, hedges: this.hedges - hedges }
  }
}

/** What the calls that one run of an interceptor object makes have in common. */
export class Siblings {
  /** Of the call around the object. */
  readonly of: AttemptCount
  /** Attempts that are running. */
  running = 0

  constructor(of: AttemptCount) {
    this.of = of
  }
}
