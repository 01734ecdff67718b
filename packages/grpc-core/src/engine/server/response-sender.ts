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
    let headers: Metadata
    try {
      headers = this.#tapped(metadata)
    } catch (error) {
      this.#owner.tapThrew(error)
      return
    }
    this.#base.sendMetadata(headers)
  }

  /** Headers as they leave: with what interceptors add, past the taps. */
  #tapped(metadata: Metadata): Metadata {
    const merged = this.#metadata === undefined ? metadata : mergeOver(metadata, this.#metadata)
    const { taps } = this.#owner.run
    return taps?.seeMetadata ? taps.metadata(merged === metadata ? metadata.clone() : merged) : merged
  }

  /**
   * A message of the handler's. Returns whether its callback is due already.
   * @param given headers of what is further inside, to go out with the message
   */
  send(message: unknown, callback: () => void, given: Metadata | undefined): boolean {
    const { run, method } = this.#owner
    if (this.answered && !method.responseStream) {
      this.#owner.answeredTwice()
      return false
    }
    const { taps } = run
    let tapped: unknown = message
    let headers: Metadata | undefined
    try {
      if (taps?.seeResponses) tapped = taps.response(message)
      headers = this.#headersWithMessage(given)
    } catch (error) {
      this.#owner.tapThrew(error)
      return false
    }
    this.answered = true
    if (method.responseStream) {
      this.#connection.sendMessage(tapped, callback, headers)
      return false
    }
    // The status of a unary response need not wait for the flush of its message: HTTP/2 keeps the order.
    this.#connection.sendResponse(tapped, headers)
    return true
  }

  /** A message of an interceptor's own, which passes the taps outside of it and throws what one of them throws. */
  respond(message: unknown, written: () => void): void {
    const { run } = this.#owner
    const tapped = run.taps === undefined ? message : run.taps.response(message, run.acting)
    let headers: Metadata | undefined
    try {
      headers = this.#headersWithMessage(undefined)
    } catch (error) {
      this.#owner.tapThrew(error)
      return
    }
    this.answered = true
    this.#connection.sendMessage(tapped, written, headers)
  }

  /** grpc-js sends headers by itself before the first message: these in their place, where interceptors have something to say. */
  #headersWithMessage(given: Metadata | undefined): Metadata | undefined {
    if (this.#headersSent) return undefined
    this.#headersSent = true
    if (given !== undefined || this.#owner.run.taps?.seeMetadata) return this.#tapped(given ?? newMetadata())
    return this.#metadata
  }

  sendStatus(status: Status): void {
    let metadata: Metadata | null = status.metadata ?? null
    // With no headers sent, an error is trailers-only: what was meant for the headers goes with it.
    if (!this.#headersSent && this.#metadata !== undefined) metadata = mergeOver(metadata, this.#metadata)
    if (this.#trailers !== undefined) metadata = mergeOver(metadata, this.#trailers)
    this.#connection.sendStatus({ code: status.code, details: plainText(status.details), metadata })
  }
}
