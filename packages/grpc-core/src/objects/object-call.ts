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
import { type AnyCall, failedCall, failedCallOf, type OpenedCall } from '../calls/call-handle.ts'
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
import { openInner } from './inner-call.ts'
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
 * What a call is made of below the plain interceptors, when an interceptor object comes next: to the engine an RPC on the wire,
 * in truth the object at work. Each continuation is a call of its own through the rest of the stack.
 *
 *     InterceptedClientCall ──▶ ObjectCall ── interceptUnaryUnary(continuation, …)
 *                                               │
 *                          continuation() ──────┴──▶ openInner ─▶ InterceptedClientCall(rest) ──▶ grpc-js
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
  /** The calls of its continuation; only the running ones are held, as an interceptor may make any number. */
  readonly #own = new WeakSet<object>()
  readonly #running = new Set<AnyCall<unknown>>()
  #latest: AnyCall<unknown> | undefined
  /** Those with a single response, to tell later whose response the answer is. */
  readonly #singles: AnyCall<unknown>[] = []
  #below: InterceptedClientCall | undefined
  /** The one of them that is the answer. */
  #chosen: AnyCall<unknown> | undefined
  #answer: AnswerStream | undefined
  /** A message was asked for before there was an answer to take it from. */
  #readWanted = false
  #headersGiven = false
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
    if (this.#requests !== undefined) this.#requests.push(message, context.callback as (() => void) | undefined)
    else {
      if (context.callback) process.nextTick(context.callback)
      this.#scope.runInAsyncScope(() => this.#run(message))
    }
  }

  halfClose(): void {
    this.#requests?.end()
  }

  startRead(): void {
    if (!this.#plan.method.responseStream || this.#ended) return
    this.#readWanted = true
    this.#answer?.ask()
  }

  cancelWithStatus(code: Code, details: string): void {
    if (this.#ended) return
    for (const call of this.#running) call.cancelWith(code, details)
    this.#decide(new UnattemptedStatus(code, details, newMetadata()))
  }

  /** What `channelBelow` follows down to the channel. */
  get nextCall(): BaseCall | undefined {
    return this.#below
  }

  getPeer(): string {
    return this.#latest?.peer() ?? this.#facts.target ?? 'unknown'
  }

  getAuthContext(): ReturnType<InterceptingCall['getAuthContext']> {
    return this.#latest?.authContext() ?? null
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
    let promised: boolean
    try {
      answer = intercept.call(object, continuation, this.#details, input)
      promised = isThenable(answer)
    } catch (error) {
      this.#failed(error)
      return
    }
    this.#choose(answer)
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
    this.#below = openPlanned(plan, options, this.#nextCall, facts, { call: this.#parent, siblings: this.#siblings })
    const call = openInner(this.#below, input, metadata)
    this.#own.add(call)
    this.#running.add(call)
    this.#latest = call
    if (!responseStream) this.#singles.push(call)
    void call.status.then(() => this.#running.delete(call))
    call.onHeaders = (headers) => this.#receiveHeaders(call, headers)
    return call
  }

  /** Whether the interceptor handed on a call of its own continuation: then it is as if it were not there. */
  #choose(answer: unknown): void {
    if (typeof answer !== 'object' || answer === null || !this.#own.has(answer)) return
    const call = answer as AnyCall<unknown> // its own continuation made it
    if (call === this.#chosen) return
    this.#chosen = call
    if (call.receivedHeaders !== undefined) this.#receiveHeaders(call, call.receivedHeaders)
    if (this.#plan.method.responseStream) void call.status.then(() => this.#dropUnread())
  }

  #receiveHeaders(call: AnyCall<unknown>, headers: Metadata): void {
    const { requestStream, responseStream } = this.#plan.method
    // One request and one response: another attempt may follow, whose headers these are not.
    if (!requestStream && !responseStream && call !== this.#chosen) return
    if (this.#ended || this.#headersGiven || call !== (this.#chosen ?? this.#latest)) return
    this.#headersGiven = true
    this.#listener.onReceiveMetadata?.(headers)
  }

  // ── Its answer ────────────────────────────────────────────────────────────────────────────────────────────────

  #answered(value: unknown): void {
    if (this.#ended) return
    if (this.#plan.method.responseStream) {
      this.#choose(value)
      this.#follow(value)
      return
    }
    if (value === undefined || value === null) this.#refuse(`answered with ${value} instead of a response`)
    else this.#succeed({ message: value })
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
        message: (message: unknown) => this.#listener.onReceiveMessage?.(message),
        done: () => this.#succeed(),
        failed: (error: unknown) => this.#failed(error),
        unread: () => this.#dropUnread(),
      }
      this.#answer = new AnswerStream(responses, receiver, this.#readWanted)
    }
  }

  /** grpc-js does not keep a failure back until the messages before it are read: it drops them. */
  #dropUnread(): void {
    const chosen = this.#chosen
    const status = chosen?.ending
    if (status === undefined || status.code === Code.OK || !this.#answer?.unread) return
    // An application that reads has asked for more by then.
    setImmediate(() => {
      if (this.#answer?.unread) this.#finish(status, chosen)
    })
  }

  /** OK, in the words of the call that is the answer, else of the latest, if that is how it ended. */
  #succeed(response?: { readonly message: unknown }): void {
    const source = this.#chosen ?? this.#singles.find((call) => call.gave(response?.message)) ?? this.#latest
    const ending = source?.ending
    if (ending?.code === Code.OK) this.#finish(ending, source, response)
    else this.#finish(new LocalStatus({ code: Code.OK }), undefined, response)
  }

  #failed(error: unknown): void {
    if (this.#ended) return
    const call = failedCallOf(error)
    if (call?.ending !== undefined && this.#own.has(call)) this.#finish(call.ending, call)
    else {
      const refusedBy = this.#latest === undefined ? this.#layer.name : undefined
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
    this.#timer?.stop()
    this.#controller?.abort(abortReason(status))
    this.#answer?.silence()
    const endings = Array.from(this.#running, (call) => call.status)
    void Promise.all(endings).then(() => setImmediate(() => this.#finish(status)))
  }

  /** @param from the call whose status it is, if it is one's */
  #finish(given: Status, from?: OpenedCall, response?: { readonly message: unknown }): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer?.stop()
    let [status, source] = [given, from]
    if (this.#decided !== undefined && from === undefined) {
      // What grpc-js says about a cancelled call is what the application would hear without us.
      const ending = this.#latest?.ending
      const told = ending !== undefined && ending.code !== Code.OK
      status = told ? ending : this.#decided
      source = told ? this.#latest : undefined
    }
    const headers = this.#headersGiven ? undefined : source?.receivedHeaders
    this.#requests?.close(abortReason(status.code === Code.OK ? ENDED : status))
    for (const call of this.#running) call.cancel('The call it was made for has ended')
    this.#answer?.close()
    // Out of the promise chain: what the application's callback throws must surface as its own.
    process.nextTick(() => {
      if (headers !== undefined) this.#listener.onReceiveMetadata?.(headers)
      if (response !== undefined && status === given) this.#listener.onReceiveMessage?.(response.message)
      this.#listener.onReceiveStatus?.(status as StatusObject) // complete: made by a call or by this library
    })
  }
}

const ENDED: Status = { code: Code.CANCELLED, details: 'The call has ended' }
