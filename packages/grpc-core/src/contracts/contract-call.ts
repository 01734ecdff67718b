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
import type { ClientCall, Compression, Interceptor } from '../call.ts'
import { type AnyCall, failedCall, failedCallOf } from '../call-handle.ts'
import type { ChannelFacts } from '../channel-facts.ts'
import { FusedClientCall } from '../client-call.ts'
import { type DeadlineTimer, startDeadlineTimer, toEpochMs } from '../deadline.ts'
import { abortReason, internalStatus } from '../fused-call.ts'
import { newMetadata } from '../metadata.ts'
import { isAsyncIterable, isIterable } from '../request-pump.ts'
import { LocalStatus, RpcError, type Status, show, UnattemptedStatus } from '../status.ts'
import { isThenable } from '../thenable.ts'
import { clientHook } from './adapt.ts'
import { ClientCallDetails, type ClientCallDetailsPatch, patched } from './client-call-details.ts'
import type { ClientPlan, ContractLayer } from './client-plan.ts'
import { openInner } from './inner-call.ts'
import { MessageSource } from './message-source.ts'

/** What grpc-js calls below an interceptor; its type has no exported name since 1.14.2. */
type BaseCall = ReturnType<NextCall>
type MessageContext = Parameters<BaseCall['sendMessageWithContext']>[0]
type Input = unknown

/** A call through a stack that is planned for its method. */
export function openPlanned(
  plan: ClientPlan,
  options: InterceptorOptions,
  nextCall: NextCall,
  facts: ChannelFacts,
): FusedClientCall {
  const { method, stack, layer } = plan
  if (layer === undefined) return new FusedClientCall(options, nextCall, method, stack, facts)
  const enter: NextCall = (given) => new ContractCall(call, layer, plan, given, nextCall, facts)
  const call = new FusedClientCall(options, enter, method, stack, { ...facts, open: (next, given) => next(given) })
  return call
}

/**
 * What a call is made of below the plain interceptors, when a contract object comes next: to the engine an RPC on the wire,
 * in truth the object at work. Each continuation is a call of its own through the rest of the stack.
 *
 *     FusedClientCall ──▶ ContractCall ── interceptUnaryUnary(continuation, …)
 *                                               │
 *                          continuation() ──────┴──▶ openCall ──▶ FusedClientCall(rest) ──▶ grpc-js
 */
export class ContractCall implements Omit<BaseCall, never> {
  readonly #parent: FusedClientCall
  readonly #layer: ContractLayer
  readonly #plan: ClientPlan
  readonly #options: InterceptorOptions
  readonly #nextCall: NextCall
  readonly #facts: ChannelFacts
  readonly #deadline: number
  readonly #scope: AsyncResource = new AsyncResource('GRPC_STACK_CONTRACT', { requireManualDestroy: true })
  #listener: Partial<InterceptingListener> = {}
  #details: ClientCallDetails | undefined
  #metadata!: Metadata
  #requests: MessageSource<unknown> | undefined
  /** The calls the continuation has made, the latest last. */
  readonly #calls: AnyCall<unknown>[] = []
  #below: FusedClientCall | undefined
  /** The one of them that is the answer. */
  #chosen: AnyCall<unknown> | undefined
  #responses: AsyncIterator<unknown> | Iterator<unknown> | undefined
  #held: { readonly message: unknown } | undefined
  #readWanted = false
  #headersGiven = false
  #controller: AbortController | undefined
  #timer: DeadlineTimer | undefined
  /** What cancel or the deadline has decided; the interceptor may still put it into its own words. */
  #decided: Status | undefined
  #ended = false

