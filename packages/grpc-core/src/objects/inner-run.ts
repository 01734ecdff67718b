import { status as Code, type Metadata, type ServerInterceptingCallInterface } from '@grpc/grpc-js'
import { iteratorResult, requestIterator } from '../calls/request-pump.ts'
import { RpcError } from '../contract/rpc-error.ts'
import type { Status } from '../contract/status.ts'
import type { InterceptedServerCall } from '../engine/server/server-call.ts'
import { MessageSource } from './message-source.ts'
import type { RpcMethodHandler } from './rpc-method-handler.ts'

type Callback = Parameters<ServerInterceptingCallInterface['sendMessage']>[1]

/**
 * Runs the handler inside a wrapped one with the requests that the wrapper gives, and gives the responses to the wrapper. To the
 * rest of the stack it is the connection.
 */
export class InnerRun {
  readonly #inner: InterceptedServerCall
  readonly #responseStream: boolean
  readonly #sendHeaders: (headers: Metadata) => void
  readonly #requests: AsyncIterator<unknown> | Iterator<unknown>
  readonly #responses: MessageSource<unknown>
  #response: unknown
  #resolve!: (response: unknown) => void
  #reject!: (error: unknown) => void
  #reading = false
  #told = false
  /** How it ended. */
  status: Status | undefined

  /**
   * @param handler says of what kind it is
   * @param sendHeaders what to do with response headers as they come
   */
  constructor(
    inner: InterceptedServerCall,
    handler: Pick<RpcMethodHandler, 'requestStream' | 'responseStream'>,
    input: unknown,
    sendHeaders: (headers: Metadata) => void,
  ) {
    const { path } = inner.method
    this.#inner = inner
    this.#responseStream = handler.responseStream
    this.#sendHeaders = sendHeaders
    this.#requests = handler.requestStream ? requestIterator(input, path) : [input][Symbol.iterator]()
    this.#responses = new MessageSource(`${path}: the responses`, { left: () => this.stop(LEFT) })
  }

  /** Starts it. Returns the response, promised, or the responses. */
  start(metadata: Metadata): Promise<unknown> | AsyncIterable<unknown> {
    if (this.#responseStream) {
      this.#inner.onReceiveMetadata(metadata)
      return this.#responses
    }
    const response = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    // A wrapper need not look at it.
    response.catch(() => undefined)
    this.#inner.onReceiveMetadata(metadata)
    return response
  }

  startRead(): void {
    if (this.status !== undefined || this.#reading) return
    this.#reading = true
    void this.#read()
  }

  async #read(): Promise<void> {
    let item: IteratorResult<unknown>
    try {
      item = iteratorResult(await this.#requests.next())
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#reading = false
    if (this.status !== undefined || this.#told) return
    if (item.done) this.#inner.onReceiveHalfClose()
    else this.#inner.onReceiveMessage(item.value)
  }

  sendMetadata(metadata: Metadata): void {
    if (this.status === undefined && !this.#told) this.#sendHeaders(metadata)
  }

  sendMessage(message: unknown, callback: Callback): void {
    if (this.status !== undefined || this.#told) return
    if (this.#responseStream) this.#responses.push(message, callback)
    else {
      this.#response = message
      callback()
    }
  }

  /** @param status how it ended inside, with all this process knows of it */
  end(status: Status): void {
    if (this.status !== undefined) return
    this.status = status
    this.#leaveRequests()
    if (status.code === Code.OK) {
      this.#resolve?.(this.#response)
      this.#responses.end()
      return
    }
    const error = RpcError.fromStatus(status)
    this.#reject?.(error)
    this.#responses.fail(error)
  }

  /** The wrapper wants no more of it, or the RPC is over: for the reason given, if it had not ended by itself. */
  stop(reason: unknown): void {
    if (this.#told) return
    this.#told = true
    this.#reject?.(reason)
    this.#responses.close(reason)
    this.#leaveRequests()
    this.#inner.onCancel()
  }

  /** The wrapper's own source of requests failed: its error is what the wrapper sees. */
  #fail(error: unknown): void {
    if (this.status === undefined) this.stop(error)
  }

  #leaveRequests(): void {
    try {
      const returned: unknown = this.#requests.return?.()
      // The RPC has ended: an error of a source that closes has no effect on it.
      if (returned instanceof Promise) returned.catch(() => undefined)
    } catch {}
  }
}

const LEFT = new Error('The responses are no longer read')
