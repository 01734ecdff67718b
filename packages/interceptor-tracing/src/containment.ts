import type { Call } from '@grpc-stack/grpc-core'
import { credentialScrubber } from '@grpc-stack/grpc-core/authoring'
import { diag } from '@opentelemetry/api'
import { recordedException } from './recorded-exception.ts'

/** Hears of a failure that was contained; `where` says in words what failed. */
export type FailureListener = (error: unknown, where: string) => void

/**
 * Keeps from the RPC what fails in a hook, a propagator, a sampler, a processor or an exporter, and counts it. Each
 * failure goes to OpenTelemetry's `diag` logger too. Without a listener the first is made public: tracing that fails
 * silently looks like a service without calls.
 */
export class Containment {
  failures = 0
  readonly #onFailure: (error: unknown, where: string, told: unknown) => void

  constructor(onFailure: FailureListener | undefined) {
    this.#onFailure = onFailure
      ? (error, where) => onFailure(error, where)
      : (_error, where, told) => this.#warnOnce(told, where)
  }

  /** @param call the one whose credentials neither logger nor warning must be told */
  failed(error: unknown, where: string, call?: Call): void {
    this.failures++
    try {
      const told = call === undefined ? error : withoutCredentials(error, call)
      diag.error(`@grpc-stack/interceptor-tracing: ${where} failed`, told)
      this.#onFailure(error, where, told)
    } catch {
      this.failures++
    }
  }

  /** A hook may turn out to be asynchronous: nobody awaits it, so its rejection would end the process. */
  watch(returned: unknown, where: string, call: Call): void {
    if (typeof returned !== 'object' || returned === null || !('then' in returned)) return
    const { then } = returned
    if (typeof then === 'function') then.call(returned, undefined, (error: unknown) => this.failed(error, where, call))
  }

  #warnOnce(error: unknown, where: string): void {
    if (this.failures > 1) return
    const text = error instanceof Error ? error.message : String(error)
    process.emitWarning(`tracing: ${where} failed: ${text}. RPCs are not affected; more failures are only counted.`, {
      code: 'GRPC_STACK_OBSERVER',
    })
  }
}

function withoutCredentials(error: unknown, call: Call): unknown {
  const scrub = credentialScrubber(call)
  if (!(error instanceof Error)) return typeof error === 'string' ? scrub(error) : error
  const { message, name, stack } = recordedException(error, scrub) as Error
  return Object.assign(new Error(message), { name, stack })
}
