import { type Call, RpcError, type Status } from '@grpc-stack/grpc-core'
import type { GiveUpReason } from './decision.ts'

/** What became of one call's attempts. Filled in as they end. */
export interface RetryReport {
  /** Attempts started, the first included. */
  attempts: number
  /** Time spent waiting between attempts, ms. */
  backoffMs: number
  /** The failures before the last attempt, oldest first. */
  readonly failures: RpcError[]
  /** Why there was no further attempt, once that is decided; undefined if the call succeeded. */
  gaveUp: GiveUpReason | undefined
}

/**
 * Under this key a call carries its `RetryReport`. Registered, so that observers can read it without this package:
 * `call[Symbol.for('grpc-stack.retry')]?.attempts`.
 */
export const RETRY_REPORT: unique symbol = Symbol.for('grpc-stack.retry')

interface Reported {
  [RETRY_REPORT]?: RetryReport
}

/** The report of a call, for interceptors around `retry()`; undefined while its first attempt has not failed. */
export function retryReport(call: Call): RetryReport | undefined {
  return (call as Reported)[RETRY_REPORT]
}

/** Gives a call its report. */
export function openReport(call: Call): RetryReport {
  const report: RetryReport = { attempts: 1, backoffMs: 0, failures: [], gaveUp: undefined }
  ;(call as Reported)[RETRY_REPORT] = report
  return report
}

/** The status a call ends with: the last attempt's own, with the failures before it. Core adds the number of attempts. */
export function finalStatus(last: Status, report: RetryReport, problem?: unknown): Status {
  if (last.code === 0 || (report.failures.length === 0 && problem === undefined)) return last
  const own = problem ?? last.cause
  const { failures } = report
  const cause =
    failures.length === 0
      ? own
      : new AggregateError(
          failures,
          `${failures.length} earlier ${failures.length === 1 ? 'attempt' : 'attempts'} failed`,
          own === undefined ? undefined : { cause: own },
        )
  return {
    code: last.code,
    ...(last.details !== undefined && { details: last.details }),
    ...(last.metadata !== undefined && { metadata: last.metadata }),
    ...(last.origin !== undefined && { origin: last.origin }),
    ...(last.refusedBy !== undefined && { refusedBy: last.refusedBy }),
    ...(cause !== undefined && { cause }),
  }
}

export function noteFailure(report: RetryReport, status: Status): void {
  report.failures.push(RpcError.fromStatus(status))
}
