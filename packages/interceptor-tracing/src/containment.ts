import { diag } from '@opentelemetry/api'

/** Hears of a failure that was contained; `where` says in words what failed. */
export type FailureListener = (error: unknown, where: string) => void

/**
 * Keeps from the RPC what fails in a hook, a propagator, a sampler, a processor or an exporter, and counts it. Each
 * failure goes to OpenTelemetry's `diag` logger too. Without a listener the first is made public: tracing that fails
 * silently looks like a service without calls.
 */
export class Containment {
  failures = 0
  readonly #onFailure: FailureListener

  constructor(onFailure: FailureListener | undefined) {
    this.#onFailure = onFailure ?? ((error, where) => this.#warnOnce(error, where))
  }

  failed(error: unknown, where: string): void {
    this.failures++
    try {
      diag.error(`@grpc-stack/interceptor-tracing: ${where} failed`, error)
      this.#onFailure(error, where)
    } catch {
      this.failures++
    }
  }

  /** A hook may turn out to be asynchronous: nobody awaits it, so its rejection would end the process. */
  watch(returned: unknown, where: string): void {
    if (typeof returned !== 'object' || returned === null || !('then' in returned)) return
    const { then } = returned
    if (typeof then === 'function') then.call(returned, undefined, (error: unknown) => this.failed(error, where))
  }

  #warnOnce(error: unknown, where: string): void {
    if (this.failures > 1) return
    const text = error instanceof Error ? error.message : String(error)
    process.emitWarning(`tracing: ${where} failed: ${text}. RPCs are not affected; more failures are only counted.`, {
      code: 'GRPC_STACK_OBSERVER',
    })
  }
}
