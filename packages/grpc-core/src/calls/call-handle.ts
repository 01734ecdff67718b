import { status as Code, type InterceptingCall, Metadata } from '@grpc/grpc-js'
import { isRpcError, RpcError } from '../contract/rpc-error.ts'
import { LocalStatus, RemoteStatus, type Status } from '../contract/status.ts'
import { onAbort } from '../runtime/on-abort.ts'
import { show } from '../runtime/show.ts'
import { Later } from './later.ts'
import { RequestPump } from './request-pump.ts'
import { ResponseIterator, type ResponseSource } from './response-iterator.ts'

/** The application's side of a call. Its promises never reject; the response itself is what fails. */
export interface CallHandle {
  /** The response headers; empty if the call ended without any. */
  readonly headers: Promise<Metadata>
  /**
   * Hears of the response headers in the event in which they come, before anything that follows them; not at all if the call ends
   * without any. Called at once if they have come already. What the listener throws surfaces as an uncaught exception.
   */
  onHeaders(listener: (headers: Metadata) => void): void
  /** The metadata sent with the status. */
  readonly trailers: Promise<Metadata>
  /**
   * How the call ended. The status of a stream that ends well comes after its messages, so it comes only if they are read.
   */
  readonly status: Promise<Status>
  /** Ends the call with CANCELLED. Does nothing once it has ended. */
  cancel(details?: string): void
  /** Address of the server, or the target while there is no connection. */
  peer(): string
}

/** A call with a single response: await it for the response, or an `RpcError`. */
export interface UnaryCall<R> extends CallHandle, PromiseLike<R> {
  readonly response: Promise<R>
  /** As that of the response's promise. */
  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<R | B>
  /** As that of the response's promise. */
  finally(onEnd?: (() => void) | null): Promise<R>
}

/**
 * A call with a stream of responses: iterate it, once. Messages are asked for as they are consumed, the error comes after
 * the messages that preceded it, and leaving the loop early cancels the call.
 */
export interface StreamCall<R> extends CallHandle, AsyncIterable<R, undefined> {
  [Symbol.asyncIterator](): AsyncIterableIterator<R, undefined>
}

/** A call, with what only this library uses of it. */
export type AnyCall<R> = OpenedCall & (UnaryCall<R> | StreamCall<R>)

/** A call that ended before it began. */
export function failedCall<R>(responseStream: boolean, status: Status): AnyCall<R> {
  const call = responseStream ? new ResponseStream<R>() : new SingleResponse<R>()
  call.settle(status)
  return call
}

/** The call whose failure this error is. */
export function failedCallOf(error: unknown): OpenedCall | undefined {
  return isRpcError(error) ? calls.get(error) : undefined
}

const calls = new WeakMap<RpcError, OpenedCall>()

/** The call below a handle. */
interface Line {
  cancelWithStatus(code: Code, details: string): void
  getPeer(): string
  getAuthContext(): ReturnType<InterceptingCall['getAuthContext']>
}

/** What the two kinds of calls share. */
export abstract class OpenedCall implements CallHandle {
  /** Hears that the call is cancelled through this handle. */
  onCancel: (() => void) | undefined
  /** The call has been cancelled through this handle. It ends a little later. */
  cancelling = false
  #headersListeners: ((headers: Metadata) => void)[] | undefined
  #line: Line | undefined
  readonly #headers = new Later<Metadata>()
  readonly #status = new Later<Status>()
  #received = false
  #trace: string | undefined
  #error: RpcError | undefined
  #cancelCause: unknown
  #pump: { stop(): void } | undefined
  #forgetSignal: (() => void) | undefined

  get headers(): Promise<Metadata> {
    return this.#headers.promise
  }

  get trailers(): Promise<Metadata> {
    return this.#status.promise.then((status) => status.metadata ?? new Metadata())
  }

  get status(): Promise<Status> {
    return this.#status.promise
  }

  /** The response headers, if any have arrived. */
  get receivedHeaders(): Metadata | undefined {
    return this.#received ? this.#headers.value : undefined
  }

  onHeaders(listener: (headers: Metadata) => void): void {
    if (typeof listener !== 'function')
      throw new TypeError(`onHeaders: listener must be a function, got ${show(listener)}`)
    const { receivedHeaders } = this
    if (receivedHeaders !== undefined) tell(listener, receivedHeaders)
    else if (this.ending === undefined) {
      this.#headersListeners ??= []
      this.#headersListeners.push(listener)
    }
  }

  /** How the call ended, if it has. */
  get ending(): Status | undefined {
    return this.#status.value
  }

