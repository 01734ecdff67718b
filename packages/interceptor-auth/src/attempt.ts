import type { ServerCall } from '@grpc-stack/grpc-core'
import type { FailureLimit } from './failure-limit.ts'
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
    else if (refusal === 'unavailable' || refusal === 'rubbish') this.#unsure = true
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

/** The credentials of one call under `failureLimit`. */
export class Attempts {
  readonly #limit: FailureLimit
  readonly #call: ServerCall
  readonly #held = new Map<string, Attempt>()
  #key: string | undefined

  constructor(limit: FailureLimit, call: ServerCall) {
    this.#limit = limit
    this.#call = call
  }

  enter(digest: string): Attempt | 'limited' | 'full' {
    const held = this.#held.get(digest)
    if (held !== undefined) return held
    const key = this.#ownKey()
    let entered = this.#limit.enter(key, digest)
    if (entered === 'full' && this.#held.size > 0) {
      // Calls that wait while they hold would wait for each other.
      this.close()
      entered = this.#limit.enter(key, digest)
    }
    if (typeof entered === 'object') this.#held.set(digest, entered)
    return entered
  }

  wait(wake: () => void): () => void {
    return this.#limit.wait(this.#ownKey(), wake)
  }

  /** The call brings a credential that no verifier has to be asked about. */
  malformed(): void {
    this.#limit.failed(this.#ownKey())
  }

  close(): void {
    for (const attempt of this.#held.values()) attempt.close()
    this.#held.clear()
  }

  #ownKey(): string {
    this.#key ??= this.#limit.keyOf(this.#call)
    return this.#key
  }
}
