import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import {
  type CallCredentials,
  type InterceptingCall,
  type InterceptingListener,
  type InterceptorOptions,
  type Metadata,
  type NextCall,
  propagate,
  type StatusObject,
  status as Code,
} from '@grpc/grpc-js'
import { Attempt } from './attempt.ts'
import type { ClientCall, Compression, Interceptor, ReplayLimits } from './call.ts'
import type { CallOption } from './call-option.ts'
import type { ChannelFacts } from './channel-facts.ts'
import { Context, contextStorage } from './context.ts'
import { type DeadlineTimer, startDeadlineTimer, toEpochMs } from './deadline.ts'
import { abortReason, FusedCall, internalStatus, type Layer } from './fused-call.ts'
import type { MethodInfo } from './method.ts'
import { type RequestEntry, RequestLog } from './request-log.ts'
import { isMetadata, LocalStatus, RemoteStatus, type Status, show } from './status.ts'

/** What grpc-js calls below us; its type has no exported name since 1.14.2. */
type BaseCall = ReturnType<NextCall>
type MessageContext = Parameters<BaseCall['sendMessageWithContext']>[0]

const NO_COMPRESS = 2 // grpc-js: WriteFlags.NoCompress
const NONE: unique symbol = Symbol('no response yet')

/** The state of the call at a layer whose `next()` may be repeated or is bounded by a shorter deadline. */
interface Scope {
  readonly layer: Layer
  readonly metadata: Metadata
  readonly deadline: number
  readonly outerDeadline: number
  readonly credentials: CallCredentials | undefined
  readonly compression: Compression | undefined
  readonly controller: AbortController | undefined
  readonly timer: DeadlineTimer | undefined
  expired: boolean
}

/** A streamed answer of an interceptor's own, until the application reads it. */
interface Answer {
  readonly message: unknown
  readonly taken: () => void
}

/**
 * One client RPC: grpc-js's call interface towards the stub, the `ClientCall` of interceptors, and the owner of each
 * attempt below. The only call object of a stack, whatever its length.
 *
 *     stub ── start, sendMessage… ──▶ FusedClientCall ── run(): interceptors ──▶ attempt() ──▶ nextCall()
 *     stub ◀─ onReceive… ──────────── taps, finish() ◀──────────────────────── Attempt ◀──── grpc-js
 */
export class FusedClientCall extends FusedCall implements ClientCall, Omit<BaseCall, never> {
  readonly side = 'client' as const
  readonly #options: InterceptorOptions
  readonly #nextCall: NextCall
  readonly #facts: ChannelFacts
  readonly #entryDeadline: number
  #listener: Partial<InterceptingListener> = {}
  #caller: AsyncResource | undefined
  #callerMetadata!: Metadata
  #metadata: Metadata | undefined
  #deadline: number
  /** The deadline in force outside the innermost open scope. */
  #scopeDeadline: number
  #credentials: CallCredentials | undefined
  #compression: Compression | undefined
  #attempt: Attempt | undefined
  #attempts = 0
  #direct = false
  #log: RequestLog | undefined
  #halfClosed = false
  #readWanted = false
  #response: unknown = NONE
  #heldHeaders: Metadata | undefined
  #committed = false
  #replayPoints: number[] | undefined
  #scopes: Scope[] | undefined
  #answers: Answer[] | undefined
  #final: Status | undefined
  #delivered = false
  #timer: DeadlineTimer | undefined
  #expired = false
  #starting = false
  #startError: { readonly error: unknown } | undefined
  #wire: { readonly status: Status; readonly raw: StatusObject } | undefined
  #forgetParent: (() => void) | undefined

  constructor(
    options: InterceptorOptions,
    nextCall: NextCall,
    method: MethodInfo,
    stack: readonly Interceptor[],
    facts: ChannelFacts,
  ) {
    super(method, stack)
    this.#options = options
    this.#nextCall = nextCall
    this.#facts = facts
    this.#credentials = options.credentials
    this.#deadline = toEpochMs(options.deadline)
    const parent = options.parent
    if (parent && ((options.propagate_flags ?? propagate.DEFAULTS) & propagate.DEADLINE) !== 0) {
      this.#deadline = Math.min(this.#deadline, toEpochMs(parent.getDeadline()))
    }
    this.#entryDeadline = this.#deadline
    this.#scopeDeadline = this.#deadline
  }

  // ── The call of interceptors ──────────────────────────────────────────────────────────────────────────────────

  get metadata(): Metadata {
    this.#metadata ??= this.#callerMetadata.clone()
    return this.#metadata
  }

