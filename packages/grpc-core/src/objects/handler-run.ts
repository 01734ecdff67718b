import { status as Code, type Metadata } from '@grpc/grpc-js'
import { isAsyncIterable, isIterable, requestIterator } from '../calls/request-pump.ts'
import { LocalStatus, type Status, withMetadata } from '../contract/status.ts'
import { failureStatus, internalStatus } from '../engine/answer.ts'
import { abortReason } from '../engine/intercepted-call.ts'
import type { InterceptedServerCall } from '../engine/server/server-call.ts'
import { mergeOver } from '../grpc-js/metadata.ts'
import { show } from '../runtime/show.ts'
import { isThenable } from '../runtime/thenable.ts'
import type { InnerRun } from './inner-run.ts'
import { MessageSource } from './message-source.ts'
import type { RpcMethodHandler } from './rpc-method-handler.ts'
import { HandlerContext } from './servicer-context.ts'

/**
 * Serves an RPC with a handler of an interceptor's. Where the handler is of another kind than the method:
 *
 * | method's requests | handler takes | the handler gets |
 * |---|---|---|
 * | one | a stream | a stream of one |
 * | a stream | one | nothing, at once: it may answer or abort, and touching the request is INTERNAL |
 *
 * | method's responses | handler gives | the client gets |
 * |---|---|---|
 * | one | a stream | its only message; none or several are errors |
 * | a stream | one | a stream of one |
 */
export class HandlerRun {
  readonly context: HandlerContext
  /** What is inside the handler, if it has been run. */
  inner: InnerRun | undefined
  readonly #handler: RpcMethodHandler
  readonly #name: string
  readonly #call: InterceptedServerCall
  #requests: MessageSource<unknown> | undefined
  #request: { readonly message: unknown } | undefined
  #responses: AsyncIterator<unknown> | Iterator<unknown> | undefined
  #release: (() => void) | undefined
  #ended = false

  /** @param name of the interceptor whose handler it is */
  constructor(handler: RpcMethodHandler, name: string, call: InterceptedServerCall, metadata: Metadata) {
    this.#handler = handler
    this.#name = name
    this.#call = call
    this.context = new HandlerContext(call, metadata)
  }

