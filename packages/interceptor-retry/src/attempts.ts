import { status as Code } from '@grpc/grpc-js'
import type { ClientCall, Next, Status } from '@grpc-stack/grpc-core'
import { isThenable, quoted, sleep } from '@grpc-stack/grpc-core/authoring'
import { type Decision, decide, type Failure, type GiveUpReason, isServerTrouble } from './decision.ts'
import { readPushback } from './pushback.ts'
import { readRetryInfo } from './retry-info.ts'
import { finalStatus, noteFailure, openReport, type RetryReport } from './retry-report.ts'
import type { MethodPlan, Plan, Settings } from './retry-settings.ts'
import type { Allowance } from './token-bucket.ts'
import { retriesBelow, warnOfSecondRetrier } from './warnings.ts'

const PREVIOUS_ATTEMPTS = 'grpc-previous-rpc-attempts'

type Retry = Extract<Decision, { readonly retry: true }>
type GivenUp = Extract<Decision, { readonly retry: false }> & { readonly problem?: unknown }

/** Bounds the next attempt until the call is committed. */
export function limitAttempt(call: ClientCall, plan: Plan): void {
  call.attemptTimeoutMs = plan.perAttemptTimeoutMs
}

/** The attempts of one call. */
export class Attempts {
  readonly #next: Next
  readonly #budget: Allowance | undefined
  readonly #call: ClientCall
  readonly #settings: Settings
  readonly #plan: Plan
  readonly #deadline: number

  constructor(
    call: ClientCall,
    next: Next,
    settings: Settings,
    plan: Plan,
    budget: Allowance | undefined,
    deadline: number,
  ) {
    this.#next = next
    this.#budget = budget
    this.#call = call
    this.#settings = settings
    this.#plan = plan
    this.#deadline = deadline
  }

  /** All of them. A call that succeeds at once does nothing here that it could do without. */
  run(method: MethodPlan): Promise<Status> {
    return this.#call.recover(this.#next, (status) => {
      if (!method.channelSeen) this.#lookAtChannel(method)
      if (status.code !== Code.OK) return this.#firstFailed(status)
      this.#budget?.succeeded()
      return undefined
    })
  }

  /** Waits for nothing where there is no second attempt: most failures are not of the kind that is tried again. */
  #firstFailed(status: Status): Status | Promise<Status> {
    const report = openReport(this.#call)
    const end = this.#settings.clock.now() + (this.#deadline - Date.now())
    const decision = this.#decide(status, report, 0, end - this.#settings.clock.now())
    if (decision.retry) return this.#retry(status, decision, report, end)
    return this.#giveUp(status, report, decision.reason, decision.problem)
  }

  /** @param end of the call, by the clock */
  async #retry(failed: Status, decided: Retry, report: RetryReport, end: number): Promise<Status> {
    const call = this.#call
    const { clock, onRetry, contained } = this.#settings
    let status = failed
    let decision: Retry = decided
    let streak = 0
    for (;;) {
      noteFailure(report, status)
      const told = status
      const { delayMs } = decision
      const { attempts } = report
      if (onRetry) contained.run('onRetry', () => onRetry({ call, status: told, attempts, delayMs }), call)
      const began = clock.now()
      await sleep(decision.delayMs, clock, call.signal)
      report.backoffMs += clock.now() - began
      // A call that has ended starts nothing: next() tells how it ended.
      if (call.signal.aborted) return this.#giveUp(await this.#next(), report, 'cancelled')
      streak = decision.pushedBack ? 0 : streak + 1
      status = await this.#again(report)
      if (status.code === Code.OK) {
        this.#budget?.succeeded()
        return finalStatus(status, report)
      }
      const next = this.#decide(status, report, streak, end - clock.now())
      if (!next.retry) return this.#giveUp(status, report, next.reason, next.problem)
      decision = next
    }
  }

  #again(report: RetryReport): Promise<Status> {
    const call = this.#call
    // gRFC A6: the server learns how many attempts there were, and the application may.
    if (report.attempts === 1) {
      call.onResponseMetadata((metadata) => {
        const marked = metadata.clone()
        marked.set(PREVIOUS_ATTEMPTS, String(report.attempts - 1))
        return marked
      })
    }
    call.metadata.set(PREVIOUS_ATTEMPTS, String(report.attempts))
    report.attempts++
    limitAttempt(call, this.#plan)
    return this.#next()
  }

  #decide(status: Status, report: RetryReport, streak: number, leftMs: number): Retry | GivenUp {
    const { retryIf, backoff, mayRetryRefusal, random } = this.#settings
    const call = this.#call
    const plan = this.#plan
    const { code, metadata, origin, refusedBy } = status
    if (metadata !== undefined && metadata.get(PREVIOUS_ATTEMPTS).length > 0) warnOfSecondRetrier(call)
    let asked: boolean | undefined
    try {
      asked = synchronous('retryIf', retryIf?.(status, { call, attempts: report.attempts }))
    } catch (problem) {
      return { retry: false, reason: 'error', problem }
    }
    // Made on this side: a server's own DEADLINE_EXCEEDED says nothing of how long the attempt took.
    const timedOut =
      code === Code.DEADLINE_EXCEEDED &&
      plan.perAttemptTimeoutMs !== undefined &&
      origin === 'local' &&
      refusedBy === undefined
    const failure: Failure = {
      code,
      attempts: report.attempts,
      streak,
      timedOut,
      refused: origin === 'local' && !timedOut && !mayRetryRefusal(refusedBy),
      committed: call.committed,
      pushback: metadata && readPushback(metadata),
      retryInfoMs: metadata && readRetryInfo(metadata),
      leftMs,
      asked,
      ownBackoffMs: backoff && (() => waitOf(backoff(streak + 1, status))),
    }
    if (isServerTrouble(plan, failure)) this.#budget?.failed()
    try {
      return decide(plan, failure, random, () => this.#budget?.spend() ?? true)
    } catch (problem) {
      return { retry: false, reason: 'error', problem } // that of `backoff`
    }
  }

  #giveUp(status: Status, report: RetryReport, reason: GiveUpReason, problem?: unknown): Status {
    report.gaveUp = reason
    const { onGiveUp, contained } = this.#settings
    const call = this.#call
    if (onGiveUp) contained.run('onGiveUp', () => onGiveUp({ call, status, attempts: report.attempts, reason }), call)
    return finalStatus(status, report, problem)
  }

  /** What grpc-js retries below would multiply. Known from the first call on. */
  #lookAtChannel(method: MethodPlan): void {
    const { channelOptions } = this.#call
    if (channelOptions === undefined) return
    method.channelSeen = true
    if (retriesBelow(channelOptions, this.#call.method)) warnOfSecondRetrier(this.#call)
  }
}

function waitOf(answer: number): number {
  const ms = synchronous('backoff', answer)
  if (typeof ms === 'number' && ms >= 0) return ms
  throw new TypeError(`retry: "backoff" must return a number of milliseconds ≥ 0, got ${quoted(ms)}`)
}

/** A promise is always true: taken for an answer, it would retry whatever it says. */
function synchronous<T>(option: string, answer: T): T {
  if (!isThenable<unknown>(answer)) return answer
  void Promise.resolve(answer).catch(() => undefined)
  throw new TypeError(`retry: "${option}" must not return a promise`)
}
