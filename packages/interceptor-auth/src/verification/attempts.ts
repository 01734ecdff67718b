import type { ServerCall } from '@grpc-stack/grpc-core'
import type { Attempt } from './attempt.ts'
import type { FailureLimit } from './failure-limit.ts'

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
