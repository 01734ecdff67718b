import type { Metadata, ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { MethodInfo } from '../../contract/method.ts'
import { plainText, type Status } from '../../contract/status.ts'
import { mergeOver, newMetadata } from '../../grpc-js/metadata.ts'
import type { StackRun } from '../stack-run.ts'
import type { ConnectionLink } from './connection-link.ts'

/** The call whose response it sends. */
interface SenderOwner {
  readonly method: MethodInfo
  readonly run: StackRun
  /** The handler answers an RPC with one response that an interceptor has answered. */
  answeredTwice(): void
  /** A tap of an interceptor threw; nothing was sent. */
  tapThrew(error: unknown): void
}

/**
 * What a server RPC answers with, on its way through the taps to the connection: headers, messages, and the status with the trailers.
 * What interceptors add to headers and trailers is kept here until they leave.
 */
export class ResponseSender {
  readonly #base: ServerInterceptingCallInterface
  readonly #connection: ConnectionLink
  readonly #owner: SenderOwner
  /** A message was sent. */
  answered = false
  #headersSent = false
  #metadata: Metadata | undefined
  #trailers: Metadata | undefined

  constructor(base: ServerInterceptingCallInterface, connection: ConnectionLink, owner: SenderOwner) {
    this.#base = base
    this.#connection = connection
    this.#owner = owner
  }

  /** Merged over the handler's headers. */
  get metadata(): Metadata {
    this.#metadata ??= newMetadata()
    return this.#metadata
  }

  /** Merged over the handler's trailers. */
  get trailers(): Metadata {
    this.#trailers ??= newMetadata()
    return this.#trailers
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#headersSent) return
    this.#headersSent = true
    const merged = this.#metadata === undefined ? metadata : mergeOver(metadata, this.#metadata)
    const { taps } = this.#owner.run
    let tapped = merged
    if (taps?.seeMetadata) {
      try {
        tapped = taps.metadata(merged === metadata ? metadata.clone() : merged)
      } catch (error) {
        this.#owner.tapThrew(error)
        return
      }
    }
    this.#base.sendMetadata(tapped)
  }

  /** A message of the handler's. Returns whether its callback is due already. */
  send(message: unknown, callback: () => void): boolean {
    const { run, method } = this.#owner
    if (this.answered && !method.responseStream) {
      this.#owner.answeredTwice()
      return false
    }
    const { taps } = run
    let tapped: unknown = message
    if (taps?.seeResponses) {
      try {
        tapped = taps.response(message)
      } catch (error) {
        this.#owner.tapThrew(error)
        return false
      }
    }
    this.#sendHeadersIfAny()
    this.answered = true
    if (method.responseStream) {
      this.#base.sendMessage(tapped, callback)
      return false
    }
    // The status of a unary response need not wait for the flush of its message: HTTP/2 keeps the order.
    this.#connection.sendResponse(tapped)
    return true
  }

  /** A message of an interceptor's own, which passes the taps outside of it and throws what one of them throws. */
  respond(message: unknown, written: () => void): void {
    const { run } = this.#owner
    const tapped = run.taps === undefined ? message : run.taps.response(message, run.acting)
    this.#sendHeadersIfAny()
    this.answered = true
    this.#base.sendMessage(tapped, written)
  }

  /** Headers go out by themselves before the first message, unless an interceptor has something to say in them. */
  #sendHeadersIfAny(): void {
    if (this.#headersSent) return
    if (this.#owner.run.taps?.seeMetadata) this.sendMetadata(newMetadata())
    else {
      this.#headersSent = true
      if (this.#metadata !== undefined) this.#base.sendMetadata(this.#metadata)
    }
  }

  sendStatus(status: Status): void {
    let metadata: Metadata | null = status.metadata ?? null
    // With no headers sent, an error is trailers-only: what was meant for the headers goes with it.
    if (!this.#headersSent && this.#metadata !== undefined) metadata = mergeOver(metadata, this.#metadata)
    if (this.#trailers !== undefined) metadata = mergeOver(metadata, this.#trailers)
    this.#connection.sendStatus({ code: status.code, details: plainText(status.details), metadata })
  }
}
