import {
  type CallOptions,
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  status as Code,
  connectivityState,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  type StatusObject,
} from '@grpc/grpc-js'
import { Later } from './later.ts'
import { RequestPump, requestIterator } from './request-pump.ts'
import { ResponseIterator } from './response-iterator.ts'
import { LocalStatus, RemoteStatus, RpcError, receivedStatus, type Status } from './status.ts'

/** The application's side of a call. Its promises never reject; the response itself is what fails. */
export interface CallHandle {
  /** The response headers; empty if the call ended without any. */
  readonly headers: Promise<Metadata>
  /** The metadata sent with the status. */
  readonly trailers: Promise<Metadata>
  /**
   * How the call ended. The status of a stream that ends well comes after its messages, so somebody has to read them.
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

/** What a call needs to know of its method. */
export type CallMethod<Q, R> = Pick<
  MethodDefinition<Q, R>,
  'path' | 'requestStream' | 'responseStream' | 'requestSerialize' | 'responseDeserialize'
>

/**
 * Calls a method of a grpc-js client.
 * @param input the request, or for a method with a request stream an iterable or async iterable of requests
 * @param signal cancels the call; its reason becomes the `cause` of the error
 * @throws TypeError if `input` should be iterable and is not, and whatever grpc-js throws for wrong options. A closed
 * channel is not thrown: the call then ends with UNAVAILABLE.
 */
export function openCall<Q, R>(
  client: Client,
  method: CallMethod<Q, R>,
  input: Q | AsyncIterable<Q> | Iterable<Q>,
  metadata: Metadata,
  options: CallOptions,
  signal?: AbortSignal,
): AnyCall<R> {
  const requests = method.requestStream ? requestIterator<Q>(input, method.path) : undefined
  const call = method.responseStream ? new ResponseStream<R>() : new SingleResponse<R>()
  try {
    call.open(client, method, input, requests, metadata, options)
  } catch (error) {
    if (!isClosed(client)) throw error
    call.fail(closedChannel(error))
    return call
  }
  if (signal) call.follow(signal)
  return call
}

/** A call that ended before it began. */
export function failedCall<R>(responseStream: boolean, status: Status): AnyCall<R> {
  const call = responseStream ? new ResponseStream<R>() : new SingleResponse<R>()
  call.fail(status)
  return call
}

/** The call whose failure this error is. */
export function failedCallOf(error: unknown): CallHandle | undefined {
  return error instanceof RpcError ? calls.get(error) : undefined
}

const calls = new WeakMap<RpcError, CallHandle>()

function isClosed(client: Client): boolean {
  return client.getChannel().getConnectivityState(false) === connectivityState.SHUTDOWN
}

function closedChannel(error: unknown): Status {
  const details = error instanceof Error ? error.message : String(error)
  return new LocalStatus({ code: Code.UNAVAILABLE, details, cause: error })
}

/** The call objects of grpc-js, as far as the four kinds are alike. */
type Surface = ClientUnaryCall

/** What the two kinds of calls share. */
export abstract class OpenedCall implements CallHandle {
  /** Hears of the response headers as they arrive. */
  onHeaders: ((headers: Metadata) => void) | undefined
  protected surface: Surface | undefined
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

  /** How the call ended, if it has. */
  get ending(): Status | undefined {
    return this.#status.value
  }

