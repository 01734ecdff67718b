/** Where something foreign failed. */
export type FailurePlace = 'clock' | 'recorder' | 'sizeOf'

/**
 * Runs what others wrote so that nothing it does reaches the RPC, and counts its failures. The first of them is made
 * public: a recorder that fails silently looks like a service without calls.
 */
export class Containment {
  failures = 0
  readonly #onFailure: (error: unknown, where: FailurePlace) => void

  constructor(onFailure: ((error: unknown, where: FailurePlace) => void) | undefined) {
    this.#onFailure = onFailure ?? ((error, where) => this.#warnOnce(error, where))
  }

  failed(error: unknown, where: FailurePlace): void {
    this.failures++
    try {
      this.#onFailure(error, where)
    } catch {
      this.failures++
    }
  }

  #warnOnce(error: unknown, where: FailurePlace): void {
    if (this.failures > 1) return
    const text = error instanceof Error ? error.message : String(error)
    process.emitWarning(`metrics: "${where}" failed: ${text}. RPCs are not affected; more failures are only counted.`, {
      code: 'GRPC_STACK_OBSERVER',
    })
  }
}
