import type { EventEmitter } from 'node:events'
import {
  type CallCredentials,
  type ChannelOptions,
  status as Code,
  type InterceptingCall,
  type InterceptingListener,
  type InterceptorOptions,
  type Metadata,
  type NextCall,
  propagate,
  type StatusObject,
} from '@grpc/grpc-js'
import { ApplicationSide } from './application-side.ts'
import { Attempt } from './attempt.ts'
import { announce, type ScopedTap } from './attempt-taps.ts'
import type { AttemptTap, ClientCall, Compression, Interceptor, ReplayLimits, StatusTap } from './call.ts'
import type { CallOption } from './call-option.ts'
import { CallSettings } from './call-settings.ts'
import { type ChannelFacts, channelBelow, isIntercepted, secureBelow } from './channel-facts.ts'
import { Context, storageForCall } from './context.ts'
import { type DeadlineTimer, startDeadlineTimer, toEpochMs } from './deadline.ts'
import { abandoned, abortReason, type CallAbort, FusedCall, type Layer, tapStatus } from './fused-call.ts'
import { newMetadata } from './metadata.ts'
import type { MethodInfo } from './method.ts'
import { type RequestEntry, RequestLog } from './request-log.ts'
import { LocalStatus, receivedStatus, type Status, show, UnattemptedStatus } from './status.ts'
import { CallTaps } from './taps.ts'

/** What grpc-js calls below us; its type has no exported name since 1.14.2. */
type BaseCall = ReturnType<NextCall>
type MessageContext = Parameters<BaseCall['sendMessageWithContext']>[0]

const NO_COMPRESS = 2 // grpc-js: WriteFlags.NoCompress

/** A `next()` that may be repeated or is bounded by a deadline of its own: what holds outside it, to come back to. */
interface Scope {
  readonly layer: Layer
  readonly settings: CallSettings
  readonly outerDeadline: number
  readonly controller: CallAbort | undefined
  readonly timer: DeadlineTimer | undefined
  expired: boolean
}

/**
 * One client RPC: grpc-js's call interface towards the stub, the `ClientCall` of interceptors, and the owner of each
 * attempt below. The only call object of a stack, whatever its length.
 *
 *     stub ── start, sendMessage… ──▶ FusedClientCall ── run(): interceptors ──▶ attempt() ──▶ nextCall()
 *     stub ◀─ ApplicationSide ◀────── taps, finish() ◀──────────────────────── Attempt ◀──── grpc-js
 */
export class FusedClientCall extends FusedCall implements ClientCall, Omit<BaseCall, never> {
  readonly side = 'client' as const
  readonly #options: InterceptorOptions
  readonly #nextCall: NextCall
  readonly #facts: ChannelFacts
  /** The call with the contract object around it whose continuation made this one. */
  readonly #outer: FusedClientCall | undefined
  readonly #entryDeadline: number
  #application!: ApplicationSide
  #settings!: CallSettings
  /** The deadline in force outside the innermost open scope. */
  #scopeDeadline: number
  #scopes: Scope[] | undefined
  #attempt: Attempt | undefined
  /** What the innermost `next()` gave out last. */
  #outcome: Promise<Status> | undefined
  #resolveOutcome: ((status: Status) => void) | undefined
  /** The outcome is the attempt's own: nothing waits in between. */
  #direct = false
  #log: RequestLog | undefined
  #replayPoints: number[] | undefined
  #halfClosed = false
  #response: { readonly message: unknown } | undefined
  #heldHeaders: Metadata | undefined
  #committed = false
  #timer: DeadlineTimer | undefined
  #expired = false
  #starting = false
  #startError: { readonly error: unknown } | undefined
  /** grpc-js's own object for a status, handed back to it when nothing replaced the status. */
  #wire: { readonly status: Status; readonly raw: StatusObject } | undefined
  #forgetParent: (() => void) | undefined
  /** Attempts shown to those who listen, of this call and those inside it. */
  #attempts = 0

