import {
  type CallCredentials,
  type ChannelOptions,
  status as Code,
  type InterceptingCall,
  type InterceptingListener,
  type InterceptorOptions,
  type Metadata,
  type NextCall,
} from '@grpc/grpc-js'
import type { AttemptTap, ClientCall, Compression, Interceptor, ReplayLimits } from '../../contract/call.ts'
import type { CallOption } from '../../contract/call-option.ts'
import { RpcContext, storageForCall } from '../../contract/context.ts'
import type { MethodInfo } from '../../contract/method.ts'
import { LocalStatus, type Status, UnattemptedStatus } from '../../contract/status.ts'
import { type ChannelFacts, channelBelow, secureBelow } from '../../grpc-js/channel-facts.ts'
import { newMetadata } from '../../grpc-js/metadata.ts'
import { runWith } from '../../runtime/async-scope.ts'
import { type DeadlineTimer, startDeadlineTimer, toEpochMs } from '../../runtime/deadline.ts'
import { show } from '../../runtime/show.ts'
import { abortReason, InterceptedCall } from '../intercepted-call.ts'
import { startRun } from '../stack-run.ts'
import { ApplicationSide } from './application-side.ts'
import type { Attempt } from './attempt.ts'
import type { AttemptCount, Siblings } from './attempt-count.ts'
import { AttemptRunner } from './attempt-runner.ts'
import { AttemptScopes, deadlineExceeded } from './attempt-scopes.ts'
import { CallSettings } from './call-settings.ts'
import { parentDeadline, watchParent } from './parent-call.ts'
import { RequestSender } from './request-sender.ts'

/** Of a call that the continuation of an interceptor object made. */
export interface OuterCall {
  /** The call around the object. */
  readonly call: InterceptedClientCall
  readonly siblings: Siblings
}

/** What grpc-js calls below us; its type has no exported name since 1.14.2. */
type BaseCall = ReturnType<NextCall>
type MessageContext = Parameters<BaseCall['sendMessageWithContext']>[0]

/**
 * One client RPC: grpc-js's call interface towards the stub and the `ClientCall` of interceptors, over parts with one idea each.
 *
 *     stub ── start, sendMessage… ──▶ InterceptedClientCall ──▶ StackRun: interceptors ──▶ AttemptRunner ──▶ nextCall()
 *                                          └──▶ RequestSender ──────────────────────────▶ Attempt ──▶ grpc-js
 *     stub ◀─ ApplicationSide ◀────── taps, finish() ◀──────────────────────────────── Attempt ◀──── grpc-js
 */
export class InterceptedClientCall extends InterceptedCall implements ClientCall, Omit<BaseCall, never> {
  readonly side = 'client' as const
  readonly #options: InterceptorOptions
  readonly #facts: ChannelFacts
  readonly #entryDeadline: number
  readonly #attempts: AttemptRunner
  readonly requests: RequestSender
  application!: ApplicationSide
  settings!: CallSettings
  /** The deadline in force outside of the innermost open scope. */
  scopeDeadline: number
  #scopes: AttemptScopes | undefined
  #timer: DeadlineTimer | undefined
  #expired = false
  #starting = false
  #startError: { readonly error: unknown } | undefined
  #forgetParent: (() => void) | undefined

