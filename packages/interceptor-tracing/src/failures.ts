import { diag } from '@opentelemetry/api'

/** What became of one failure: where it happened is told in words. */
export type FailureListener = (error: unknown, where: string) => void

/**
 * Counts what tracing swallows. A hook, a propagator, a sampler, a processor or an exporter that throws must not reach
 * the RPC, and must not vanish either: it goes to the listener and to OpenTelemetry's `diag` logger.
 */
export class Failures {
  count = 0
  readonly #listener: FailureListener | undefined

  constructor(listener: FailureListener | undefined) {
    this.#listener = listener
  }

  note(error: unknown, where: string): void {
    this.count++
    try {
      diag.error(`@grpc-stack/interceptor-tracing: ${where} failed`, error)
      this.#listener?.(error, where)
    } catch {
      // A logger or listener that throws is one more thing that must not reach the RPC; its failure is counted already.
    }
  }

  /** A hook may turn out to be asynchronous: nobody awaits it, so its rejection would end the process. */
  watch(returned: unknown, where: string): void {
    if (typeof returned !== 'object' || returned === null || !('then' in returned)) return
    const { then } = returned
    if (typeof then === 'function') then.call(returned, undefined, (error: unknown) => this.note(error, where))
  }
}
