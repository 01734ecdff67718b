import { status as Code, type InterceptingListener, type Metadata, type StatusObject } from '@grpc/grpc-js'
import { type AnyCall, ResponseStream, SingleResponse } from '../calls/call-handle.ts'
import { closedChannel } from '../calls/open-call.ts'
import { requestIterator } from '../calls/request-pump.ts'
import { LocalStatus, receivedStatus, type Status } from '../contract/status.ts'
import type { InterceptedClientCall } from '../engine/client/client-call.ts'
import { MessageSource } from './message-source.ts'
import { ReceivedMessages } from './received-messages.ts'

/** Takes over what a call of a continuation receives. */
export interface Relay {
  /** A message that was asked for. */
  message(message: unknown): void
  /** The end, after the messages. */
  ended(status: StatusObject): void
}

/** What happens to a call of a continuation, told within the event in which it happens. */
export interface InnerEvents {
  /** Its response headers have come. */
  headers(): void
  /** The object has cancelled the call. */
  cancelled(): void
  ended(): void
}

/**
 * A call of a continuation: the handle that the interceptor object gets, over a call through the rest of the stack.
 *
 *     continuation() ─▶ InnerCall ── handle ─▶ the interceptor object
 *                          │  └───── relay ──▶ ObjectCall, once the object has returned the handle
 *                          └──▶ InterceptedClientCall ─▶ grpc-js
 *
 * What happens to its messages:
 *
 * | the object has …                     | messages are asked for                 | and go to        |
 * |--------------------------------------|----------------------------------------|------------------|
 * | not returned yet                     | not                                    |                  |
 * | returned something else, or awaits   | ahead, until the buffer is full        | the buffer       |
 * | returned this call                   | when the application asks              | the relay        |
 *
 * It reads ahead because grpc-js drops messages that are not asked for when the call fails, in the same turn of the event loop in
 * which they came, before any promise of the object can go on.
 */
export class InnerCall implements InterceptingListener {
  readonly handle: AnyCall<unknown>
  readonly #call: InterceptedClientCall
  readonly #events: InnerEvents
  readonly #messages: ReceivedMessages | undefined
  #responded = false
  #relay: Relay | undefined
  /** The relay has asked for a message and has not got it. */
  #wanted = false
  #end: StatusObject | undefined
  #told = false
  /** What starting it threw, where a bare call would have thrown it at the application. */
  startError: { readonly error: unknown } | undefined

  constructor(call: InterceptedClientCall, events: InnerEvents) {
    this.#call = call
    this.#events = events
    if (call.method.responseStream) {
      const handle = new ResponseStream<unknown>()
      this.#messages = new ReceivedMessages(() => call.startRead())
      handle.connect(call, this.#messages)
      this.handle = handle
    } else {
      const handle = new SingleResponse<unknown>()
      handle.connect(call)
      this.handle = handle
    }
    this.handle.onCancel = () => events.cancelled()
  }

  /** Starts the call. As `openCall`, but without the streams of grpc-js's client. */
  start(input: unknown, metadata: Metadata): void {
    const { path, requestStream } = this.#call.method
    const source = input instanceof MessageSource ? input : undefined
    const requests = requestStream && source === undefined ? requestIterator<unknown>(input, path) : undefined
    try {
      this.#call.start(metadata, this)
      if (!requestStream) {
        this.#call.sendMessage(input)
        this.#call.halfClose()
      }
    } catch (error) {
      this.startError = { error }
      this.onReceiveStatus(closedChannel(error) as StatusObject) // complete
      return
    }
    const sink = {
      write: (message: unknown, written: () => void, flags?: number) => {
        if (message === null || message === undefined) throw new TypeError(`${path}: a request is ${message}`)
        const context = flags === undefined ? { callback: written } : { callback: written, flags }
        this.#call.sendMessageWithContext(context, message)
      },
      end: () => this.#call.halfClose(),
    }
    if (source !== undefined) this.handle.sends(source.forwardTo(sink))
    else if (requests !== undefined) this.handle.pump(requests, sink)
  }

  /** The call through the rest of the stack. */
  get below(): InterceptedClientCall {
    return this.#call
  }

  get ended(): boolean {
    return this.#end !== undefined
  }

  /** How it ended, as what stands outside of the interceptor object is to hear it. */
  get ending(): StatusObject | undefined {
    return this.#end
  }

  /** Whether it may still become the answer: it has not ended, and the object has not cancelled it. */
  get inPlay(): boolean {
    return !this.ended && !this.handle.cancelling
  }

  readAhead(): void {
    if (this.#relay === undefined) this.#messages?.readAhead()
  }

  // ── The interceptor object has returned it ────────────────────────────────────────────────────────────────────

  /** @throws Error if the object has iterated its responses. */
  claim(): void {
    if (this.handle instanceof ResponseStream) this.handle.claim()
  }

  /** @param wanted whether a message has been asked for */
  relayTo(relay: Relay, wanted: boolean): void {
    this.#messages?.onDemand()
    this.#relay = relay
    if (wanted) this.ask()
    this.#tellEnd()
  }

  ask(): void {
    this.#wanted = true
    if (this.#messages?.isEmpty === false) {
      this.#give(this.#messages.take())
      this.#tellEnd()
    } else this.#messages?.ask()
  }

  /** The relay takes no more messages. */
  silence(): void {
    this.#messages?.clear()
  }

  #give(message: unknown): void {
    this.#wanted = false
    this.#relay?.message(message)
  }

  /** The end comes after the messages. A failure waits no longer for them than a reader needs to ask. */
  #tellEnd(): void {
    const end = this.#end
    if (end === undefined || this.#relay === undefined || this.#told) return
    if (this.#messages === undefined || this.#messages.isEmpty) {
      this.#told = true
      this.#relay.ended(end)
    } else if (end.code !== Code.OK) {
      this.#awaitReader(this.#messages.readableLength)
    }
  }

  /** grpc-js drops what an application does not ask for. One that reads asks for the next message before the turn is over. */
  #awaitReader(unread: number): void {
    setImmediate(() => {
      const left = this.#messages?.readableLength ?? 0
      if (left > 0 && left < unread) this.#awaitReader(left)
      else {
        this.silence()
        this.#tellEnd()
      }
    })
  }

  // ── What it receives, from grpc-js's events ───────────────────────────────────────────────────────────────────

  onReceiveMetadata(headers: Metadata): void {
    this.handle.receiveHeaders(headers)
    this.#events.headers()
  }

  onReceiveMessage(message: unknown): void {
    this.#responded = true
    if (this.handle instanceof SingleResponse) {
      this.handle.receive(message)
      this.#relay?.message(message)
    } else if (this.#wanted) {
      this.#messages?.arrived()
      this.#give(message)
    } else this.#messages?.push(message)
  }

  onReceiveStatus(raw: StatusObject): void {
    if (this.#end !== undefined) return
    const received = this.#withResponse(receivedStatus(raw))
    this.handle.settle(received)
    // The handle may know why it was cancelled.
    const { ending } = this.handle
    this.#end = ending === received ? raw : (ending as StatusObject) // complete: made of one that is
    this.#events.ended()
    this.#tellEnd()
  }

  /** To an interceptor object a single response that never came is an error; to the application it is what grpc-js makes of it. */
  #withResponse(status: Status): Status {
    if (status.code !== Code.OK || this.#responded || this.handle instanceof ResponseStream) return status
    return new LocalStatus({ ...status, code: Code.UNIMPLEMENTED, details: 'No message received', origin: 'remote' })
  }
}
