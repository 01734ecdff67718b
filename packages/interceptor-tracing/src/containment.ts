import type { Call } from '@grpc-stack/grpc-core'
import { type Containment, contain, credentialScrubber, isThenable } from '@grpc-stack/grpc-core/authoring'
import { diag } from '@opentelemetry/api'
import { recordedException } from './recorded-exception.ts'

/** Hears of a failure that was contained; `where` is the option, or says in words what failed. */
export type FailureListener = (error: unknown, where: string) => void

/**
 * Keeps from the RPC what fails in a hook, a propagator, a sampler, a processor or an exporter, and counts it. Each failure goes to
 * OpenTelemetry's `diag` logger too. Without a listener the first of each is a process warning.
 */
export function containTracing(onFailure: FailureListener | undefined): Containment {
  const contained = contain('tracing', {
    onFailure: onFailure && ((error, where) => onFailure(error, where)),
    code: 'GRPC_STACK_OBSERVER',
  })
  const failed = (error: unknown, where: string, call?: Call): void => {
    contained.run('diag', () => {
      const told = call === undefined ? error : withoutCredentials(error, call)
      diag.error(`@grpc-stack/interceptor-tracing: ${where} failed`, told)
    })
    contained.failed(error, where, call)
  }
  return {
    get failures() {
      return contained.failures
    },
    failed,
    run(where, work, call) {
      try {
        const result = work()
        if (isThenable(result)) result.then(undefined, (error: unknown) => failed(error, where, call))
        return result
      } catch (error) {
        failed(error, where, call)
        return undefined
      }
    },
  }
}

function withoutCredentials(error: unknown, call: Call): unknown {
  const scrub = credentialScrubber(call)
  if (!(error instanceof Error)) return typeof error === 'string' ? scrub(error) : error
  const { message, name, stack } = recordedException(error, scrub) as Error
  return Object.assign(new Error(message), { name, stack })
}
