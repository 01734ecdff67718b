/**
 * Runs what others wrote so that nothing it does reaches the RPC, and counts its failures. The first of them is made
 * public: a logger that fails silently looks like a service without calls.
 */
export class Containment<Place extends string> {
  failures = 0
  readonly #onFailure: (error: unknown, where: Place) => void

  /** @param owner whose options these are, for the warning */
  constructor(owner: string, onFailure: ((error: unknown, where: Place) => void) | undefined) {
    this.#onFailure = onFailure ?? ((error, where) => this.#warnOnce(owner, error, where))
  }

  /** What `work` returns, or undefined if it throws. */
  run<T>(where: Place, work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.failed(error, where)
      return undefined
    }
  }

  failed(error: unknown, where: Place): void {
    this.failures++
    try {
      this.#onFailure(error, where)
    } catch {
      this.failures++
    }
  }

  #warnOnce(owner: string, error: unknown, where: Place): void {
    if (this.failures > 1) return
    const text = error instanceof Error ? error.message : String(error)
    process.emitWarning(
      `${owner}: "${where}" failed: ${text}. RPCs are not affected; more failures are only counted.`,
      {
        code: 'GRPC_STACK_OBSERVER',
      },
    )
  }
}
