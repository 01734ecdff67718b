import type { AsyncResource } from 'node:async_hooks'
import { status as Code, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { RpcError } from '../contract/rpc-error.ts'
import { LocalStatus, RemoteStatus, type Status, withMetadata } from '../contract/status.ts'
import { failureStatus } from '../engine/answer.ts'
import { ForwardedFacts } from '../engine/server/forwarded-facts.ts'
import type { InterceptedServerCall } from '../engine/server/server-call.ts'
import type { GrpcJsStatus } from '../grpc-js/server-status.ts'
import { captureScope } from '../runtime/async-scope.ts'
import { show } from '../runtime/show.ts'
import { ArrivedCallDetails, type HandlerCallDetails, type HandlerCallDetailsPatch } from './handler-call-details.ts'
import { HandlerRun } from './handler-run.ts'
import { InnerRun } from './inner-run.ts'
import { BehaviorHandler, isMethodHandler, type RpcMethodHandler } from './rpc-method-handler.ts'
import type { ServerInterceptor } from './server-interceptor.ts'

type Callback = Parameters<ServerInterceptingCallInterface['sendMessage']>[1]

/** What an interceptor's continuation found. */
interface Found {
  /** What the next interceptor object answered; undefined if there is none. */
  readonly inside: Resolution | undefined
  /** Metadata the interceptor put in place of the RPC's. */
  readonly metadata: Metadata | undefined
}

/** What an interceptor answered. */
interface Resolution {
  readonly handler: RpcMethodHandler | null
  /** It found nothing, because the path has no handler, and answered just that. */
  readonly unserved: Found | undefined
}

/** Which interceptor an error was first seen to come out of. */
const origins = new WeakMap<object, string>()

/**
 * One interceptor object on a server, between the interceptors outside it and those inside: the handler of the former and the
 * connection of the latter.
 *
 *     outer InterceptedServerCall ──▶ ServiceLayer ──▶ inner InterceptedServerCall ──▶ handler
 *
 * | the handler it answered with | messages |
 * |---|---|
 * | that of its continuation | pass from outer to inner and back as they are |
 * | another, or that one wrapped | go to the handler (`HandlerRun`), and from there to inner if it is run (`InnerRun`) |
 *
 * Interceptor objects are asked before any handler runs: the first asks the next through its continuation.
 */
export class ServiceLayer extends ForwardedFacts implements ServerInterceptingCallInterface {
  readonly #outer: InterceptedServerCall
  readonly #object: ServerInterceptor
  readonly #name: string
  #inner!: InterceptedServerCall
  #next: ServiceLayer | undefined
  /** Handlers its continuation returned. */
  readonly #found = new Map<RpcMethodHandler, Found>()
  #asked: Resolution | undefined
  #metadata!: Metadata
  /** Where the interceptor was entered. */
  #scope!: AsyncResource
  #mode: 'undecided' | 'through' | HandlerRun = 'undecided'
  #entered = false
  #over = false

  /** @param base grpc-js's call */
  constructor(
    base: ServerInterceptingCallInterface,
    outer: InterceptedServerCall,
    object: ServerInterceptor,
    name: string,
  ) {
    super(base)
    this.#outer = outer
    this.#object = object
    this.#name = name
  }

  /** @param next the next interceptor object, where there is one */
  wrap(inner: InterceptedServerCall, next: ServiceLayer | undefined): void {
    this.#inner = inner
    this.#next = next
  }

  // ── The question ──────────────────────────────────────────────────────────────────────────────────────────────

  async #ask(details: HandlerCallDetails): Promise<Resolution> {
    this.#scope = captureScope()
    let latest: Found | undefined
    const proceed = async (given: HandlerCallDetails | HandlerCallDetailsPatch): Promise<RpcMethodHandler | null> => {
      const inner = details.with(given)
      const changed = inner.invocationMetadata !== details.invocationMetadata
      const next = this.#next
      const inside = next === undefined ? undefined : await next.#ask(inner)
      latest = { inside, metadata: changed ? inner.invocationMetadata : undefined }
      const unhandled = inside === undefined ? !this.#outer.method.registered : inside.handler === null
      return unhandled ? null : this.#handlerOf(latest)
    }
    const continuation = (given: HandlerCallDetails | HandlerCallDetailsPatch): Promise<RpcMethodHandler | null> => {
      const answer = this.#inOwnContext(() => proceed(given))
      // An interceptor need not look at it.
      answer.catch(() => undefined)
      return answer
    }
    try {
      const handler = (await this.#object.interceptService(continuation, details)) ?? null
      if (handler === null) return { handler, unserved: this.#unserved(latest) }
      if (!isMethodHandler(handler)) throw new Error(`returned ${show(handler)} instead of a handler or null`)
      return { handler, unserved: undefined }
    } catch (error) {
      if (typeof error === 'object' && error !== null && !origins.has(error)) origins.set(error, this.#name)
      throw error
    }
  }

  /** From another call's event it continues where the interceptor was entered, as a late `next()` does. */
  #inOwnContext<T>(work: () => T): T {
    return this.#outer.run.inOwnContext ? work() : this.#scope.runInAsyncScope(work)
  }

  #unserved(found: Found | undefined): Found | undefined {
    if (found === undefined || this.#outer.method.registered) return undefined
    const passedOn = found.inside === undefined || found.inside.unserved !== undefined
    return passedOn ? found : undefined
  }

  #handlerOf(found: Found): RpcMethodHandler {
    const { pattern } = this.#outer.method
    // A path without a handler has one here only because an inner interceptor brought it.
    const kind = pattern === 'unknown' ? (found.inside?.handler?.pattern ?? 'any') : pattern
    const handler: BehaviorHandler = new BehaviorHandler(kind, (input) =>
      this.#inOwnContext(() => this.#runInner(handler, found, input)),
    )
    this.#found.set(handler, found)
    return handler
  }

  // ── Events from outside ───────────────────────────────────────────────────────────────────────────────────────

  onReceiveMetadata(metadata: Metadata): void {
    this.#metadata = metadata
    if (this.#asked !== undefined) this.#serve(this.#asked)
    else {
      this.#ask(new ArrivedCallDetails(this.#outer, metadata)).then(
        (resolution) => this.#serve(resolution),
        (error: unknown) => this.#refuse(error),
      )
    }
  }

  onReceiveMessage(message: unknown): void {
    if (this.#mode === 'through') this.#inner.onReceiveMessage(message)
    else if (this.#mode !== 'undecided') this.#mode.onReceiveMessage(message)
  }

  onReceiveHalfClose(): void {
    if (this.#mode === 'through') this.#inner.onReceiveHalfClose()
    else if (this.#mode !== 'undecided') this.#mode.onReceiveHalfClose()
  }

  onCancel(): void {
    if (this.#over) return
    this.#over = true
    const ending = this.#outer.ending
    if (this.#entered && ending !== undefined && ending.code !== Code.OK) {
      // Through the inner call's own ear for what ends below it: it would take the end for a cancellation.
      this.sendStatus({ code: ending.code, details: ending.details ?? '', metadata: ending.metadata ?? null })
    }
    if (this.#mode instanceof HandlerRun) {
      const reason = RpcError.fromStatus(ending !== undefined && ending.code !== Code.OK ? ending : CANCELLED)
      this.#mode.stop(reason)
    } else if (this.#entered) this.#inner.onCancel()
  }

  // ── The answer ────────────────────────────────────────────────────────────────────────────────────────────────

  #serve({ handler, unserved }: Resolution): void {
    if (this.#over) return
    const found = handler === null ? unserved : this.#found.get(handler)
    if (found !== undefined) {
      this.#mode = 'through'
      this.#enter(found, (metadata) => this.#inner.onReceiveMetadata(metadata))
    } else if (handler === null) {
      this.#outer.endWith(new LocalStatus({ code: Code.UNIMPLEMENTED, details: 'Method not found!' }, this.#name))
    } else {
      this.#mode = new HandlerRun(handler, this.#name, this.#outer, this.#metadata)
      this.#mode.start()
    }
  }

  #refuse(error: unknown): void {
    const name = (typeof error === 'object' && error !== null && origins.get(error)) || this.#name
    this.#outer.endWith(failureStatus(error, 'server', `Interceptor ${name} threw`, name))
  }

  #enter<T>(found: Found, start: (metadata: Metadata) => T): T {
    this.#entered = true
    if (this.#next !== undefined) this.#next.#asked = found.inside
    return start(found.metadata ?? this.#metadata)
  }

  #runInner(handler: BehaviorHandler, found: Found, input: unknown): unknown {
    const run = this.#mode
    const { path } = this.#outer.method
    if (!(run instanceof HandlerRun) || this.#over) throw new Error(`ran the handler of ${path} outside of its RPC`)
    if (this.#entered) throw new Error(`ran the handler of ${path} a second time; a server RPC runs once`)
    const inner = new InnerRun(this.#inner, handler, input, (headers) => {
      run.context.headersSent = true
      this.#outer.sendMetadata(headers)
    })
    run.inner = inner
    return this.#enter(found, (metadata) => inner.start(metadata))
  }

  // ── grpc-js's call interface: what the inner call uses ────────────────────────────────────────────────────────

  start(_listener: Parameters<ServerInterceptingCallInterface['start']>[0]): void {
    this.#outer.start(this)
  }

  startRead(): void {
    if (this.#mode === 'through') this.#outer.startRead()
    else if (this.#mode !== 'undecided') this.#mode.inner?.startRead()
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#mode === 'through') this.#outer.sendMetadata(metadata)
    else if (this.#mode !== 'undecided') this.#mode.inner?.sendMetadata(metadata)
  }

  sendMessage(message: unknown, callback: Callback): void {
    const headers = this.#inner.takeHeaders()
    if (this.#mode === 'through') this.#outer.sendMessage(message, callback, headers)
    else if (this.#mode !== 'undecided') {
      if (headers !== undefined) this.#mode.inner?.sendMetadata(headers)
      this.#mode.inner?.sendMessage(message, callback)
    }
  }

  sendStatus(sent: GrpcJsStatus): void {
    const given =
      this.#inner.ending ?? new RemoteStatus(sent.code ?? Code.UNKNOWN, sent.details ?? '', sent.metadata as Metadata)
    const status = withMetadata(given, sent.metadata ?? undefined)
    if (this.#mode === 'through') this.#outer.endWith(status)
    else if (this.#mode !== 'undecided') this.#mode.inner?.end(status)
  }

  getDeadline(): number {
    return this.#outer.deadline
  }
}

const CANCELLED: Status = { code: Code.CANCELLED, details: 'The RPC has ended' }
