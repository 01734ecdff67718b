import { AsyncResource } from 'node:async_hooks'
import {
  status as Code,
  type InterceptingCall,
  type InterceptingListener,
  type InterceptorOptions,
  type Metadata,
  type NextCall,
  type StatusObject,
} from '@grpc/grpc-js'
import { type AnyCall, failedCall, failedCallOf } from '../calls/call-handle.ts'
import { isAsyncIterable, isIterable } from '../calls/request-pump.ts'
import { LocalStatus, type Status, UnattemptedStatus } from '../contract/status.ts'
import { failureStatus, internalStatus } from '../engine/answer.ts'
import { Siblings } from '../engine/client/attempt-count.ts'
import { InterceptedClientCall, type OuterCall } from '../engine/client/client-call.ts'
import { abortReason } from '../engine/intercepted-call.ts'
import type { ChannelFacts } from '../grpc-js/channel-facts.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { type DeadlineTimer, startDeadlineTimer, toEpochMs } from '../runtime/deadline.ts'
import { show } from '../runtime/show.ts'
import { isThenable } from '../runtime/thenable.ts'
import { AnswerStream } from './answer-stream.ts'
import {
  type ClientCallDetails,
  type ClientCallDetailsPatch,
  OutgoingCallDetails,
  patched,
} from './client-call-details.ts'
import type { ClientPlan, ObjectLayer } from './client-plan.ts'
import type { InnerCall } from './inner-call.ts'
import { InnerCalls } from './inner-calls.ts'
import { innerCall } from './inner-options.ts'
import { clientHook } from './interceptor-object.ts'
import { MessageSource } from './message-source.ts'

/** What grpc-js calls below an interceptor; its type has no exported name since 1.14.2. */
type BaseCall = ReturnType<NextCall>
type MessageContext = Parameters<BaseCall['sendMessageWithContext']>[0]
type Input = unknown

/**
 * A call through a stack that is planned for its method.
 * @param outer the call around the interceptor object whose continuation it is, and its siblings
 */
export function openPlanned(
  plan: ClientPlan,
  options: InterceptorOptions,
  nextCall: NextCall,
  facts: ChannelFacts,
  outer?: OuterCall,
): InterceptedClientCall {
  const { method, stack, layer } = plan
  if (layer === undefined) return new InterceptedClientCall(options, nextCall, method, stack, facts, outer)
  const enter: NextCall = (given) => new ObjectCall(call, layer, plan, given, nextCall, facts)
  const around: ChannelFacts = { ...facts, opensRpc: false, open: (next, given) => next(given) }
  const call = new InterceptedClientCall(options, enter, method, stack, around, outer)
  return call
}

/**
 * Runs an interceptor object in the place of grpc-js's call: the engine treats it as the RPC itself. Each continuation is a call
 * of its own through the rest of the stack.
 *
 *     InterceptedClientCall ──▶ ObjectCall ── interceptUnaryUnary(continuation, …)
 *                                               │
 *                          continuation() ──────┴──▶ InnerCall ─▶ InterceptedClientCall(rest) ──▶ grpc-js
 */
export class ObjectCall implements Omit<BaseCall, never> {
  readonly #parent: InterceptedClientCall
  readonly #layer: ObjectLayer
  readonly #plan: ClientPlan
  readonly #options: InterceptorOptions
  readonly #nextCall: NextCall
  readonly #facts: ChannelFacts
  readonly #deadline: number
  readonly #siblings: Siblings
  readonly #scope: AsyncResource = new AsyncResource('GRPC_STACK_OBJECT', { requireManualDestroy: true })
  #listener: Partial<InterceptingListener> = {}
  #details: ClientCallDetails | undefined
  #metadata!: Metadata
  #requests: MessageSource<unknown> | undefined
  readonly #calls = new InnerCalls((headers) => this.#listener.onReceiveMetadata?.(headers))
  #answer: AnswerStream | undefined
  /** A message was asked for before there was an answer to take it from. */
  #readWanted = false
  #controller: AbortController | undefined
  #timer: DeadlineTimer | undefined
  /** What cancel or the deadline has decided; the interceptor may still put it into its own words. */
  #decided: Status | undefined
  #ended = false