  start(): void {
    const { method } = this.#call
    if (this.#handler.pattern === 'any') void this.#serve(undefined)
    else if (this.#handler.requestStream) {
      this.#requests = new MessageSource(`${method.path}: the requests`, { wanted: () => this.#call.startRead() })
      void this.#serve(this.#requests)
    } else if (method.requestStream && method.registered) void this.#serve(noRequest(method.path))
    else this.#call.startRead()
  }

  // ── Requests ──────────────────────────────────────────────────────────────────────────────────────────────────

  onReceiveMessage(received: unknown): void {
    if (this.#ended) return
    let message = received
    if (!this.#call.method.registered && this.#handler.requestDeserialize) {
      try {
        message = this.#handler.requestDeserialize(received as Buffer) // bytes: no definition says what they mean
      } catch (error) {
        this.#end(internalStatus('server', 'The request could not be deserialized', error))
        return
      }
    }
    if (this.#requests !== undefined) this.#requests.push(message)
    else if (this.#request !== undefined) this.#end(unimplemented('Received a second request for a handler of one'))
    else {
      this.#request = { message }
      this.#call.startRead()
    }
  }

  onReceiveHalfClose(): void {
    if (this.#requests !== undefined) this.#requests.end()
    else if (this.#request !== undefined) void this.#serve(this.#request.message)
    else this.#end(unimplemented('Received no request for a handler of one'))
  }

  // ── The handler ───────────────────────────────────────────────────────────────────────────────────────────────

  async #serve(input: unknown): Promise<void> {
    try {
      const given = this.#handler.behavior(input, this.context)
      const answer = isThenable(given) ? await given : given
      const { pattern, responseStream } = this.#handler
      const streams = responseStream || (pattern === 'any' && (isAsyncIterable(answer) || isResponses(answer)))
      if (streams) await this.#sendAll(answer)
      else if (answer === undefined || answer === null) this.#noResponse(answer)
      else await this.#send(answer)
      this.#end(this.#success())
    } catch (error) {
      this.#end(this.#failure(error))
    }
  }

  /** What it has to say was said by `abort`, even if it swallowed the error. */
  #noResponse(answer: unknown): void {
    if (this.context.aborted === undefined) throw new Error(`returned ${answer} instead of a response`)
  }

  async #sendAll(answer: unknown): Promise<void> {
    if (this.#ended) return
    const { responseStream } = this.#call.method
    if (answer === undefined && this.context.aborted !== undefined) return
    if (!isAsyncIterable(answer) && !isResponses(answer)) {
      throw new Error(`returned ${show(answer)} instead of an iterable of responses`)
    }
    this.#responses = requestIterator(answer, this.#call.method.path)
    let only: { readonly message: unknown } | undefined
    for (;;) {
      const item = await this.#responses.next()
      if (this.#ended) return
      if (item.done) break
      if (responseStream) {
        await this.#send(item.value)
        // Asking for the next one would say that this one was sent.
        if (this.#ended) return
      } else if (only === undefined) only = { message: item.value }
      else throw new Error('gave several responses to a method with one')
    }
    this.#responses = undefined
    if (only !== undefined) await this.#send(only.message)
  }

  async #send(response: unknown): Promise<void> {
    if (this.#ended || this.context.aborted !== undefined) return
    const { method } = this.#call
    const { responseSerialize } = this.#handler
    const message = !method.registered && responseSerialize ? responseSerialize(response) : response
    this.context.headersSent = true
    if (!method.responseStream) this.#call.sendMessage(message, () => undefined)
    else {
      await new Promise<void>((resolve) => {
        this.#release = resolve
        this.#call.sendMessage(message, resolve)
      })
    }
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────

  #success(): Status {
    if (this.context.aborted !== undefined) return this.#failure(this.context.aborted)
    const inner = this.inner?.status
    return inner?.code === Code.OK ? inner : new LocalStatus({ code: Code.OK })
  }

  #failure(error: unknown): Status {
    const { aborted } = this.context
    if (aborted !== undefined) return new LocalStatus(aborted, this.#name)
    const refusedBy = this.inner === undefined ? this.#name : undefined
    return failureStatus(error, 'server', `The handler of interceptor ${this.#name} failed`, refusedBy)
  }

  #end(status: Status): void {
    if (this.#ended) return
    this.stop(abortReason(status.code === Code.OK ? LEFT : status))
    const { ownTrailers } = this.context
    const metadata = ownTrailers === undefined ? status.metadata : mergeOver(status.metadata, ownTrailers)
    this.#call.endWith(withMetadata(status, metadata))
  }

  /** The RPC is over, for this reason. */
  stop(reason: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#release?.()
    this.#requests?.close(reason)
    this.inner?.stop(reason)
    try {
      // Told, and not waited for: the RPC has its status, so what goes wrong while closing changes nothing.
      void Promise.resolve(this.#responses?.return?.()).catch(() => undefined)
    } catch {}
  }
}

const LEFT: Status = { code: Code.CANCELLED, details: 'The RPC has ended' }

function unimplemented(details: string): Status {
  return new LocalStatus({ code: Code.UNIMPLEMENTED, details })
}

/** In place of a request there cannot be: a handler that ignores it works, one that needs it must not get something else. */
function noRequest(path: string): unknown {
  const refuse = (): never => {
    throw new Error(`there is no single request: ${path} streams them; use a handler of that kind, or abortHandler()`)
  }
  const traps: ProxyHandler<object> = {}
  for (const trap of ['get', 'has', 'ownKeys', 'getOwnPropertyDescriptor', 'set'] as const) traps[trap] = refuse
  return new Proxy({}, traps)
}

/** An object that is iterable; a string is a response, not a list of them. */
function isResponses(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && isIterable(value)
}