  constructor(
    parent: FusedClientCall,
    layer: ContractLayer,
    plan: ClientPlan,
    options: InterceptorOptions,
    nextCall: NextCall,
    facts: ChannelFacts,
  ) {
    this.#parent = parent
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
    this.#requests = new MessageSource(`${this.#plan.method.path}: the requests`)
    this.#run(this.#requests)
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
    if (this.#held !== undefined) this.#give()
  }

  cancelWithStatus(code: Code, details: string): void {
    if (this.#ended) return
    for (const call of this.#calls) call.cancelWith(code, details)
    this.#decide(new UnattemptedStatus(code, details, newMetadata()))
  }

  /** What `channelBelow` follows down to the channel. */
  get nextCall(): BaseCall | undefined {
    return this.#below
  }

  getPeer(): string {
    return this.#calls.at(-1)?.peer() ?? this.#facts.target ?? 'unknown'
  }

  getAuthContext(): ReturnType<InterceptingCall['getAuthContext']> {
    return this.#calls.at(-1)?.authContext() ?? null
  }

  // ── The interceptor ───────────────────────────────────────────────────────────────────────────────────────────

  #run(input: Input): void {
    if (this.#ended || this.#decided !== undefined) return
    const deadline = this.#deadline
    this.#details = new ClientCallDetails(
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
    const { contract } = this.#layer
    // One implementation serves the four kinds: what differs is what the input is and what the answer must be.
    const intercept = contract[clientHook(this.#plan.method)] as unknown as (...args: unknown[]) => unknown
    const continuation = (details: ClientCallDetails | ClientCallDetailsPatch, given: Input) =>
      this.#open(details, given)
    let answer: unknown
    try {
      answer = intercept.call(contract, continuation, this.#details, input)
    } catch (error) {
      this.#failed(error)
      return
    }
    this.#choose(answer)
    if (isThenable(answer)) {
      answer.then(
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
    if (details.method !== path && !this.#facts.canRewritePath) {
      throw new Error(
        `${where}: the method can only be changed on a channel of this library; grpc-js binds a stub to its own paths`,
      )
    }
    checkCompression(details.compression, this.#facts, where)
    const plan = this.#layer.inside(details.method)
    const definition = { ...this.#options.method_definition, path: details.method }
    const { parent: _parent, ...options } = { ...this.#options, method_definition: definition }
    const timeout = details.timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + details.timeoutMs
    const deadline = Math.min(this.#deadline, details.deadline, timeout)
    if (deadline !== Number.POSITIVE_INFINITY) options.deadline = deadline
    if (details.credentials === undefined) delete options.credentials
    else options.credentials = details.credentials
    const metadata = details.metadata.clone()
    if ((metadata.getOptions().waitForReady ?? false) !== details.waitForReady) {
      metadata.setOptions({ ...metadata.getOptions(), waitForReady: details.waitForReady })
    }
    const facts = details.method === path ? this.#facts : onPath(this.#facts, details.method)
    this.#below = openPlanned(withCompression(plan, details.compression), options, this.#nextCall, facts)
    const call = openInner(this.#below, input, metadata)
    this.#calls.push(call)
    call.onHeaders = (headers) => this.#receiveHeaders(call, headers)
    return call
  }

  /** Whether the interceptor handed on a call of its own continuation: then it is as if it were not there. */
  #choose(answer: unknown): void {
    const call = this.#calls.find((opened) => opened === answer)
    if (call === undefined || call === this.#chosen) return
    this.#chosen = call
    if (call.receivedHeaders !== undefined) this.#receiveHeaders(call, call.receivedHeaders)
    if (this.#plan.method.responseStream) void call.status.then(() => this.#dropUnread())
  }

  #receiveHeaders(call: AnyCall<unknown>, headers: Metadata): void {
    const { requestStream, responseStream } = this.#plan.method
    // One request and one response: another attempt may follow, whose headers these are not.
    if (!requestStream && !responseStream && call !== this.#chosen) return
    if (this.#ended || this.#headersGiven || call !== (this.#chosen ?? this.#calls.at(-1))) return
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
    if (value === undefined || value === null) {
      this.#failed(new Error(`answered ${this.#plan.method.path} with ${value} instead of a response`))
      return
    }
    this.#finish(this.#success(value), { message: value })
  }

  #follow(value: unknown): void {
    try {
      if (isAsyncIterable(value)) this.#responses = value[Symbol.asyncIterator]()
      else if (typeof value === 'object' && isIterable(value)) this.#responses = value[Symbol.iterator]()
      else throw new Error(`answered ${this.#plan.method.path} with ${show(value)} instead of an iterable of responses`)
    } catch (error) {
      this.#failed(error)
      return
    }
    // The first message is fetched unasked: a generator starts its call when it is asked for something.
    void this.#fetch()
  }

  async #fetch(): Promise<void> {
    let item: IteratorResult<unknown> | undefined
    try {
      item = await this.#responses?.next()
    } catch (error) {
      this.#failed(error)
      return
    }
    if (this.#ended || item === undefined) return
    if (item.done) {
      this.#responses = undefined
      this.#finish(this.#success())
      return
    }
    this.#held = { message: item.value }
    if (this.#readWanted) this.#give()
    else this.#dropUnread()
  }

  /** grpc-js does not keep a failure back until the messages before it are read: it drops them. */
  #dropUnread(): void {
    const status = this.#chosen?.ending
    if (status === undefined || status.code === Code.OK || this.#held === undefined) return
    // An application that reads has asked for more by then.
    setImmediate(() => {
      if (this.#held !== undefined && !this.#readWanted) this.#finish(status)
    })
  }

  #give(): void {
    const message = this.#held?.message
    this.#held = undefined
    this.#readWanted = false
    // Asked for first: whatever the application does with a message, the next one comes.
    void this.#fetch()
    this.#listener.onReceiveMessage?.(message)
  }

  /** OK, in the words of the call that is the answer, else of the latest, if that is how it ended. */
  #success(response?: unknown): Status {
    const source = this.#chosen ?? this.#calls.find((call) => call.gave(response)) ?? this.#calls.at(-1)
    const ending = source?.ending
    return ending?.code === Code.OK ? ending : new LocalStatus({ code: Code.OK })
  }

  #failed(error: unknown): void {
    if (this.#ended) return
    const call = failedCallOf(error)
    const own = this.#calls.find((opened) => opened === call)
    if (own?.ending !== undefined) this.#finish(own.ending)
    else if (error instanceof RpcError) {
      const refusedBy = this.#calls.length === 0 ? this.#layer.name : undefined
      this.#finish(new LocalStatus(error, refusedBy))
    } else {
      const what = error instanceof Error ? error.message : show(error)
      this.#finish(internalStatus('client', `Interceptor ${this.#layer.name}: ${what}`, error))
    }
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
    const running = this.#calls.filter((call) => call.ending === undefined)
    void Promise.all(running.map((call) => call.status)).then(() => setImmediate(() => this.#finish(status)))
  }

  #finish(given: Status, response?: { readonly message: unknown }): void {
    if (this.#ended) return
    this.#ended = true
    this.#timer?.stop()
    const spoken = this.#decided !== undefined
    const of = this.#calls.find((call) => call.ending === given)
    const latest = this.#calls.at(-1)?.ending
    // What grpc-js says about a cancelled call is what the application would hear without us.
    const status =
      !spoken || of ? given : latest !== undefined && latest.code !== Code.OK ? latest : (this.#decided as Status)
    const headers = this.#headersGiven ? undefined : this.#calls.find((call) => call.ending === status)?.receivedHeaders
    this.#requests?.close(abortReason(status.code === Code.OK ? ENDED : status))
    for (const call of this.#calls) call.cancel('The call it was made for has ended')
    leave(this.#responses)
    // Out of the promise chain: what the application's callback throws must surface as its own.
    process.nextTick(() => {
      if (headers !== undefined) this.#listener.onReceiveMetadata?.(headers)
      if (response !== undefined && status === given) this.#listener.onReceiveMessage?.(response.message)
      this.#listener.onReceiveStatus?.(status as StatusObject) // complete: made by a call or by this library
    })
  }
}

const ENDED: Status = { code: Code.CANCELLED, details: 'The call has ended' }

function onPath(facts: ChannelFacts, path: string): ChannelFacts {
  return { ...facts, open: (nextCall, options, given) => facts.open(nextCall, options, given ?? path) }
}

function checkCompression(compression: Compression | undefined, facts: ChannelFacts, where: string): void {
  if (compression === undefined || compression === 'identity' || compression === facts.compression) return
  throw new Error(
    `${where}: compression "${compression}" cannot be honoured, grpc-js compresses per channel: create the channel with ` +
      'grpc.default_compression_algorithm',
  )
}

function withCompression(plan: ClientPlan, compression: Compression | undefined): ClientPlan {
  if (compression === undefined) return plan
  const compress: Interceptor<ClientCall> = (call, next) => {
    call.compression = compression
    return next()
  }
  return { ...plan, stack: [compress as Interceptor, ...plan.stack] } // runs on calls of clients only
}

/** Told, and not waited for: what it does wrong while closing concerns nobody any more. */
function leave(iterator: AsyncIterator<unknown> | Iterator<unknown> | undefined): void {
  try {
    void Promise.resolve(iterator?.return?.()).catch(() => undefined)
  } catch {}
}