  constructor(
    parent: InterceptedClientCall,
    layer: ObjectLayer,
    plan: ClientPlan,
    options: InterceptorOptions,
    nextCall: NextCall,
    facts: ChannelFacts,
  ) {
    this.#parent = parent
    this.#siblings = new Siblings(parent.attemptCount)
    this.#layer = layer
    this.#plan = plan
    this.#options = options
    this.#nextCall = nextCall
    this.#facts = facts
    this.#deadline = toEpochMs(options.deadline)
  }

  // ── grpc-js's call interface: what the engine calls ───────────────────────────────────────────────────────────

  start(metadata: Metadata, listener: Partial<InterceptingListener> = {}): void {
    this.#listener = listener
    this.#metadata = metadata
    if (this.#deadline !== Number.POSITIVE_INFINITY) {
      this.#timer = startDeadlineTimer(this.#deadline, () =>
        this.#decide(new UnattemptedStatus(Code.DEADLINE_EXCEEDED, 'Deadline exceeded', newMetadata())),
      )
    }
    if (!this.#plan.method.requestStream) return
    const requests = new MessageSource(`${this.#plan.method.path}: the requests`)
    this.#requests = requests
    this.#scope.runInAsyncScope(() => this.#run(requests))
  }

  sendMessage(message: unknown): void {
    this.sendMessageWithContext({}, message)
  }

