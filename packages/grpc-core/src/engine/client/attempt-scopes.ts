import { status as Code } from '@grpc/grpc-js'
import type { CallRecord } from '../../contract/call-record.ts'
import { type Status, UnattemptedStatus } from '../../contract/status.ts'
import { newMetadata } from '../../grpc-js/metadata.ts'
import { type DeadlineTimer, startDeadlineTimer, startTimer } from '../../runtime/deadline.ts'
import { abortReason, type CallAbort } from '../intercepted-call.ts'
import type { CallSettings } from './call-settings.ts'

/** A `next()` that may be repeated or is bounded by a deadline of its own: what holds outside of it, to come back to. */
interface Scope {
  readonly index: number
  readonly settings: CallSettings
  readonly deadline: number
  readonly controller: CallAbort | undefined
  timer: DeadlineTimer | undefined
  /** Of what is inside, until the call is committed. */
  attemptTimer: DeadlineTimer | undefined
  /** Of the observers outside. */
  readonly record: CallRecord | undefined
  expired: boolean
}

/** The call whose settings they open and close. */
interface ScopeOwner {
  settings: CallSettings
  /** The deadline in force outside of the innermost open scope. */
  scopeDeadline: number
  controller: CallAbort | undefined
  record: CallRecord | undefined
  /** The deadline of the scope at this index has passed. */
  scopeExpired(index: number): void
  /** What is inside this index takes longer than its attempt timeout. */
  attemptTimedOut(index: number): void
}

/**
 * The scopes of a client call. Inside of one, interceptors get a copy of the call's settings: what they set in one attempt is gone in
 * the next, a deadline that was shortened bounds what is inside of it alone, and observers have a record of the attempt. A scope closes
 * when a status comes out to its layer. A call makes these when the first one opens.
 */
export class AttemptScopes {
  readonly #owner: ScopeOwner
  /** Outermost first. */
  #open: Scope[] = []

  constructor(owner: ScopeOwner) {
    this.#owner = owner
  }

  get any(): boolean {
    return this.#open.length > 0
  }

  has(index: number): boolean {
    return this.#open.some((scope) => scope.index === index)
  }

  /** @param repeats whether the layer may let what is inside run again */
  open(index: number, repeats: boolean): void {
    const owner = this.#owner
    const { deadline, attemptTimeoutMs } = owner.settings
    const scope: Scope = {
      index,
      settings: owner.settings,
      deadline: owner.scopeDeadline,
      controller: owner.controller,
      timer: undefined,
      attemptTimer: undefined,
      record: owner.record,
      expired: false,
    }
    if (deadline < owner.scopeDeadline) this.#watchDeadline(scope, deadline)
    if (attemptTimeoutMs !== undefined) this.#watchAttempt(scope, attemptTimeoutMs)
    if (repeats) owner.record = undefined
    owner.settings.attemptTimeoutMs = undefined
    // A later attempt must find them as they are.
    owner.settings.keep()
    owner.settings = owner.settings.copy()
    owner.controller = undefined
    owner.scopeDeadline = deadline
    // The first push into an empty array makes room for 17: 150 bytes for each call under retry.
    if (this.#open.length === 0) this.#open = [scope]
    else this.#open.push(scope)
  }

  // Apart, because a function with a closure in it costs each call something, with a timer or without.
  #watchDeadline(scope: Scope, deadline: number): void {
    scope.timer = startDeadlineTimer(deadline, () => this.#expire(scope))
  }

  #watchAttempt(scope: Scope, timeoutMs: number): void {
    scope.attemptTimer = startTimer(timeoutMs, () => this.#owner.attemptTimedOut(scope.index))
  }

  /** What is inside this index has ended. Returns whether the layer at `blocked` had an open scope. */
  closeInside(index: number, blocked: number | undefined): boolean {
    const open = this.#open
    let unblocked = false
    for (let scope = open.at(-1); scope !== undefined && scope.index >= index; scope = open.at(-1)) {
      open.pop()
      scope.timer?.stop()
      scope.attemptTimer?.stop()
      this.#owner.settings = scope.settings
      this.#owner.scopeDeadline = scope.deadline
      this.#owner.controller = scope.controller
      this.#owner.record = scope.record
      unblocked ||= scope.index === blocked
    }
    return unblocked
  }

  /** Index of the outermost scope whose deadline has passed. */
  get expired(): number | undefined {
    return this.#open.find((scope) => scope.expired)?.index
  }

  #expire(scope: Scope): void {
    scope.expired = true
    this.#owner.scopeExpired(scope.index)
  }

  /** Aborts the signals of the scopes inside an index. */
  abortInside(index: number, status: Status): void {
    for (const scope of this.#open) if (scope.index > index) scope.controller?.abort(abortReason(status))
  }

  stopTimers(): void {
    for (const scope of this.#open) scope.timer?.stop()
    this.stopAttemptTimers()
  }

  stopAttemptTimers(): void {
    for (const scope of this.#open) scope.attemptTimer?.stop()
  }
}

export function deadlineExceeded(): Status {
  return new UnattemptedStatus(Code.DEADLINE_EXCEEDED, 'Deadline exceeded', newMetadata())
}
