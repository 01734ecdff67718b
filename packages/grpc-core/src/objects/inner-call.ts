import type { InterceptingListener, Metadata } from '@grpc/grpc-js'
import { type AnyCall, ResponseStream, SingleResponse } from '../calls/call-handle.ts'
import { closedChannel } from '../calls/open-call.ts'
import { requestIterator } from '../calls/request-pump.ts'
import type { ResponseSource } from '../calls/response-iterator.ts'
import { receivedStatus } from '../contract/status.ts'
import type { InterceptedClientCall } from '../engine/client/client-call.ts'

/**
 * Starts a call of a continuation. As `openCall`, but without the streams of grpc-js's client, which would read ahead of
 * whoever iterates.
 */
export function openInner(call: InterceptedClientCall, input: unknown, metadata: Metadata): AnyCall<unknown> {
  const { path, requestStream, responseStream } = call.method
  const requests = requestStream ? requestIterator<unknown>(input, path) : undefined
  const handle = responseStream ? new ResponseStream<unknown>() : new SingleResponse<unknown>()
  let receive: (message: unknown) => void
  if (handle instanceof ResponseStream) {
    const messages = new PulledMessages(call)
    receive = (message) => messages.push(message)
    handle.connect(call, messages)
  } else {
    receive = (message) => handle.receive(message)
    handle.connect(call)
  }
  const listener: InterceptingListener = {
    onReceiveMetadata: (headers) => handle.receiveHeaders(headers),
    onReceiveMessage: receive,
    onReceiveStatus: (status) => handle.settle(receivedStatus(status)),
  }
  try {
    call.start(metadata, listener)
  } catch (error) {
    handle.settle(closedChannel(error))
    return handle
  }
  if (requests === undefined) {
    call.sendMessage(input)
    call.halfClose()
  } else {
    handle.pump(requests, {
      write: (message, written) => {
        if (message === null || message === undefined) throw new TypeError(`${path}: a request is ${message}`)
        call.sendMessageWithContext({ callback: written }, message)
      },
      end: () => call.halfClose(),
    })
  }
  return handle
}

/** Asks for a message only when one is wanted. */
class PulledMessages implements ResponseSource<unknown> {
  readonly #call: InterceptedClientCall
  readonly #messages: unknown[] = []
  #asked = false
  #readable: (() => void) | undefined

  constructor(call: InterceptedClientCall) {
    this.#call = call
  }

  get readableLength(): number {
    return this.#messages.length
  }

  push(message: unknown): void {
    this.#asked = false
    this.#messages.push(message)
    this.#readable?.()
  }

  read(): unknown {
    if (this.#messages.length > 0) return this.#messages.shift()
    if (!this.#asked) {
      this.#asked = true
      this.#call.startRead()
    }
    return null
  }

  on(event: 'readable' | 'end', listener: () => void): void {
    if (event === 'readable') this.#readable = listener
  }

  off(event: 'readable' | 'end'): void {
    if (event === 'readable') this.#readable = undefined
  }
}