  sendMessageWithContext(context: MessageContext, message: unknown): void {
    const { callback, flags } = context
    if (this.#ended) this.#sendLate(message, callback)
    else if (this.#requests !== undefined) this.#requests.push(message, callback, flags)
    else {
      // As after a write: not before the write has returned.
      if (callback) process.nextTick(callback)
      this.#scope.runInAsyncScope(() => this.#run(message))
    }
  }

  halfClose(): void {
    this.#requests?.end()
  }

  startRead(): void {
    if (!this.#plan.method.responseStream || this.#ended) return
    const { chosen } = this.#calls
    if (chosen !== undefined) chosen.ask()
    else if (this.#answer !== undefined) this.#answer.ask()
    else this.#readWanted = true
  }

  cancelWithStatus(code: Code, details: string): void {
    if (this.#ended) return
    this.#decide(new UnattemptedStatus(code, details, newMetadata()))
    this.#calls.cancel(code, details)
  }

  /** What `channelBelow` follows down to the channel. */
  get nextCall(): BaseCall | undefined {
    return this.#calls.latest?.below
  }

  getPeer(): string {
    return this.#calls.handle?.peer() ?? this.#facts.target ?? 'unknown'
  }

  getAuthContext(): ReturnType<InterceptingCall['getAuthContext']> {
    return this.#calls.handle?.authContext() ?? null
  }

  // ── The interceptor ───────────────────────────────────────────────────────────────────────────────────────────

  #run(input: Input): void {
    if (this.#ended || this.#decided !== undefined) return
    const deadline = this.#deadline
    this.#details = new OutgoingCallDetails(
      {
        method: this.#plan.method.path,
        timeoutMs: deadline === Number.POSITIVE_INFINITY ? undefined : deadline - Date.now(),
        deadline,
        metadata: this.#metadata.clone(),
        credentials: this.#options.credentials,
        waitForReady: this.#metadata.getOptions().waitForReady ?? false,
        compression: this.#parent.compression,
      },
      () => this.#signal(),
    )
    const { object } = this.#layer
    // One implementation serves the four kinds: what differs is what the input is and what the answer must be.
    const intercept = object[clientHook(this.#plan.method)] as unknown as (...args: unknown[]) => unknown
    const continuation = (details: ClientCallDetails | ClientCallDetailsPatch, given: Input): AnyCall<unknown> => {
      // From another call's event it continues where the interceptor was entered, as a late next() does.
      if (this.#parent.run.inOwnContext) return this.#open(details, given)
      return this.#scope.runInAsyncScope(() => this.#open(details, given))
    }
    let answer: unknown
    let promised = false
    try {
      answer = intercept.call(object, continuation, this.#details, input)
      if (this.#calls.of(answer) === undefined) promised = isThenable(answer)
    } catch (error) {
      this.#failed(error)
      return
    }
    const own = this.#calls.of(answer)
    if (own !== undefined) {
      this.#takeOver(own)
      return
    }
    this.#calls.readAhead()
    if (promised) {
      Promise.resolve(answer).then(
        (value) => this.#answered(value),
        (error: unknown) => this.#failed(error),
      )
    } else this.#answered(answer)
  }

  #open(given: ClientCallDetails | ClientCallDetailsPatch, input: Input): AnyCall<unknown> {
    const { path, responseStream } = this.#plan.method
    const where = `${this.#layer.name}: continuation`
    const initial = this.#details as ClientCallDetails // set before the interceptor was called
    const details = patched(initial, given, where)
    if (this.#ended) {
      const what = `${this.#layer.name} called its continuation after ${path} had ended`
      return failedCall(responseStream, internalStatus('client', what))
    }
    if (this.#decided !== undefined) return failedCall(responseStream, this.#decided)
    const { plan, options, metadata, facts } = innerCall(details, this.#layer, this.#plan, this.#options, this.#facts)
    const below = openPlanned(plan, options, this.#nextCall, facts, { call: this.#parent, siblings: this.#siblings })
    return this.#calls.open(below, input, metadata)
  }

  /** The interceptor returned a call of its continuation: what that receives is what the application gets, event by event. */
  #takeOver(call: InnerCall): void {
    try {
      call.claim()
    } catch (error) {
      this.#failed(error)
      return
    }
    this.#calls.choose(call)
    const { startError } = call
    if (startError !== undefined) {
      this.#close(call.ending as Status)
      // As without the interceptor, a closed channel throws where the call is made.
      throw startError.error
    }
    const relay = {
      message: (message: unknown) => this.#listener.onReceiveMessage?.(message),
      ended: (status: StatusObject) => {
        if (this.#ended) return
        // A cancel that came with the response, within one event, is in time.
        const end = status.code === Code.OK && this.#decided !== undefined ? (this.#decided as StatusObject) : status
        this.#close(end)
        this.#listener.onReceiveStatus?.(end)
      },
    }
    call.relayTo(relay, this.#readWanted)
  }

  // ── Its answer ────────────────────────────────────────────────────────────────────────────────────────────────

  #answered(value: unknown): void {
    if (this.#ended) return
    if (!this.#plan.method.responseStream) {
      if (value === undefined || value === null) this.#refuse(`answered with ${value} instead of a response`)
      else this.#succeed({ message: value })
      return
    }
    const own = this.#calls.of(value)
    if (own === undefined) this.#follow(value)
    else if (own.startError !== undefined) this.#finish(own.ending as Status, own)
    else {
      // Out of the promise: what the application's listeners throw must surface as their own. The call reads ahead until then.
      process.nextTick(() => {
        if (!this.#ended && this.#decided === undefined) this.#takeOver(own)
      })
    }
  }

  #follow(value: unknown): void {
    let responses: AsyncIterator<unknown> | Iterator<unknown> | undefined
    try {
      if (isAsyncIterable(value)) responses = value[Symbol.asyncIterator]()
      else if (typeof value === 'object' && isIterable(value)) responses = value[Symbol.iterator]()
    } catch (error) {
      this.#failed(error)
      return
    }
    if (responses === undefined) this.#refuse(`answered with ${show(value)} instead of an iterable of responses`)
    else {
      const receiver = {
        message: (message: unknown) => {
          this.#calls.giveHeadersOf(this.#calls.latest)
          this.#listener.onReceiveMessage?.(message)
        },
        done: () => this.#succeed(),
        failed: (error: unknown) => this.#failed(error),
      }
      this.#answer = new AnswerStream(responses, receiver, this.#readWanted)
    }
  }

  /** OK, in the words of the call that is the answer, else of the latest, if that is how it ended. */
  #succeed(response?: { readonly message: unknown }): void {
    const source = this.#calls.sourceOf(response?.message)
    const ending = source?.ending
    if (ending?.code === Code.OK) this.#finish(ending, source, response)
    else this.#finish(new LocalStatus({ code: Code.OK }), undefined, response)
  }

  #failed(error: unknown): void {
    if (this.#ended) return
    const call = this.#calls.of(failedCallOf(error))
    if (call?.ending !== undefined) this.#finish(call.ending, call)
    else {
      const refusedBy = this.#calls.latest === undefined ? this.#layer.name : undefined
      this.#finish(failureStatus(error, 'client', `Interceptor ${this.#layer.name} threw`, refusedBy))
    }
  }

  #refuse(what: string, cause?: unknown): void {
    this.#finish(internalStatus('client', `Interceptor ${this.#layer.name} ${what}`, cause))
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────

  #signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#decided !== undefined) this.#controller.abort(abortReason(this.#decided))
    }
    return this.#controller.signal
  }

  /** Cancel or the deadline has spoken. What runs inside ends by it too, and the interceptor gets to see how. */
  #decide(status: Status): void {
    if (this.#ended || this.#decided !== undefined) return
    this.#decided = status
    this.#calls.decide()
    this.#timer?.stop()
    this.#controller?.abort(abortReason(status))
    this.#answer?.silence()
    const { chosen } = this.#calls
    if (chosen !== undefined) {
      chosen.silence()
      // It was cancelled too, or has the same deadline, and says how it ended.
      if (chosen.ended) this.#finish(status)
      return
    }
    // A turn for the interceptor, whose promises go on once its calls have ended, to say how it ends.
    void this.#calls.ended().then(() => setImmediate(() => this.#finish(status)))
  }

  /** @param from the call whose status it is, if it is one's */
  #finish(given: Status, from?: InnerCall, response?: { readonly message: unknown }): void {
    if (this.#ended) return
    let [status, source] = [given, from]
    if (this.#decided !== undefined && from === undefined) {
      // What grpc-js says about a cancelled call is what the application would hear without us.
      const { latest } = this.#calls
      const ending = latest?.ending
      const told = ending !== undefined && ending.code !== Code.OK
      status = told ? ending : this.#decided
      source = told ? latest : undefined
    }
    this.#close(status)
    // Out of the promise chain: what the application's callback throws must surface as its own.
    process.nextTick(() => {
      this.#calls.giveHeadersOf(source)
      if (response !== undefined && status === given) this.#listener.onReceiveMessage?.(response.message)
      this.#listener.onReceiveStatus?.(status as StatusObject) // complete: made by a call or by this library
    })
  }

  /** Nothing more comes from the interceptor, and its calls that still run are not needed. */
  #close(status: Status): void {
    this.#ended = true
    this.#timer?.stop()
    const untaken = this.#requests?.close(abortReason(status.code === Code.OK ? ENDED : status)) ?? []
    this.#calls.close()
    this.#answer?.close()
    for (const { message, taken } of untaken) this.#sendLate(message, taken)
  }

  /** A request that the interceptor has not taken before the end. */
  #sendLate(message: unknown, written: (() => void) | undefined): void {
    if (written !== undefined) this.#parent.requests.confirmLate(message, written)
  }
}

const ENDED: Status = { code: Code.CANCELLED, details: 'The call has ended' }
