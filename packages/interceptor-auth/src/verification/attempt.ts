import type { Outcome } from './outcome.ts'

/**
 * What came of a credential: `doubtful` where one verifier refused it and another could not answer, `unknown` where none said
 * anything about it.
 */
export type Result = 'valid' | 'refused' | 'doubtful' | 'unknown'

/**
 * A credential of a call under `failureLimit`. It counts once, however many authenticators look at it, when its call is done
 * with it and all verifications that were begun for it have ended: a guess that is cancelled is a guess.
 */
export class Attempt {
  readonly #settled: (result: Result) => void
  #underWay = 0
  #closed = false
  #valid = false
  #refused = false
  #unsure = false

  constructor(settled: (result: Result) => void) {
    this.#settled = settled
  }

  /** A verification has begun that only this credential is the reason for. */
  begins(): void {
    this.#underWay++
  }

  ends(outcome: Outcome): void {
    this.#underWay--
    this.hears(outcome)
    this.#settle()
  }

  hears(outcome: Outcome): void {
    if (outcome.principal !== undefined) {
      this.#valid = true
      return
    }
    const { refusal } = outcome
    if (refusal === 'invalid' || refusal === 'denied') this.#refused = true
    else if (refusal === 'unavailable' || refusal === 'internal') this.#unsure = true
  }

  /** No further authenticator of this call looks at it. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#settle()
  }

  #settle(): void {
    if (!this.#closed || this.#underWay > 0) return
    if (this.#valid) this.#settled('valid')
    else if (this.#refused) this.#settled(this.#unsure ? 'doubtful' : 'refused')
    else this.#settled('unknown')
  }
}
