import type { AsyncResource } from 'node:async_hooks'
import type { status as Code, InterceptingListener, Metadata, NextCall, StatusObject } from '@grpc/grpc-js'
import type { Status } from '../../contract/status.ts'
import { cancelOnceSent } from '../../grpc-js/early-cancel.ts'
import { type AttemptEnd, tellEnd } from '../attempt-taps.ts'
import type { ApplicationSide } from './application-side.ts'
import type { RequestEntry } from './request-log.ts'

/** What owns an attempt and takes its events. */
interface AttemptOwner {
  /** Where the application hears. */
  readonly application: AsyncResource
  receiveMetadata(attempt: Attempt, metadata: Metadata): void
  receiveMessage(attempt: Attempt, message: unknown): void
  receiveStatus(attempt: Attempt, status: StatusObject): ApplicationSide | undefined
  /** The message in flight was written. */
  receiveWritten(attempt: Attempt): void
}

type MessageContext = Parameters<ReturnType<NextCall>['sendMessageWithContext']>[0]

/**
 * One RPC of grpc-js's, and our listener for it. A later attempt has its own, so that late events of an earlier
 * one can be told apart.
 */
export class Attempt implements InterceptingListener {
  call!: ReturnType<NextCall>
  /** A message of a request stream was given to grpc-js and its callback has not come. */
  writing = false
  /** What to tell the application when it comes. */
  written: (() => void) | undefined
  /** The message, where it is kept. */
  entry: RequestEntry | undefined
  halfClosed = false
  /** Requests may be given to grpc-js in bytes. */
  takesBytes = false
  /** The peer has answered something. */
  #answered = false
  /** A response message has come. */
  received = false
  /** The status it must end with, set when this side broke it off. */
  failure: Status | undefined
  /** Told its status, once. */
  ends: readonly AttemptEnd[] | undefined
  #owner: AttemptOwner | undefined
  /** After the end, where the application hears of the message that was in flight then. */
  #late: AsyncResource | undefined
  #messageContext: MessageContext | undefined

  constructor(owner: AttemptOwner) {
    this.#owner = owner
  }

  /** Its status has come, or the call has dropped it. */
  get ended(): boolean {
    return this.#owner === undefined
  }

  /**
   * Its later events are dropped. Node keeps an HTTP/2 stream that has ended, and all of grpc-js's objects for it, until the next
   * full garbage collection: every minor one until then copies all that they refer to. They must not refer to the call.
   */
  end(): void {
    if (this.written !== undefined) this.#late ??= this.#owner?.application
    this.#owner = undefined
  }

  cancel(code: Code, details: string): void {
    cancelOnceSent(this.call, this.#answered, code, details)
  }

  tellEnd(status: Status): void {
    if (this.ends !== undefined) tellEnd(this.ends, status)
    this.ends = undefined
  }

  /** The write callback of the message in flight, once: another attempt may have told it. */
  takeWritten(): (() => void) | undefined {
    const { written, entry } = this
    this.writing = false
    this.written = this.entry = undefined
    if (entry === undefined) return written
    const owed = entry.written
    entry.written = undefined
    return owed
  }

  /** What to send messages of a request stream with: the same for all of them, as only one is in flight. */
  messageContext(flags: number | undefined): MessageContext {
    this.#messageContext ??= { callback: () => this.#receiveWritten() }
    return flags === undefined ? this.#messageContext : { ...this.#messageContext, flags }
  }

  #receiveWritten(): void {
    if (this.#owner !== undefined) {
      this.#owner.receiveWritten(this)
      return
    }
    // grpc-js answers for a message that was in flight at the end of its call when it has taken it, and else not at all.
    const written = this.takeWritten()
    if (written !== undefined) this.#late?.runInAsyncScope(written)
    this.#late = undefined
  }

  // One parameter exactly: grpc-js tells a listener by the arity of onReceiveMetadata (call-interface.ts).
  onReceiveMetadata(metadata: Metadata): void {
    this.#answered = true
    this.#owner?.receiveMetadata(this, metadata)
  }

  onReceiveMessage(message: unknown): void {
    this.#owner?.receiveMessage(this, message)
  }

  onReceiveStatus(status: StatusObject): void {
    this.#owner?.receiveStatus(this, status)?.deliver()
  }
}