  constructor(
    options: InterceptorOptions,
    nextCall: NextCall,
    method: MethodInfo,
    stack: readonly Interceptor[],
    facts: ChannelFacts,
    outer?: FusedClientCall,
  ) {
    super(method, stack)
    this.#outer = outer
    this.#options = options
    this.#nextCall = nextCall
    this.#facts = facts
    let deadline = toEpochMs(options.deadline)
    if (options.parent && propagates(options, propagate.DEADLINE)) {
      deadline = Math.min(deadline, toEpochMs(options.parent.getDeadline()))
    }
    this.#entryDeadline = deadline
    this.#scopeDeadline = deadline
  }

  // ── The call of interceptors ──────────────────────────────────────────────────────────────────────────────────

  get metadata(): Metadata {
    return this.#settings.metadata
  }

  set metadata(metadata: Metadata) {
    this.#settings.metadata = metadata
  }

  get deadline(): number {
    return this.#settings.deadline
  }

  set deadline(deadline: number) {
    this.#settings.deadline = deadline
  }

  get credentials(): CallCredentials | undefined {
    return this.#settings.credentials
  }

  set credentials(credentials: CallCredentials | undefined) {
    this.#settings.credentials = credentials
  }

  get waitForReady(): boolean {
    return this.#settings.waitForReady
  }

  set waitForReady(wait: boolean) {
    this.#settings.waitForReady = wait
  }

  get compression(): Compression | undefined {
    return this.#settings.compression
  }

  set compression(compression: Compression | undefined) {
    this.#settings.compression = compression
  }

  get target(): string | undefined {
    return this.#facts.target ?? channelBelow(this.#attempt?.call)?.getTarget?.()
  }

  get secure(): boolean | undefined {
    return this.#facts.secure ?? secureBelow(this.#attempt?.call)
  }

