import type { CallCredentials, InterceptorOptions, Metadata } from '@grpc/grpc-js'
import type { Compression } from '../../contract/call.ts'
import { isMetadata } from '../../contract/given-status.ts'
import type { ChannelFacts } from '../../grpc-js/channel-facts.ts'
import { checkDeadline } from '../../runtime/deadline.ts'
import { show } from '../../runtime/show.ts'

/** What interceptors may set on a client call before `next()`. */
export class CallSettings {
  readonly #facts: ChannelFacts
  readonly #given: Metadata
  readonly #givenDeadline: number
  /** No setting can outlast the deadline the application gave, nor, inside an interceptor that shortened it, that one. */
  #latest: number
  #own: Metadata | undefined
  #deadline: number
  #credentials: CallCredentials | undefined
  #compression: Compression | undefined
  #attemptTimeoutMs: number | undefined

  constructor(facts: ChannelFacts, given: Metadata, deadline: number, credentials: CallCredentials | undefined) {
    this.#facts = facts
    this.#given = given
    this.#givenDeadline = deadline
    this.#latest = deadline
    this.#deadline = deadline
    this.#credentials = credentials
  }

  /** A copy for inner interceptors, whose changes must not come back: what they want to change they get a copy of. */
  copy(): CallSettings {
    const copy = new CallSettings(this.#facts, this.outgoing, this.#givenDeadline, this.#credentials)
    copy.#latest = this.#deadline
    copy.#deadline = this.#deadline
    copy.#compression = this.#compression
    return copy
  }

  /** The metadata to send: the caller's own object until an interceptor first reads it. */
  get outgoing(): Metadata {
    return this.#own ?? this.#given
  }

  get metadata(): Metadata {
    this.#own ??= this.#given.clone()
    return this.#own
  }

  /** From now on the caller may change what it gave: another attempt, or the first, is yet to be sent as it is now. */
  keep(): void {
    this.#own ??= this.#given.clone()
  }

  set metadata(metadata: Metadata) {
    if (!isMetadata(metadata)) throw new TypeError(`call.metadata: expected a grpc-js Metadata, got ${show(metadata)}`)
    this.#own = metadata
  }

  get deadline(): number {
    return this.#deadline
  }

  set deadline(deadline: number) {
    this.#deadline = Math.min(checkDeadline(deadline), this.#latest)
  }

  get credentials(): CallCredentials | undefined {
    return this.#credentials
  }

  set credentials(credentials: CallCredentials | undefined) {
    if (credentials !== undefined && typeof credentials?.generateMetadata !== 'function') {
      throw new TypeError(`call.credentials: expected grpc-js CallCredentials, got ${show(credentials)}`)
    }
    this.#credentials = credentials
  }

  get waitForReady(): boolean {
    return this.outgoing.getOptions().waitForReady ?? false
  }

  set waitForReady(wait: boolean) {
    this.metadata.setOptions({ ...this.metadata.getOptions(), waitForReady: wait })
  }

  get attemptTimeoutMs(): number | undefined {
    return this.#attemptTimeoutMs
  }

  set attemptTimeoutMs(timeoutMs: number | undefined) {
    if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs >= 0)) {
      throw new TypeError(`call.attemptTimeoutMs: expected milliseconds or undefined, got ${show(timeoutMs)}`)
    }
    this.#attemptTimeoutMs = timeoutMs
  }

  get compression(): Compression | undefined {
    return this.#compression
  }

  set compression(compression: Compression | undefined) {
    if (compression !== undefined && compression !== 'identity' && compression !== this.#facts.compression) {
      throw new TypeError(
        `call.compression: ${show(compression)} cannot be honoured, grpc-js compresses per channel: create the channel ` +
          `with grpc.default_compression_algorithm`,
      )
    }
    this.#compression = compression
  }

  /** Call options for an attempt; the given ones themselves when they already say the same. */
  applyTo(options: InterceptorOptions): InterceptorOptions {
    const sameDeadline = this.#deadline === this.#givenDeadline && options.parent === undefined
    if (sameDeadline && this.#credentials === options.credentials) return options
    // The parent call is listened to once, by the call itself.
    const { parent: _parent, credentials: _credentials, ...changed } = options
    if (this.#deadline !== Number.POSITIVE_INFINITY) changed.deadline = this.#deadline
    return this.#credentials === undefined ? changed : { ...changed, credentials: this.#credentials }
  }
}
