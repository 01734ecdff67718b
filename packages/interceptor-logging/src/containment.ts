import type { Call } from '@grpc-stack/grpc-core'
import { credentialScrubber } from '@grpc-stack/grpc-core/authoring'
import { cleanText } from './clean-text.ts'

const LONGEST_WARNING = 1024

/**
 * Runs what others wrote so that nothing it does reaches the RPC, and counts its failures. The first of them is made
 * public: a logger that fails silently looks like a service without calls.
 */
export class Containment<Place extends string> {
  failures = 0
  readonly #onFailure: (error: unknown, where: Place, call: Call | undefined) => void

  /** @param owner whose options these are, for the warning */
  constructor(owner: string, onFailure: ((error: unknown, where: Place) => void) | undefined) {
    this.#onFailure = onFailure
      ? (error, where) => onFailure(error, where)
      : (error, where, call) => this.#warnOnce(owner, error, where, call)
  }

  /** What `work` returns, or undefined if it throws. `call` is the one whose credentials a warning must not hold. */
  run<T>(where: Place, work: () => T, call?: Call): T | undefined {
    try {
      return work()
    } catch (error) {
      this.failed(error, where, call)
      return undefined
    }
  }

  failed(error: unknown, where: Place, call?: Call): void {
    this.failures++
    try {
      this.#onFailure(error, where, call)
    } catch {
      this.failures++
    }
  }

  #warnOnce(owner: string, error: unknown, where: Place, call: Call | undefined): void {
    if (this.failures > 1) return
    const whole = error instanceof Error ? error.message : String(error)
    const text = cleanText(call === undefined ? whole : credentialScrubber(call)(whole), LONGEST_WARNING)
    process.emitWarning(
      `${owner}: "${where}" failed: ${text}. RPCs are not affected; more failures are only counted.`,
      {
        code: 'GRPC_STACK_OBSERVER',
      },
    )
  }
}
