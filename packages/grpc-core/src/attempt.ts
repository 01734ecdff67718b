import type { InterceptingListener, Metadata, NextCall, StatusObject } from '@grpc/grpc-js'
import type { Status } from './status.ts'

/** What owns an attempt and takes its events. */
interface AttemptOwner {
  receiveMetadata(attempt: Attempt, metadata: Metadata): void
  receiveMessage(attempt: Attempt, message: unknown): void
  receiveStatus(attempt: Attempt, status: StatusObject): void
}

/**
 * One RPC on the wire, and grpc-js's listener for it. A later attempt has its own, so that late events of an earlier
 * one can be told apart.
 */
export class Attempt implements InterceptingListener {
  readonly outcome: Promise<Status>
  resolve!: (status: Status) => void
  call!: ReturnType<NextCall>
  /** Its status has come, or nobody is interested any more. */
  ended = false
  /** A message was given to grpc-js and its callback has not come. */
  writing = false
  halfClosed = false
  /** A response message has come. */
  received = false
  /** The status it must end with, set when this side broke it off. */
  failure: Status | undefined
  readonly #owner: AttemptOwner

  constructor(owner: AttemptOwner) {
    this.#owner = owner
    this.outcome = new Promise((resolve) => {
      this.resolve = resolve
    })
  }

  // One parameter exactly: grpc-js tells a listener by the arity of onReceiveMetadata (call-interface.ts).
  onReceiveMetadata(metadata: Metadata): void {
    this.#owner.receiveMetadata(this, metadata)
  }

  onReceiveMessage(message: unknown): void {
    this.#owner.receiveMessage(this, message)
  }

  onReceiveStatus(status: StatusObject): void {
    this.#owner.receiveStatus(this, status)
  }
}
