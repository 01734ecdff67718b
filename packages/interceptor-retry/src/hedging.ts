import { AsyncResource } from 'node:async_hooks'
import { status as Code } from '@grpc/grpc-js'
import { type CallHandle, RpcError, type Status } from '@grpc-stack/grpc-core'
import type { MonotonicClock } from '@grpc-stack/grpc-core/authoring'
import { readPushback } from './pushback.ts'
import type { Allowance } from './token-bucket.ts'

export interface HedgingPolicy {
  readonly maxAttempts: number
  readonly delayMs: number
  readonly nonFatalStatusCodes: ReadonlySet<Code>
}

/** What hedging needs of the call it is for. */
export interface HedgedCall<C extends CallHandle> {
  /** Starts an attempt. */
  open(attemptsBefore: number): C
  /** Aborts when the call is over before an attempt has decided it. */
  readonly signal: AbortSignal
  readonly policy: HedgingPolicy
  readonly budget: Allowance | undefined
  readonly clock: MonotonicClock
  readonly onHedge: (attempt: number) => void
}

/**
 * The attempts of one call that run at the same time, by the rules of gRFC A6, "Hedging Policy":
 *
 *     what happens                        then
 *     ──────────────────────────────────  ──────────────────────────────────────────────────────────────
 *     the delay passes                    the next attempt starts
 *     response headers of an attempt      it wins, the others are cancelled
 *     a fatal status                      it is the result, the others are cancelled
 *     a status that is not fatal          the next attempt starts at once; then the delay counts from there
 *     … with pushback of n ms             the next attempt starts in n ms; then the delay counts from there
 *     … with pushback not to retry        no further attempt starts, those running go on
 *     refused by an interceptor           likewise
 *     no budget for an attempt            likewise
 *     nothing runs and nothing may start  the last status is the result
 */
export class Hedging<C extends CallHandle> {
  readonly #call: HedgedCall<C>
  readonly #running = new Set<C>()
  readonly #failures: RpcError[] = []
  #started = 0
  #frozen = false
  #timer: unknown
  #resolve!: (winner: C) => void
  #reject!: (error: unknown) => void
  #decided = false

  constructor(call: HedgedCall<C>) {
    this.#call = call
  }

  /** Resolves to the attempt that is the answer; rejects with the error that is, if there were several attempts. */
  run(): Promise<{ readonly winner: C }> {
    const { signal, budget } = this.#call
    // What is over takes its attempts along, each with the status that is right for it.
    const onAbort = (): void => {
      this.#running.clear()
      this.#decide(() => this.#reject(signal.reason))
    }
    return new Promise<{ readonly winner: C }>((resolve, reject) => {
      // Wrapped, since a call is a promise of its response too.
      this.#resolve = (winner) => resolve({ winner })
      this.#reject = reject
      signal.addEventListener('abort', onAbort, { once: true })
      budget?.started()
      this.#start()
    }).finally(() => signal.removeEventListener('abort', onAbort))
  }

  get #mayStart(): boolean {
    return !this.#decided && !this.#frozen && this.#started < this.#call.policy.maxAttempts
  }

  #start(): void {
    const { policy, onHedge } = this.#call
    do {
      const attempt = this.#open()
      if (attempt === undefined) return
      this.#running.add(attempt)
      if (this.#started > 1) onHedge(this.#started)
      // In the event in which they come: no promise goes on before what follows them in the same turn of the event loop.
      attempt.onHeaders(() => this.#win(attempt))
      void attempt.status.then((status) => this.#ended(attempt, status))
    } while (policy.delayMs === 0 && this.#affordable())
    if (this.#mayStart) this.#startIn(policy.delayMs)
  }

  #open(): C | undefined {
    try {
      return this.#call.open(this.#started++)
    } catch (error) {
      this.#decide(() => this.#reject(error))
      return undefined
    }
  }

  #startIn(ms: number): void {
    const { clock } = this.#call
    clock.clearTimeout(this.#timer)
    // Node's timers keep the context, but a clock given as an option may run callbacks in that of another call.
    const due = AsyncResource.bind(() => {
      this.#timer = undefined
      if (this.#affordable()) this.#start()
      else this.#settleIfOver()
    })
    this.#timer = clock.setTimeout(due, ms)
  }

  #affordable(): boolean {
    if (!this.#mayStart) return false
    if (this.#call.budget?.spend() ?? true) return true
    this.#freeze()
    return false
  }

  #freeze(): void {
    this.#frozen = true
    this.#stopTimer()
  }

  #stopTimer(): void {
    if (this.#timer === undefined) return
    this.#call.clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #ended(attempt: C, status: Status): void {
    this.#running.delete(attempt)
    if (this.#decided) return
    if (status.code === Code.OK) {
      this.#win(attempt)
      return
    }
    const { policy, budget } = this.#call
    const refused = status.origin === 'local'
    const pushback = status.metadata && !refused ? readPushback(status.metadata) : undefined
    const fatal = !refused && !policy.nonFatalStatusCodes.has(status.code)
    if (!refused && (!fatal || pushback === 'stop')) budget?.failed()
    if (fatal) {
      this.#lose(attempt, status)
      return
    }
    if (refused || pushback === 'stop') this.#freeze()
    else if (this.#mayStart) {
      this.#stopTimer()
      if (pushback !== undefined) this.#startIn(pushback)
      else if (this.#affordable()) this.#start()
    }
    if (this.#over) this.#lose(attempt, status)
    else this.#failures.push(RpcError.fromStatus(status))
  }

  get #over(): boolean {
    return this.#running.size === 0 && this.#timer === undefined
  }

  /** The budget refused what the timer was for, after everything else had failed. */
  #settleIfOver(): void {
    const last = this.#over ? this.#failures.pop() : undefined
    if (last !== undefined) this.#decide(() => this.#reject(this.#withEarlier(last)))
  }

  #win(attempt: C): void {
    this.#running.delete(attempt)
    this.#decide(() => {
      this.#call.budget?.succeeded()
      this.#resolve(attempt)
    })
  }

  #lose(attempt: C, status: Status): void {
    this.#decide(() => {
      // The only attempt is the answer itself, error and all.
      if (this.#started === 1) this.#resolve(attempt)
      else this.#reject(this.#withEarlier(status))
    })
  }

  #withEarlier(last: Status): RpcError {
    const { code, details, metadata, origin, refusedBy, cause } = last
    const earlier = this.#failures
    const own = cause === undefined ? undefined : { cause }
    return new RpcError(code, details, {
      metadata,
      origin,
      refusedBy,
      cause: earlier.length === 0 ? cause : new AggregateError(earlier, 'other attempts failed before', own),
    })
  }

  #decide(settle: () => void): void {
    if (this.#decided) return
    this.#decided = true
    this.#stopTimer()
    settle()
    for (const other of this.#running) other.cancel('Another attempt was faster')
  }
}