  set metadata(metadata: Metadata) {
    if (!isMetadata(metadata)) {
      throw new TypeError(`call.metadata: expected a grpc-js Metadata, got ${show(metadata)}`)
    }
    this.#metadata = metadata
  }

  get deadline(): number {
    return this.#deadline
  }

  set deadline(deadline: number) {
    const value = Number(deadline)
    if (Number.isNaN(value)) throw new TypeError(`call.deadline: expected epoch milliseconds, got ${show(deadline)}`)
    this.#deadline = Math.min(value, this.#entryDeadline)
  }

  get credentials(): CallCredentials | undefined {
    return this.#credentials
  }

  set credentials(credentials: CallCredentials | undefined) {
    if (credentials !== undefined && typeof credentials.generateMetadata !== 'function') {
      throw new TypeError(`call.credentials: expected grpc-js CallCredentials, got ${show(credentials)}`)
    }
    this.#credentials = credentials
  }

  get waitForReady(): boolean {
    return (this.#metadata ?? this.#callerMetadata).getOptions().waitForReady ?? false
  }

  set waitForReady(wait: boolean) {
    this.metadata.setOptions({ ...this.metadata.getOptions(), waitForReady: wait })
  }

  get compression(): Compression | undefined {
    return this.#compression
  }

  set compression(compression: Compression | undefined) {
    if (compression !== undefined && compression !== 'identity' && compression !== this.#facts.compression) {
      throw new TypeError(
        `call.compression: ${show(compression)} cannot be honoured, grpc-js compresses per channel: create the channel ` +
          `with grpc.default_compression_algorithm`,
      )
    }
    this.#compression = compression
  }

  get target(): string | undefined {
    return this.#facts.target
  }

  get secure(): boolean | undefined {
    return this.#facts.secure
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
    if (this.#attempt !== undefined) throw new Error('makeReplayable: call it before the first next()')
    this.#replayPoints ??= []
    if (!this.#replayPoints.includes(this.depth)) this.#replayPoints.push(this.depth)
    this.#log ??= new RequestLog()
    this.#log.keep(limits)
  }

  respond(message: unknown): Promise<void> {
    const tapped = this.tapResponse(message, this.depth)
    if (!this.method.responseStream) {
      this.#response = tapped
      return Promise.resolve()
    }
    return new Promise((taken) => {
      this.#answers ??= []
      this.#answers.push({ message: tapped, taken })
      if (this.#readWanted) this.#deliverAnswer()
    })
  }

  cancel(details = 'Cancelled by an interceptor'): void {
    this.cancelWithStatus(Code.CANCELLED, details)
  }

  /** Shows the application response metadata of an interceptor's own, before what `respond` gives. */
  respondMetadata(metadata: Metadata): void {
    this.#deliverHeaders(metadata)
  }

  // ── grpc-js's call interface: what the stub calls ─────────────────────────────────────────────────────────────

  start(metadata: Metadata, listener?: Partial<InterceptingListener>): void {
    this.#callerMetadata = metadata
    this.#listener = listener ?? {}
    // grpc-js runs callbacks in whichever context opened the connection; applications expect their own.
    this.#caller = new AsyncResource('GRPC_STACK_CALL', { requireManualDestroy: true })
    if (this.#options.parent) this.#watchParent()
    this.#starting = true
    const storage = contextStorage()
    if (storage === undefined) this.run()
    else {
      this.rpcContext = new Context(storage.getStore())
      storage.run(this.rpcContext, () => this.run())
    }
    this.#starting = false
    if (this.#startError !== undefined) {
      // A closed channel throws out of the stub's method, with interceptors as without.
      this.#delivered = true
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
    const attempt = this.#attempt
    if (this.finished) {
      if (context.callback) process.nextTick(context.callback)
      return
    }
    const log = this.#log
    const ready = attempt !== undefined && !attempt.ended && !attempt.writing
    if (ready && (log === undefined || (!log.keeping && log.drained))) {
      this.#send(attempt, message, context.flags, context.callback)
      return
    }
    this.#log ??= new RequestLog()
    const entry: RequestEntry = { message, flags: context.flags, written: context.callback, stages: undefined }
    if (!this.#log.add(entry, this.#sizeOf(message))) this.#commit()
    this.#pump()
  }

  halfClose(): void {
    this.#halfClosed = true
    this.#pump()
  }

  startRead(): void {
    if (this.#answers !== undefined && this.#answers.length > 0) {
      this.#readWanted = true
      this.#deliverAnswer()
      return
    }
    this.#readWanted = true
    if (this.#attempt !== undefined && !this.#attempt.ended) this.#attempt.call.startRead()
  }

  cancelWithStatus(code: Code, details: string): void {
    const status = new LocalStatus({ code, details })
    if (this.finished) {
      // Only answers nobody has read yet can still be cut short.
      if (this.#final !== undefined && !this.#delivered) {
        this.#answers = undefined
        this.#final = status
        this.#deliverSoon()
      }
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
    const attempt = new Attempt(this)
    try {
      attempt.call = this.#facts.open(this.#nextCall, this.#attemptOptions())
      attempt.call.start(this.#metadata ?? this.#callerMetadata, attempt)
    } catch (error) {
      return Promise.resolve(this.#failedToStart(error))
    }
    this.#attempt = attempt
    this.#attempts++
    this.#response = NONE
    this.#heldHeaders = undefined
    this.#log?.rewind()
    if (this.#readWanted) attempt.call.startRead()
    this.#pump()
    return attempt.outcome
  }

  #failedToStart(error: unknown): Status {
    if (this.#starting) this.#startError = { error }
    const details = error instanceof Error ? error.message : show(error)
    return new LocalStatus({ code: Code.UNAVAILABLE, details, cause: error })
  }

  #attemptOptions(): InterceptorOptions {
    const options = this.#options
    const same =
      this.#attempts === 0 &&
      this.#deadline === this.#entryDeadline &&
      this.#credentials === options.credentials &&
      !options.parent
    if (same) return options
    const { parent: _parent, ...changed } = options
    if (this.#deadline !== Number.POSITIVE_INFINITY) changed.deadline = this.#deadline
    if (this.#credentials === undefined) delete changed.credentials
    else changed.credentials = this.#credentials
    return changed
  }

  #silence(attempt: Attempt | undefined): void {
    if (attempt === undefined || attempt.ended) return
    attempt.ended = true
    attempt.call.cancelWithStatus(Code.CANCELLED, 'Superseded')
  }

  protected override follow(outcome: Promise<Status>): void {
    if (outcome === this.#attempt?.outcome) this.#direct = true
    else super.follow(outcome)
  }

  /** Called by the attempt. */
  receiveMetadata(attempt: Attempt, metadata: Metadata): void {
    if (attempt.ended) return
    let tapped: Metadata
    try {
      tapped = this.tapMetadata(metadata)
    } catch (error) {
      this.#failAttempt(attempt, error)
      return
    }
    const replayable = this.#log?.keeping ?? false
    if (replayable && !this.method.requestStream) this.#heldHeaders = tapped
    else {
      this.#commit()
      this.#deliverHeaders(tapped)
    }
  }

  /** Called by the attempt. */
  receiveMessage(attempt: Attempt, message: unknown): void {
    if (attempt.ended) return
    const stream = this.method.responseStream
    // grpc-js hands up null when a unary response ends without a message; the status says what happened.
    if (!stream && message === null) return
    if (!stream && attempt.received) {
      attempt.call.cancelWithStatus(Code.UNIMPLEMENTED, 'Too many responses received')
      return
    }
    let tapped: unknown
    try {
      tapped = this.responseTaps === undefined ? message : this.#inContext(() => this.tapResponse(message))
    } catch (error) {
      this.#failAttempt(attempt, error)
      return
    }
    attempt.received = true
    this.#commit()
    if (stream) this.#deliverMessage(tapped)
    else {
      this.#response = tapped
      if (this.method.requestStream) attempt.call.startRead()
    }
  }

  /** Called by the attempt. */
  receiveStatus(attempt: Attempt, raw: StatusObject): void {
    if (attempt.ended) return
    attempt.ended = true
    const status = attempt.failure ?? this.complete(new RemoteStatus(raw.code, raw.details, raw.metadata))
    this.#wire = { status, raw }
    this.depth = this.waiting
    if (this.#direct && !this.finished) {
      this.finished = true
      this.finish(status, true)
    }
    attempt.resolve(status)
    if (this.finished) return
    if (this.block !== undefined) this.decide(status, this.block.outside)
    else if (this.#expired) this.decide(deadlineExceeded(), -1)
    else {
      const expired = this.#scopes?.find((scope) => scope.expired)
      if (expired) this.decide(deadlineExceeded(), expired.layer.index)
    }
  }

  /** An interceptor's tap threw: this attempt ends with INTERNAL, whatever grpc-js makes of the cancellation. */
  #failAttempt(attempt: Attempt, error: unknown): void {
    const what = `A message tap threw: ${error instanceof Error ? error.message : show(error)}`
    attempt.failure ??= internalStatus('client', what, error)
    attempt.call.cancelWithStatus(Code.INTERNAL, what)
  }

  protected complete(status: Status): Status {
    if (status.code !== Code.OK || this.method.responseStream || this.#response !== NONE) return status
    return new LocalStatus({
      code: Code.UNIMPLEMENTED,
      details: 'No message received',
      ...(status.metadata && { metadata: status.metadata }),
      origin: status.origin ?? 'local',
    })
  }

  // ── Request messages: one at a time, replayed on a new attempt ───────────────────────────────────────────────

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

  #send(attempt: Attempt, message: unknown, flags: number | undefined, written?: () => void, entry?: RequestEntry): void {
    let tapped: unknown = message
    if (this.requestTaps !== undefined) {
      try {
        tapped = this.#inContext(() => this.#tapInStages(message, entry))
      } catch (error) {
        this.#failAttempt(attempt, error)
        return
      }
    }
    const marks = this.#compression === 'identity' ? (flags ?? 0) | NO_COMPRESS : flags
    if (!this.method.requestStream) {
      // One message, written at once: nobody waits for the callback, and half-close may follow directly.
      if (marks === undefined && written === undefined) attempt.call.sendMessage(tapped)
      else attempt.call.sendMessageWithContext(messageContext(marks, written), tapped)
      return
    }
    // grpc-js keeps a single unsent message until its own call is up (resolving-call.ts, 1.14): never two in flight.
    attempt.writing = true
    const onWritten = () => {
      if (attempt !== this.#attempt) return
      attempt.writing = false
      if (entry !== undefined) entry.written = undefined
      written?.()
      this.#pump()
    }
    attempt.call.sendMessageWithContext(messageContext(marks, onWritten), tapped)
  }

  /** Outer taps see a replayed message once; taps inside the replaying interceptor see it on each attempt. */
  #tapInStages(message: unknown, entry: RequestEntry | undefined): unknown {
    const points = this.#replayPoints
    if (points === undefined || entry === undefined) return this.tapRequest(message)
    const from = this.#scopes?.findLast((scope) => points.includes(scope.layer.index))?.layer.index ?? -1
    entry.stages ??= []
    let seen = message
    let depth = Number.NEGATIVE_INFINITY
    const known = points.indexOf(from)
    if (known >= 0 && known in entry.stages) {
      seen = entry.stages[known]
      depth = from
    }
    for (const [n, point] of points.entries()) {
      if (point <= depth) continue
      seen = this.tapRequest(seen, depth, point)
      entry.stages[n] = seen
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
      this.#deliverHeaders(this.#heldHeaders)
      this.#heldHeaders = undefined
    }
  }

  // ── Scopes: a repeated or shortened next() ────────────────────────────────────────────────────────────────────

  protected override first(layer: Layer): Promise<Status> {
    const replayable = this.#replayPoints?.includes(layer.index) ?? false
    if (!replayable && this.#deadline >= this.#scopeDeadline) return this.enter(layer.index + 1)
    return this.#enterScope(layer)
  }

  protected again(layer: Layer): Promise<Status> {
    const refuse = (what: string) => Promise.resolve(this.misuse(layer, what))
    if (!this.#replayPoints?.includes(layer.index)) {
      return refuse('called next() again without call.makeReplayable() before the first')
    }
    if (this.#scopes?.some((scope) => scope.layer === layer)) return refuse('called next() while the last one was running')
    if (this.#committed) return refuse('called next() again on a call that is committed')
    return this.#enterScope(layer)
  }

  #enterScope(layer: Layer): Promise<Status> {
    const scope: Scope = {
      layer,
      metadata: this.metadata,
      deadline: this.#deadline,
      outerDeadline: this.#scopeDeadline,
      credentials: this.#credentials,
      compression: this.#compression,
      controller: this.controller,
      timer:
        this.#deadline < this.#scopeDeadline
          ? startDeadlineTimer(this.#deadline, () => this.#expireScope(scope))
          : undefined,
      expired: false,
    }
    this.#metadata = scope.metadata.clone()
    this.controller = undefined
    this.#scopeDeadline = this.#deadline
    this.#scopes ??= []
    this.#scopes.push(scope)
    const outer = (tap: { readonly depth: number }) => tap.depth <= layer.index
    this.requestTaps = this.requestTaps?.filter(outer)
    this.responseTaps = this.responseTaps?.filter(outer)
    this.metadataTaps = this.metadataTaps?.filter(outer)
    this.waiting = layer.index
    return this.enter(layer.index + 1).then((status) => {
      this.#leaveScope(scope)
      return status
    })
  }

  #leaveScope(scope: Scope): void {
    scope.timer?.stop()
    this.#scopes = this.#scopes?.filter((open) => open !== scope)
    this.#metadata = scope.metadata
    this.#deadline = scope.deadline
    this.#scopeDeadline = scope.outerDeadline
    this.#credentials = scope.credentials
    this.#compression = scope.compression
    this.controller = scope.controller
    this.depth = this.waiting = scope.layer.index
    if (this.block?.outside === scope.layer.index) this.block = undefined
  }

  #expireScope(scope: Scope): void {
    scope.expired = true
    const attempt = this.#attempt
    // grpc-js has the same deadline for a running attempt and more to say about it.
    if (this.block !== undefined || (attempt !== undefined && !attempt.ended)) return
    this.decide(deadlineExceeded(), scope.layer.index)
  }

  #expire(): void {
    this.#expired = true
    const attempt = this.#attempt
    if (this.finished || this.block?.outside === -1 || (attempt !== undefined && !attempt.ended)) return
    this.decide(deadlineExceeded(), -1)
  }

  protected override abortSignals(status: Status, outside: number): void {
    super.abortSignals(status, outside)
    for (const scope of this.#scopes ?? []) {
      if (scope.layer.index > outside) scope.controller?.abort(abortReason(status))
    }
  }

  #watchParent(): void {
    // grpc-js adds a listener per attempt and never removes it (resolving-call.ts, 1.14): listen once, here.
    const { propagate_flags: flags } = this.#options
    const parent: EventEmitter | undefined = this.#options.parent
    if (!parent || ((flags ?? propagate.DEFAULTS) & propagate.CANCELLATION) === 0) return
    const onCancelled = () => this.cancelWithStatus(Code.CANCELLED, 'Cancelled by parent call')
    parent.on('cancelled', onCancelled)
    this.#forgetParent = () => parent.removeListener('cancelled', onCancelled)
  }

  // ── Delivery to the application, in its own context ───────────────────────────────────────────────────────────

  protected finish(status: Status, sync: boolean): void {
    this.#timer?.stop()
    for (const scope of this.#scopes ?? []) scope.timer?.stop()
    this.#forgetParent?.()
    this.#silence(this.#attempt)
    for (const entry of this.#log?.entries ?? []) {
      if (entry.written) process.nextTick(entry.written)
    }
    this.#log = undefined
    this.#final = status
    if (sync) this.#deliverFinal()
    else this.#deliverSoon()
  }

  #deliverSoon(): void {
    // Out of the promise chain: what the application's callback throws must surface as its own, not as a rejection.
    process.nextTick(() => this.#deliverFinal())
  }

  #deliverFinal(): void {
    if (this.#delivered || (this.#answers !== undefined && this.#answers.length > 0)) return
    this.#delivered = true
    const status = this.#final as Status // set by finish() before
    const listener = this.#listener
    this.#inCaller(() => {
      if (this.#heldHeaders !== undefined) listener.onReceiveMetadata?.(this.#heldHeaders)
      const ok = status.code === Code.OK
      if (ok && !this.method.responseStream && this.#response !== NONE) listener.onReceiveMessage?.(this.#response)
      listener.onReceiveStatus?.(this.#wire?.status === status ? this.#wire.raw : (status as StatusObject))
    })
  }

  #deliverHeaders(metadata: Metadata): void {
    if (this.#delivered) return
    this.#inCaller(() => this.#listener.onReceiveMetadata?.(metadata))
  }

  #deliverMessage(message: unknown): void {
    if (this.#delivered) return
    this.#readWanted = false
    this.#inCaller(() => this.#listener.onReceiveMessage?.(message))
  }

  #deliverAnswer(): void {
    const answer = this.#answers?.shift()
    if (answer === undefined) return
    this.#commit()
    this.#deliverMessage(answer.message)
    answer.taken()
    if (this.#final !== undefined) this.#deliverFinal()
  }

  #inCaller(deliver: () => void): void {
    this.#caller?.runInAsyncScope(deliver)
  }

  /** Taps see the context of this RPC, where there is one. */
  #inContext<T>(work: () => T): T {
    const storage = this.rpcContext && contextStorage()
    return storage && this.rpcContext ? storage.run(this.rpcContext, work) : work()
  }
}

function deadlineExceeded(): Status {
  return new LocalStatus({ code: Code.DEADLINE_EXCEEDED, details: 'Deadline exceeded' })
}

function messageContext(flags: number | undefined, callback: (() => void) | undefined): MessageContext {
  const context: MessageContext = {}
  if (callback !== undefined) context.callback = callback
  if (flags !== undefined) context.flags = flags
  return context
}