  /** The error of a call that has failed. */
  get error(): RpcError {
    if (this.#error === undefined) {
      const status = this.#status.value as Status // asked for where the call has failed
      this.#error = RpcError.fromStatus(status)
      // grpc-js knows who called; the place where its events arrive says nothing.
      if (this.#trace !== undefined) this.#error.stack = this.#trace.replace(/^Error/, 'RpcError')
      calls.set(this.#error, this)
    }
    return this.#error
  }

  cancel(details = 'Cancelled on client'): void {
    this.cancelWith(Code.CANCELLED, details)
  }

  cancelWith(code: Code, details: string): void {
    if (this.ending !== undefined) return
    this.cancelling = true
    this.#line?.cancelWithStatus(code, details)
    this.onCancel?.()
  }

  peer(): string {
    return this.#line?.getPeer() ?? 'unknown'
  }

  authContext(): ReturnType<Line['getAuthContext']> {
    return this.#line?.getAuthContext() ?? null
  }

  /** Whether a response is the one this call has received. */
  gave(_response: unknown): boolean {
    return false
  }

  follow(signal: AbortSignal): void {
    if (this.ending !== undefined) return
    const cancel = (): void => this.#cancelBecause('Cancelled by a signal', signal.reason)
    if (signal.aborted) cancel()
    else this.#forgetSignal = onAbort(signal, cancel)
  }

  /** What opens the call connects it before anything can arrive. */
  connect(line: Line): void {
    this.#line = line
  }

  pump<Q>(requests: AsyncIterator<Q> | Iterator<Q>, sink: ConstructorParameters<typeof RequestPump<Q>>[1]): void {
    const failed = (error: unknown): void => this.#cancelBecause('The source of the requests failed', error)
    const pump = new RequestPump(requests, sink, failed)
    this.sends(pump)
    if (this.ending === undefined) pump.start()
  }

  /** @param requests what sends them, to be stopped when the call has ended */
  sends(requests: { stop(): void }): void {
    this.#pump = requests
    if (this.ending !== undefined) requests.stop()
  }

  receiveHeaders(headers: Metadata): void {
    if (this.#headers.known) return
    this.#received = true
    this.#headers.set(headers)
    const listeners = this.#headersListeners
    this.#headersListeners = undefined
    if (listeners !== undefined) for (const listener of listeners) tell(listener, headers)
  }

  /** @param trace where the call was made, if that is known */
  settle(status: Status, trace?: string): void {
    if (this.ending !== undefined) return
    this.#trace = trace
    this.#headersListeners = undefined
    if (!this.#headers.known) this.#headers.set(new Metadata())
    const explained =
      status.code === Code.CANCELLED && status.cause === undefined && this.#cancelCause !== undefined
        ? new LocalStatus({ ...status, metadata: status.metadata ?? new Metadata(), cause: this.#cancelCause })
        : status
    this.#status.set(explained)
    this.#forgetSignal?.()
    this.#pump?.stop()
    this.settled()
  }

  protected abstract settled(): void

  #cancelBecause(details: string, cause: unknown): void {
    if (this.ending !== undefined) return
    this.#cancelCause = cause
    this.cancelWith(Code.CANCELLED, details)
  }
}

/** A listener that throws must not keep the event from the call. */
function tell(listener: (headers: Metadata) => void, headers: Metadata): void {
  try {
    listener(headers)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

export class SingleResponse<R> extends OpenedCall implements UnaryCall<R> {
  #received: { readonly response: R } | undefined
  #promise: Promise<R> | undefined
  #resolve: ((response: R) => void) | undefined
  #reject: ((error: RpcError) => void) | undefined

  receive(response: R): void {
    this.#received = { response }
  }

  override gave(response: unknown): boolean {
    return response !== undefined && this.#received?.response === response
  }

  get response(): Promise<R> {
    this.#promise ??= new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
      if (this.ending !== undefined) this.settled()
    })
    return this.#promise
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting the call is awaiting its response; made when asked, so that a call of which only the status is awaited leaves no rejection behind
  then<A = R, B = never>(
    onResponse?: ((response: R) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.response.then(onResponse, onError)
  }

  catch<B = never>(onError?: ((error: unknown) => B | PromiseLike<B>) | null): Promise<R | B> {
    return this.response.catch(onError)
  }

  finally(onEnd?: (() => void) | null): Promise<R> {
    return this.response.finally(onEnd)
  }

  protected settled(): void {
    if (this.ending?.code !== Code.OK) this.#reject?.(this.error)
    // OK and no response is an error by now.
    else this.#resolve?.(this.#received?.response as R)
  }
}

export class ResponseStream<R> extends OpenedCall implements StreamCall<R> {
  #source: ResponseSource<R> | undefined
  #iterator: ResponseIterator<R> | undefined
  #claimed = false

  /** @param source where the messages are read from; none if the call failed before it began */
  override connect(line: Line, source?: ResponseSource<R>): void {
    super.connect(line)
    this.#source = source
  }

  /**
   * Its responses go elsewhere from now on.
   * @throws Error if they have been iterated.
   */
  claim(): void {
    if (this.#iterator !== undefined || this.#claimed) throw new Error('A stream of responses can be iterated once')
    this.#claimed = true
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<R, undefined> {
    this.claim()
    this.#iterator = new ResponseIterator<R>(this.#source, {
      ended: () => this.ending !== undefined,
      failure: () => (this.ending?.code === Code.OK ? undefined : this.error),
      cancel: () => this.cancel(),
      exhausted: () => this.settle(new RemoteStatus(Code.OK, '', new Metadata())),
    })
    return this.#iterator
  }

  protected settled(): void {
    this.#iterator?.deliver()
  }
}
