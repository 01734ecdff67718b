import type { Call } from '../contract/call.ts'
import { credentialScrubber } from '../contract/credential-text.ts'
import { isThenable } from '../runtime/thenable.ts'
import { frames, onOneLine } from '../runtime/warning-text.ts'

export interface ContainOptions<Place extends string> {
  /** Told of each failure instead of the process warning. What it throws is counted and otherwise ignored. */
  readonly onFailure?: ((error: unknown, where: Place, call: Call | undefined) => void) | undefined
  /** The code of the process warning. Default: `GRPC_STACK_CALLBACK_FAILED`. */
  readonly code?: string
}

/**
 * Keeps what an application's callback throws, or rejects with, from the RPC. Failures are counted; the first in each place is
 * made public as a process warning, because a callback that fails silently looks like one that is never called.
 */
export interface Containment<Place extends string = string> {
  /** Failures so far. */
  readonly failures: number
  /**
   * What `work` returns, or undefined if it throws. If that is a promise, a rejection of it is counted too.
   * @param call the one whose credentials a warning must not hold
   */
  run<T>(where: Place, work: () => T, call?: Call): T | undefined
  /** Counts a failure that was caught elsewhere. */
  failed(error: unknown, where: Place, call?: Call): void
}

/**
 *     const contained = contain('retry')
 *     contained.run('onRetry', () => onRetry(event), call)
 *
 * @param owner the factory whose option the callbacks came in, for the warning
 */
export function contain<Place extends string = string>(
  owner: string,
  options: ContainOptions<Place> = {},
): Containment<Place> {
  return new Contained(owner, options)
}

class Contained<Place extends string> implements Containment<Place> {
  failures = 0
  readonly #owner: string
  readonly #code: string
  readonly #onFailure: ContainOptions<Place>['onFailure']
  readonly #warned = new Set<string>()

  constructor(owner: string, { onFailure, code = 'GRPC_STACK_CALLBACK_FAILED' }: ContainOptions<Place>) {
    this.#owner = owner
    this.#code = code
    this.#onFailure = onFailure
  }

  run<T>(where: Place, work: () => T, call?: Call): T | undefined {
    try {
      const result = work()
      if (isThenable(result)) result.then(undefined, (error: unknown) => this.failed(error, where, call))
      return result
    } catch (error) {
      this.failed(error, where, call)
      return undefined
    }
  }

  failed(error: unknown, where: Place, call?: Call): void {
    this.failures++
    try {
      if (this.#onFailure === undefined) this.#warnOnce(error, where, call)
      else {
        const told: unknown = this.#onFailure(error, where, call)
        if (isThenable(told)) told.then(undefined, () => void this.failures++)
      }
    } catch {
      this.failures++
    }
  }

  #warnOnce(error: unknown, where: Place, call: Call | undefined): void {
    if (this.#warned.has(where) || this.#warned.size >= MOST_PLACES) return
    this.#warned.add(where)
    const message = error instanceof Error ? error.message : String(error)
    const text = onOneLine(call === undefined ? message : credentialScrubber(call)(message))
    process.emitWarning(
      `${this.#owner}: "${where}" failed: ${text}. RPCs are not affected; more failures are only counted.`,
      { type: 'GrpcStackWarning', code: this.#code, ...frames(error) },
    )
  }
}

const MOST_PLACES = 100