  get channelOptions(): Readonly<ChannelOptions> | undefined {
    return channelBelow(this.#attempt?.call)?.getOptions?.()
  }

  get committed(): boolean {
    return this.#committed
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
    // An interceptor that an outer one runs again asks again; what it needs is being kept.
    if (this.#attempt !== undefined && !this.#log?.keeping) {
      throw new Error('makeReplayable: call it before the first next()')
    }
    if (this.#replayPoints === undefined) this.#replayPoints = [this.depth]
    else if (!this.#replayPoints.includes(this.depth)) {
      this.#replayPoints.push(this.depth)
      this.#replayPoints.sort((a, b) => a - b)
    }
    this.#log ??= new RequestLog()
    this.#log.keep(this.method.requestStream ? limits : SINGLE_REQUEST)
  }

  async respond(message: unknown): Promise<void> {
    const tapped = this.tapResponse(message, this.depth)
    if (!this.method.responseStream) {
      this.#response = { message: tapped }
      return
    }
    this.#commit()
    await this.#application.answer(tapped)
  }

  onAttempt(tap: AttemptTap): void {
    this.taps ??= new CallTaps()
    this.taps.addAttempt(this.depth, tap)
  }

  cancel(details = 'Cancelled by an interceptor'): void {
    this.cancelWithStatus(Code.CANCELLED, details)
  }

  /** Shows the application response metadata of an interceptor's own, before what `respond` gives. */
  respondMetadata(metadata: Metadata): void {
    this.#application.metadata(metadata)
  }

  // ── grpc-js's call interface: what the stub calls ─────────────────────────────────────────────────────────────

  start(metadata: Metadata, listener: Partial<InterceptingListener> = {}): void {
    this.#application = new ApplicationSide(listener)
    this.#settings = new CallSettings(this.#facts, metadata, this.#entryDeadline, this.#options.credentials)
    if (this.#options.parent) this.#watchParent()
    this.#starting = true
    const storage = storageForCall()
    if (storage === undefined) this.run()
    else {
      this.entered = this.rpcContext = new Context(storage.getStore())
      storage.run(this.rpcContext, () => this.run())
    }
    this.#starting = false
    if (this.#startError !== undefined) {
      // A closed channel throws out of the stub's method, with interceptors as without.
      this.#application.closed = true
      throw this.#startError.error
    }
    if (!this.finished && !this.#direct && this.#entryDeadline !== Number.POSITIVE_INFINITY) {
      this.#timer = startDeadlineTimer(this.#entryDeadline, () => this.#expire())
    }
  }

  sendMessage(message: unknown): void {
    this.sendMessageWithContext({}, message)
  }

  sendMessageWithContext(context: MessageContext, message: unknown): void {
    if (this.finished) {
      if (context.callback) process.nextTick(context.callback)
      return
    }
    const attempt = this.#attempt
    const log = this.#log
    const ready = attempt !== undefined && !attempt.ended && !attempt.writing
    if (ready && (log === undefined || (!log.keeping && log.drained))) {
      this.#send(attempt, message, context.flags, context.callback)
      return
    }
    this.#log ??= new RequestLog()
    const entry: RequestEntry = { message, flags: context.flags, written: context.callback, stages: undefined }
    const fits = this.#log.add(entry, this.#sizeOf(message))
    // Between attempts everything is still there, so the next attempt may start; it is then the last.
    if (!fits && !attempt?.ended) this.#commit()
    this.#pump()
  }

  halfClose(): void {
    this.#halfClosed = true
    this.#pump()
  }

  startRead(): void {
    if (this.#application.read()) return
    if (this.#attempt !== undefined && !this.#attempt.ended) this.#attempt.call.startRead()
  }

  cancelWithStatus(code: Code, details: string): void {
    const status = new UnattemptedStatus(code, details, newMetadata())
    if (this.finished) {
      this.#application.cutShort(status)
      return
    }
    if (this.block?.outside === -1) return
    const attempt = this.#attempt
    if (attempt === undefined || attempt.ended) {
      this.decide(status, -1)
      return
    }
    // grpc-js ends the attempt with this status; what waits for the attempt then sees it.
    this.block = { outside: -1, status }
    this.abortSignals(status, -1)
    attempt.call.cancelWithStatus(code, details)
  }

  /** What `channelBelow` follows down to the channel. */
  get nextCall(): BaseCall | undefined {
    return this.#attempt?.call
  }

  getPeer(): string {
    return this.#attempt?.call.getPeer() ?? this.#facts.target ?? 'unknown'
  }

  getAuthContext(): ReturnType<InterceptingCall['getAuthContext']> {
    return this.#attempt?.call.getAuthContext() ?? null
  }

  // ── Attempts ──────────────────────────────────────────────────────────────────────────────────────────────────

  protected attempt(): Promise<Status> {
    this.depth = this.stack.length
    this.#silence(this.#attempt)
    const outcome = new Promise<Status>((resolve) => {
      this.#resolveOutcome = resolve
    })
    this.#outcome = outcome
    const attempt = new Attempt(this)
    if (this.#facts.opensRpc) attempt.ends = this.#announceAttempt()
    try {
      attempt.call = this.#facts.open(this.#nextCall, this.#settings.applyTo(this.#options))
      // As without interceptors: an HTTP/2 stream keeps the context it was made in, and with it what interceptors entered.
      this.#application.runInAsyncScope(() => this.#start(attempt))
    } catch (error) {
      const status = this.#failedToStart(error)
      attempt.tellEnd(status)
      return this.settledAtOnce(status)
    }
    return outcome
  }

  /** Shows the attempt to the taps of this call and of those around it, outermost first. */
  #announceAttempt(): StatusTap[] | undefined {
    let listened = false
    let outermost: FusedClientCall = this
    for (let call: FusedClientCall | undefined = this; call !== undefined; call = call.#outer) {
      outermost = call
      listened ||= call.taps?.seeAttempts === true
    }
    if (!listened) return undefined
    const attempt = {
      number: ++outermost.#attempts,
      repeatable: this.#outer !== undefined || this.#log?.keeping === true,
      call: this,
    }
    return announce(attempt, this.#attemptTaps())
  }

  #attemptTaps(): ScopedTap[] {
    const outer = this.#outer === undefined ? [] : this.#outer.#attemptTaps()
    return [...outer, ...(this.taps?.ofAttempts ?? [])]
  }

  #start(attempt: Attempt): void {
    // What grpc-js interceptors further in add to it must not be there in the next attempt. grpc-js itself copies it.
    const repeatable = this.#scopes !== undefined && this.#scopes.length > 0
    const metadata = repeatable && isIntercepted(attempt.call) ? this.#settings.metadata : this.#settings.outgoing
    attempt.call.start(metadata, attempt)
    this.#attempt = attempt
    this.#response = undefined
    this.#heldHeaders = undefined
    this.#log?.rewind()
    if (this.#log?.overflown) this.#commit()
    if (this.#application.readWanted) attempt.call.startRead()
    this.#pump()
  }

  #failedToStart(error: unknown): Status {
    if (this.#starting) this.#startError = { error }
    const details = error instanceof Error ? error.message : show(error)
    return new LocalStatus({ code: Code.UNAVAILABLE, details, cause: error })
  }

  #silence(attempt: Attempt | undefined): void {
    if (attempt === undefined || attempt.ended) return
    attempt.end()
    const status = abandoned()
    attempt.tellEnd(status)
    this.#resolveOutcome?.(status)
    attempt.call.cancelWithStatus(Code.CANCELLED, 'Superseded')
  }

  protected override follow(outcome: Promise<Status>): void {
    if (outcome === this.#outcome) this.#direct = true
    else super.follow(outcome)
  }

  /** Called by the attempt, until it ends. */
  receiveMetadata(attempt: Attempt, metadata: Metadata): void {
    let tapped: Metadata
    try {
      tapped = this.taps?.seeMetadata ? this.tapMetadata(metadata) : metadata
    } catch (error) {
      this.#failAttempt(attempt, error)
      return
    }
    if (this.#log?.keeping && !this.method.requestStream) this.#heldHeaders = tapped
    else {
      this.#commit()
      this.#application.metadata(tapped)
    }
  }

  /** Called by the attempt, until it ends. */
  receiveMessage(attempt: Attempt, message: unknown): void {
    const stream = this.method.responseStream
    // grpc-js hands up null when a unary response ends without a message; the status says what happened.
    if (!stream && message === null) return
    if (!stream && attempt.received) {
      attempt.call.cancelWithStatus(Code.UNIMPLEMENTED, 'Too many responses received')
      return
    }
    let tapped: unknown
    try {
      tapped = this.taps?.seeResponses ? this.tapResponse(message) : message
    } catch (error) {
      this.#failAttempt(attempt, error)
      return
    }
    attempt.received = true
    this.#commit()
    if (stream) this.#application.message(tapped)
    else {
      this.#response = { message: tapped }
      if (this.method.requestStream) attempt.call.startRead()
    }
  }

  /** Called by the attempt, once. Returns whom to tell, if that was the end of the call. */
  receiveStatus(attempt: Attempt, raw: StatusObject): ApplicationSide | undefined {
    attempt.end()
    const resolve = this.#resolveOutcome // a tap may start the next attempt
    const status = attempt.failure ?? this.complete(receivedStatus(raw))
    this.#wire = { status, raw }
    attempt.tellEnd(status)
    this.passOut(status, this.stack.length, true)
    if (this.#direct) this.conclude(status, true)
    resolve?.(status)
    if (this.finished) return this.#application
    if (this.block !== undefined) this.decide(status, this.block.outside)
    else if (this.#expired) this.decide(deadlineExceeded(), -1)
    else {
      const expired = this.#scopes?.find((scope) => scope.expired)
      if (expired) this.decide(deadlineExceeded(), expired.layer.index)
    }
    return undefined
  }

  /** An interceptor's tap threw: this attempt ends with what that says, whatever grpc-js makes of the cancellation. */
  #failAttempt(attempt: Attempt, error: unknown): void {
    attempt.failure ??= tapStatus(error, 'client')
    attempt.call.cancelWithStatus(attempt.failure.code, attempt.failure.details ?? '')
  }

  protected complete(status: Status): Status {
    if (status.code !== Code.OK || this.method.responseStream || this.#response !== undefined) return status
    return new LocalStatus({
      code: Code.UNIMPLEMENTED,
      details: 'No message received',
      ...(status.metadata && { metadata: status.metadata }),
      origin: status.origin ?? 'local',
    })
  }

  // ── Request messages: one at a time, replayed on a new attempt ────────────────────────────────────────────────

  #sizeOf(message: unknown): number {
    if (!this.method.requestStream || !this.#log?.keeping) return 0
    try {
      return this.#options.method_definition.requestSerialize(message).length
    } catch {
      return 0 // grpc-js will end the RPC over it
    }
  }

  #pump(): void {
    const attempt = this.#attempt
    if (attempt === undefined || attempt.ended) return
    const log = this.#log
    while (log !== undefined && !attempt.writing) {
      const entry = log.take()
      if (entry === undefined) break
      this.#send(attempt, entry.message, entry.flags, entry.written, entry)
    }
    if (this.#halfClosed && !attempt.halfClosed && !attempt.writing && (log === undefined || log.drained)) {
      attempt.halfClosed = true
      attempt.call.halfClose()
    }
  }

  #send(
    attempt: Attempt,
    message: unknown,
    flags: number | undefined,
    written?: () => void,
    entry?: RequestEntry,
  ): void {
    let tapped: unknown = message
    if (this.taps?.seeRequests) {
      try {
        tapped = this.#tapInStages(message, entry)
      } catch (error) {
        this.#failAttempt(attempt, error)
        this.#tellWritten(written)
        return
      }
    }
    const marks = this.#settings.compression === 'identity' ? (flags ?? 0) | NO_COMPRESS : flags
    if (!this.method.requestStream) {
      // One message, written at once: nobody waits for the callback, and half-close may follow directly.
      if (marks === undefined && written === undefined) attempt.call.sendMessage(tapped)
      else attempt.call.sendMessageWithContext(messageContext(marks, written), tapped)
      return
    }
    // grpc-js keeps a single unsent message until its own call is up (resolving-call.ts, 1.14): never two in flight.
    attempt.writing = true
    attempt.written = written
    attempt.entry = entry
    attempt.call.sendMessageWithContext(attempt.messageContext(marks), tapped)
  }

  /** Called by the attempt, until it ends. */
  receiveWritten(attempt: Attempt): void {
    const written = attempt.takeWritten()
    if (written !== undefined) this.#application.runInAsyncScope(written)
    this.#pump()
  }

  /** Of a message nobody will hear of any more. */
  #tellWritten(written: (() => void) | undefined): void {
    if (written !== undefined) process.nextTick(() => this.#application.runInAsyncScope(written))
  }

  /** Outer taps see a replayed message once; taps inside the replaying interceptor see it on each attempt. */
  #tapInStages(message: unknown, entry: RequestEntry | undefined): unknown {
    const points = this.#replayPoints
    if (points === undefined || entry === undefined) return this.tapRequest(message)
    entry.stages ??= []
    const { stages } = entry
    let seen = stages.length > 0 ? stages.at(-1) : message
    let depth = points[stages.length - 1] ?? Number.NEGATIVE_INFINITY
    for (const point of points.slice(stages.length)) {
      seen = this.tapRequest(seen, depth, point)
      stages.push(seen)
      depth = point
    }
    return this.tapRequest(seen, depth)
  }

  /** From here on there is no further attempt: something of the response is, or is about to be, the application's. */
  #commit(): void {
    if (this.#committed) return
    this.#committed = true
    this.#log?.release()
    if (this.#heldHeaders !== undefined) {
      this.#application.metadata(this.#heldHeaders)
      this.#heldHeaders = undefined
    }
  }

  // ── Scopes: a repeated or shortened next() ────────────────────────────────────────────────────────────────────

  protected override first(layer: Layer): Promise<Status> {
    if (!this.mayRepeat(layer.index) && this.#settings.deadline >= this.#scopeDeadline)
      return this.enter(layer.index + 1)
    return this.#enterScope(layer)
  }

  protected override mayRepeat(index: number): boolean {
    return this.#replayPoints?.includes(index) ?? false
  }

  protected again(layer: Layer): Promise<Status> {
    const refuse = (what: string) => this.settledAtOnce(this.misuse(layer, what))
    const point = this.#replayPoints?.indexOf(layer.index) ?? -1
    if (point < 0) {
      return refuse('called next() again without call.makeReplayable() before the first')
    }
    if (this.#scopes?.some((scope) => scope.layer === layer))
      return refuse('called next() while the last one was running')
    if (this.#committed) return refuse('called next() again on a call that is committed')
    this.#silence(this.#attempt)
    this.abandonInside(layer.index)
    this.#log?.forgetStagesFrom(point + 1)
    this.taps?.dropDeeperThan(layer.index)
    return this.#enterScope(layer)
  }

  #enterScope(layer: Layer): Promise<Status> {
    const { deadline } = this.#settings
    const bounded = deadline < this.#scopeDeadline
    const scope: Scope = {
      layer,
      settings: this.#settings,
      outerDeadline: this.#scopeDeadline,
      controller: this.controller,
      timer: bounded ? startDeadlineTimer(deadline, () => this.#expireScope(scope)) : undefined,
      expired: false,
    }
    this.#settings = this.#settings.copy()
    this.controller = undefined
    this.#scopeDeadline = deadline
    // An array that begins with what it holds has room for just that; most never hold more.
    if (this.#scopes === undefined) this.#scopes = [scope]
    else this.#scopes.push(scope)
    const outcome = this.enter(layer.index + 1)
    if (this.settled) this.reached(layer.index)
    return outcome
  }

  /** What is inside these layers has ended. */
  protected override reached(outer: number): void {
    const scopes = this.#scopes
    for (let scope = scopes?.at(-1); scope !== undefined && scope.layer.index >= outer; scope = scopes?.at(-1)) {
      scopes?.pop()
      this.#leaveScope(scope)
    }
  }

  #leaveScope(scope: Scope): void {
    scope.timer?.stop()
    this.#settings = scope.settings
    this.#scopeDeadline = scope.outerDeadline
    this.controller = scope.controller
    if (this.block?.outside === scope.layer.index) this.block = undefined
  }

  #expireScope(scope: Scope): void {
    scope.expired = true
    // grpc-js has the same deadline for a running attempt and more to say about it.
    if (this.block === undefined && !this.#attemptRuns()) this.decide(deadlineExceeded(), scope.layer.index)
  }

  #expire(): void {
    this.#expired = true
    if (!this.finished && this.block?.outside !== -1 && !this.#attemptRuns()) this.decide(deadlineExceeded(), -1)
  }

  #attemptRuns(): boolean {
    return this.#attempt !== undefined && !this.#attempt.ended
  }

  protected override abortSignals(status: Status, outside: number): void {
    super.abortSignals(status, outside)
    for (const scope of this.#scopes ?? []) {
      if (scope.layer.index > outside) scope.controller?.abort(abortReason(status))
    }
  }

  #watchParent(): void {
    // grpc-js adds a listener per attempt and never removes it (resolving-call.ts, 1.14): listen once, here.
    const parent: EventEmitter | undefined = this.#options.parent
    if (!parent || !propagates(this.#options, propagate.CANCELLATION)) return
    const onCancelled = () => this.cancelWithStatus(Code.CANCELLED, 'Cancelled by parent call')
    parent.on('cancelled', onCancelled)
    this.#forgetParent = () => parent.removeListener('cancelled', onCancelled)
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────

  protected finish(status: Status, sync: boolean): void {
    this.#timer?.stop()
    if (this.#scopes !== undefined) for (const scope of this.#scopes) scope.timer?.stop()
    this.#forgetParent?.()
    this.#tellWritten(this.#attempt?.takeWritten())
    this.#silence(this.#attempt)
    if (this.#log !== undefined) {
      for (const { written } of this.#log.entries) this.#tellWritten(written)
      this.#log.release()
      this.#log = undefined
    }
    const response = status.code === Code.OK && !this.method.responseStream ? this.#response : undefined
    // A complete status has what grpc-js's type asks for.
    const raw = this.#wire?.status === status ? this.#wire.raw : (status as StatusObject)
    this.#application.end({ headers: this.#heldHeaders, response, status: raw })
    if (!sync) this.#application.deliverSoon()
  }
}

/** It is kept by reference and costs nothing: no limit is meant for it. */
const SINGLE_REQUEST: ReplayLimits = { maxBytes: Number.POSITIVE_INFINITY, maxMessages: Number.POSITIVE_INFINITY }

function propagates(options: InterceptorOptions, flag: number): boolean {
  return ((options.propagate_flags ?? propagate.DEFAULTS) & flag) !== 0
}

function deadlineExceeded(): Status {
  return new UnattemptedStatus(Code.DEADLINE_EXCEEDED, 'Deadline exceeded', newMetadata())
}

function messageContext(flags: number | undefined, callback: (() => void) | undefined): MessageContext {
  const context: MessageContext = {}
  if (callback !== undefined) context.callback = callback
  if (flags !== undefined) context.flags = flags
  return context
}