  constructor(
    options: InterceptorOptions,
    nextCall: NextCall,
    method: MethodInfo,
    stack: readonly Interceptor[],
    facts: ChannelFacts,
    outer?: OuterCall,
  ) {
    super(method, stack)
    this.#options = options
    this.#facts = facts
    this.#attempts = new AttemptRunner(
      this,
      options,
      nextCall,
      facts,
      outer === undefined ? undefined : outer.call.#attempts,
      outer?.siblings,
    )
    this.requests = new RequestSender(this)
    const deadline = Math.min(toEpochMs(options.deadline), parentDeadline(options))
    this.#entryDeadline = deadline
    this.scopeDeadline = deadline
  }

  // ── The call of interceptors ──────────────────────────────────────────────────────────────────────────────────

  get metadata(): Metadata {
    return this.settings.metadata
  }

  set metadata(metadata: Metadata) {
    this.settings.metadata = metadata
  }

  get deadline(): number {
    return this.settings.deadline
  }

  set deadline(deadline: number) {
    this.settings.deadline = deadline
  }

  get credentials(): CallCredentials | undefined {
    return this.settings.credentials
  }

  set credentials(credentials: CallCredentials | undefined) {
    this.settings.credentials = credentials
  }

  get waitForReady(): boolean {
    return this.settings.waitForReady
  }

  set waitForReady(wait: boolean) {
    this.settings.waitForReady = wait
  }

  get compression(): Compression | undefined {
    return this.settings.compression
  }

  set compression(compression: Compression | undefined) {
    this.settings.compression = compression
  }

  get target(): string | undefined {
    return this.#facts.target ?? channelBelow(this.attempt?.call)?.getTarget?.()
  }

  get secure(): boolean | undefined {
    return this.#facts.secure ?? secureBelow(this.attempt?.call)
  }

  get channelOptions(): Readonly<ChannelOptions> | undefined {
    return channelBelow(this.attempt?.call)?.getOptions?.()
  }

  get committed(): boolean {
    return this.#attempts.committed
  }

  get attemptTimeoutMs(): number | undefined {
    return this.settings.attemptTimeoutMs
  }

  set attemptTimeoutMs(timeoutMs: number | undefined) {
    this.settings.attemptTimeoutMs = timeoutMs
  }

  option<T>(key: CallOption<T>): T | undefined {
    return key.in(this.#options)
  }

  peer(): string {
    return this.getPeer()
  }

  makeReplayable(limits: ReplayLimits): void {
    for (const name of ['maxBytes', 'maxMessages'] as const) {
      const limit: unknown = limits?.[name]
      if (typeof limit !== 'number' || !(limit >= 0)) {
        throw new TypeError(`makeReplayable: ${name} must be a number ≥ 0, got ${show(limit)}`)
      }
    }
    const commit: unknown = limits.commit
    if (commit !== undefined && commit !== 'headers' && commit !== 'message') {
      throw new TypeError(`makeReplayable: commit must be 'headers' or 'message', got ${show(commit)}`)
    }
    // An interceptor that an outer one runs again asks again; what it needs is being kept.
    if (this.attempt !== undefined && !this.requests.keeping) {
      throw new Error('makeReplayable: call it before the first next()')
    }
    this.requests.keepFor(this.run.acting, limits)
  }

  async respond(message: unknown): Promise<void> {
    const tapped = this.run.taps === undefined ? message : this.run.taps.response(message, this.run.acting)
    if (!this.method.responseStream) {
      this.#attempts.response = { message: tapped }
      return
    }
    this.commit()
    await this.application.answer(tapped)
  }

  onAttempt(tap: AttemptTap): void {
    this.run.observed.addAttempt(this.run.acting, tap)
  }

  cancel(details = 'Cancelled by an interceptor'): void {
    this.cancelWithStatus(Code.CANCELLED, details)
  }

  /** Shows the application response metadata of an interceptor's own, before what `respond` gives. */
  respondMetadata(metadata: Metadata): void {
    this.application.metadata(metadata)
  }

  // ── grpc-js's call interface: what the stub calls ─────────────────────────────────────────────────────────────

  start(metadata: Metadata, listener: Partial<InterceptingListener> = {}): void {
    this.application = new ApplicationSide(listener)
    this.settings = new CallSettings(this.#facts, metadata, this.#entryDeadline, this.#options.credentials)
    if (this.#options.parent) {
      const cancel = () => this.cancelWithStatus(Code.CANCELLED, 'Cancelled by parent call')
      this.#forgetParent = watchParent(this.#options, cancel)
    }
    this.#starting = true
    const storage = storageForCall()
    if (storage === undefined) this.run.start()
    else {
      this.run.context = this.rpcContext = new RpcContext(storage.getStore())
      runWith(storage, this.rpcContext, startRun, this.run, this.application)
    }
    this.#starting = false
    if (this.attempt === undefined && !this.run.finished) this.settings.keep()
    if (this.#startError !== undefined) {
      // A closed channel throws out of the stub's method, with interceptors as without.
      this.application.closed = true
      throw this.#startError.error
    }
    // Where no layer waits, the attempt's own deadline is enough.
    const watched = this.run.finished || (this.attempt !== undefined && !this.run.waits)
    if (!watched && this.#entryDeadline !== Number.POSITIVE_INFINITY) {
      this.#timer = startDeadlineTimer(this.#entryDeadline, () => this.#expire())
    }
  }

  sendMessage(message: unknown): void {
    this.sendMessageWithContext({}, message)
  }

  sendMessageWithContext(context: MessageContext, message: unknown): void {
    if (this.run.finished) {
      this.requests.sendLate(context, message)
      return
    }
    try {
      this.requests.send(context, message)
    } catch (error) {
      // A closed channel below an interceptor object, which begins with the request, throws here and not out of `start`.
      this.application.closed = true
      this.#attempts.sendFailed(error)
      throw error
    }
  }

  halfClose(): void {
    this.requests.halfClose()
  }

  startRead(): void {
    if (!this.application.read()) this.#attempts.running?.call.startRead()
  }

  cancelWithStatus(code: Code, details: string): void {
    const status = new UnattemptedStatus(code, details, newMetadata())
    if (this.run.finished) {
      this.application.cutShort(status)
      return
    }
    if (this.run.block?.outside === -1) return
    const attempt = this.#attempts.running
    if (attempt === undefined) {
      this.run.decide(status, -1)
      return
    }
    // grpc-js ends the attempt with this status; what waits for the attempt then sees it.
    this.run.block = { outside: -1, status }
    this.abortInside(-1, status)
    attempt.cancel(code, details)
  }

  /** What `channelBelow` follows down to the channel. */
  get nextCall(): BaseCall | undefined {
    return this.attempt?.call
  }

  getPeer(): string {
    return this.attempt?.call.getPeer() ?? this.#facts.target ?? 'unknown'
  }

  getAuthContext(): ReturnType<InterceptingCall['getAuthContext']> {
    return this.attempt?.call.getAuthContext() ?? null
  }

  // ── What the run is around ────────────────────────────────────────────────────────────────────────────────────

  begin(): Promise<Status> {
    return this.#attempts.begin()
  }

  opens(index: number, again: boolean): Status | undefined {
    const repeats = this.mayRepeat(index)
    this.attemptCount.proceeds(index)
    if (again) {
      if (!repeats) return this.run.misuse(index, 'called next() again without call.makeReplayable() before the first')
      if (this.#scopes?.has(index)) return this.run.misuse(index, 'called next() while the last one was running')
      if (this.committed) return this.run.misuse(index, 'called next() again on a call that is committed')
      this.#attempts.silence()
      this.run.abandonInside(index)
      this.requests.again(index)
      this.run.taps?.dropDeeperThan(index)
    }
    if (repeats || this.settings.deadline < this.scopeDeadline || this.settings.attemptTimeoutMs !== undefined) {
      this.#scopes ??= new AttemptScopes(this)
      this.#scopes.open(index, repeats)
    }
    return undefined
  }

  mayRepeat(index: number): boolean {
    return this.requests.mayReplay(index)
  }

  reached(index: number): void {
    // A scope's own deadline blocks what is inside of it, and no further run of it.
    if (this.#scopes?.closeInside(index, this.run.block?.outside)) this.run.block = undefined
  }

  complete(status: Status): Status {
    if (status.code !== Code.OK || this.method.responseStream || this.#attempts.response !== undefined) return status
    return new LocalStatus({
      code: Code.UNIMPLEMENTED,
      details: 'No message received',
      ...(status.metadata && { metadata: status.metadata }),
      origin: status.origin ?? 'local',
    })
  }

  counted(status: Status, index: number): Status {
    return this.#attempts.counted(status, index)
  }

  override abortInside(index: number, status: Status): void {
    super.abortInside(index, status)
    this.#scopes?.abortInside(index, status)
  }

  finish(status: Status, inEvent: boolean): void {
    const attempts = this.#attempts
    this.#timer?.stop()
    this.#scopes?.stopTimers()
    this.#forgetParent?.()
    attempts.silence()
    this.requests.end()
    // Cancel and deadline do not wait until answers of interceptors are read.
    if (this.run.block?.outside === -1) this.application.dropAnswers()
    const response = status.code === Code.OK && !this.method.responseStream ? attempts.response : undefined
    this.application.end({ headers: attempts.heldHeaders, response, status: attempts.rawOf(status) })
    if (!inEvent) this.application.deliverSoon()
  }

  // ── What its parts ask of it ──────────────────────────────────────────────────────────────────────────────────

  get attempt(): Attempt | undefined {
    return this.#attempts.current
  }

  get attemptCount(): AttemptCount {
    return this.#attempts.count
  }

  get repeatable(): boolean {
    return this.#scopes?.any === true
  }

  commit(): void {
    this.#attempts.commit()
  }

  /** Nothing is attempted any more, so there is nothing to choose between. */
  onCommit(): void {
    this.#scopes?.stopAttemptTimers()
  }

  attemptTimedOut(index: number): void {
    if (this.committed || this.run.block !== undefined) return
    const status = deadlineExceeded()
    const attempt = this.#attempts.running
    if (attempt === undefined) this.run.decide(status, index)
    else this.#attempts.endWith(attempt, status)
  }

  failAttempt(attempt: Attempt, error: unknown): void {
    this.#attempts.fail(attempt, error)
  }

  serialize(message: unknown): Buffer {
    return this.#options.method_definition.requestSerialize(message)
  }

  startFailed(error: unknown): void {
    if (this.#starting) this.#startError = { error }
  }

  deadlineReported(status: Status): void {
    // grpc-js's own timer may be a moment early.
    const passed = Date.now() + 10
    if (passed >= this.#entryDeadline) this.abortInside(-1, status)
    else if (passed >= this.scopeDeadline) this.controller?.abort(abortReason(status))
  }

  /** A cancel or a deadline that came while the attempt ran is left to speak for the layers that still wait. */
  attemptEnded(status: Status): void {
    const { block } = this.run
    if (block !== undefined) this.run.decide(status, block.outside)
    else if (this.#expired) this.run.decide(deadlineExceeded(), -1)
    else {
      const expired = this.#scopes?.expired
      if (expired !== undefined) this.run.decide(deadlineExceeded(), expired)
    }
  }

  scopeExpired(index: number): void {
    // grpc-js has the same deadline for a running attempt and more to say about it.
    const running = this.#attempts.running !== undefined
    if (this.run.block === undefined && !running) this.run.decide(deadlineExceeded(), index)
  }

  #expire(): void {
    this.#expired = true
    const running = this.#attempts.running !== undefined
    if (!this.run.finished && this.run.block?.outside !== -1 && !running) this.run.decide(deadlineExceeded(), -1)
  }
}