  /** The error of a call that has failed. */
  get error(): RpcError {
    if (this.#error === undefined) {
      const status = this.#status.value as Status // whoever asks knows that the call has failed
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
    if (this.ending === undefined) this.surface?.call?.cancelWithStatus(code, details)
  }

  peer(): string {
    return this.surface?.getPeer() ?? 'unknown'
  }

  authContext(): ReturnType<Surface['getAuthContext']> {
    return this.surface?.getAuthContext() ?? null
  }

  /** Whether a response is the one this call has received. */
  gave(_response: unknown): boolean {
    return false
  }

  follow(signal: AbortSignal): void {
    if (this.ending !== undefined) return
    const onAbort = (): void => this.#cancelBecause('Cancelled by a signal', signal.reason)
    if (signal.aborted) {
      onAbort()
      return
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#forgetSignal = () => signal.removeEventListener('abort', onAbort)
  }

  fail(status: Status): void {
    this.settle(status, undefined)
  }

  protected pump<Q>(
    requests: AsyncIterator<Q> | Iterator<Q>,
    sink: ConstructorParameters<typeof RequestPump<Q>>[1],
  ): void {
    const failed = (error: unknown): void => this.#cancelBecause('The source of the requests failed', error)
    const pump = new RequestPump(requests, sink, failed)
    this.#pump = pump
    pump.start()
  }

  protected receiveHeaders(headers: Metadata): void {
    if (this.#headers.known) return
    this.#received = true
    this.#headers.set(headers)
    this.onHeaders?.(headers)
  }

  protected settle(status: Status, trace: string | undefined): void {
    if (this.ending !== undefined) return
    this.#trace = trace
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

class SingleResponse<R> extends OpenedCall implements UnaryCall<R> {
  #outcome: { readonly error: ServiceError | null; readonly response: R | undefined } | undefined
  #promise: Promise<R> | undefined
  #resolve: ((response: R) => void) | undefined
  #reject: ((error: RpcError) => void) | undefined

  open<Q>(
    client: Client,
    method: CallMethod<Q, R>,
    input: unknown,
    requests: AsyncIterator<Q> | Iterator<Q> | undefined,
    metadata: Metadata,
    options: CallOptions,
  ): void {
    const { path, requestSerialize, responseDeserialize } = method
    const callback = (error: ServiceError | null, response?: R): void => {
      this.#outcome = { error, response }
    }
    if (requests === undefined) {
      const request = input as Q // no request stream: the input is the request
      this.surface = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        callback,
      )
    } else {
      const stream = client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
        options,
        callback,
      )
      this.surface = stream
      this.pump(requests, stream)
    }
    // A grpc-js interceptor may have answered already, before anybody could listen.
    if (this.#outcome !== undefined) this.#ended(new RemoteStatus(Code.OK, '', new Metadata()))
    else {
      this.surface.on('metadata', (headers) => this.receiveHeaders(headers))
      this.surface.on('status', (status) => this.#ended(status))
    }
  }

  override gave(response: unknown): boolean {
    return response !== undefined && this.#outcome?.response === response
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

  #ended(status: StatusObject): void {
    const error = this.#outcome?.error
    // grpc-js reports OK for a call that ended well without a response, and tells the caller otherwise.
    const known = error && status.code === Code.OK ? error : status
    this.settle(receivedStatus(known), error?.stack)
  }

  protected settled(): void {
    if (this.ending?.code !== Code.OK) this.#reject?.(this.error)
    // OK and no response is an error by now.
    else this.#resolve?.(this.#outcome?.response as R)
  }
}

class ResponseStream<R> extends OpenedCall implements StreamCall<R> {
  #stream: ClientReadableStream<R> | undefined
  #iterator: ResponseIterator<R> | undefined
  #trace: string | undefined

  open<Q>(
    client: Client,
    method: CallMethod<Q, R>,
    input: unknown,
    requests: AsyncIterator<Q> | Iterator<Q> | undefined,
    metadata: Metadata,
    options: CallOptions,
  ): void {
    const { path, requestSerialize, responseDeserialize } = method
    if (requests === undefined) {
      const request = input as Q // no request stream: the input is the request
      this.#stream = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
      )
      this.#listen(this.#stream)
    } else {
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, options)
      this.#stream = stream
      this.#listen(stream)
      this.pump(requests, stream)
    }
  }

  #listen(stream: ClientReadableStream<R>): void {
    this.surface = stream
    stream.on('metadata', (headers) => this.receiveHeaders(headers))
    stream.on('error', (error) => {
      this.#trace ??= error.stack
    })
    stream.on('status', (status) => this.settle(receivedStatus(status), this.#trace))
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<R, undefined> {
    if (this.#iterator !== undefined) throw new Error('A stream of responses can be iterated once')
    this.#iterator = new ResponseIterator<R>(this.#stream, {
      ended: () => this.ending !== undefined,
      failure: () => (this.ending?.code === Code.OK ? undefined : this.error),
      cancel: () => this.cancel(),
      exhausted: () => this.settle(new RemoteStatus(Code.OK, '', new Metadata()), undefined),
    })
    return this.#iterator
  }

  protected settled(): void {
    this.#iterator?.deliver()
  }
}
