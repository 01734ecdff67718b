import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { AnyCall } from '../calls/call-handle.ts'
import type { InterceptedClientCall } from '../engine/client/client-call.ts'
import { InnerCall } from './inner-call.ts'

/**
 * The calls that the continuation of one run of an interceptor object has made, and which of them answers for the run:
 *
 * | asked for                   | the call                                                                             |
 * |-----------------------------|--------------------------------------------------------------------------------------|
 * | headers, as they come       | that was returned, else the only one that has not ended and has not been cancelled   |
 * | headers, with an answer     | that the answer comes from                                                           |
 * | whose response an answer is | that has received it, else the latest                                                |
 * | peer, TLS facts             | that was returned, else the latest                                                   |
 *
 * Headers are shown once.
 */
export class InnerCalls {
  readonly #show: (headers: Metadata) => void
  /** By their handles; only the running ones are held, as an interceptor may make any number. */
  readonly #own = new WeakMap<object, InnerCall>()
  readonly #running = new Set<InnerCall>()
  /** Those with a single response, to tell later whose response the answer is. */
  readonly #singles: InnerCall[] = []
  #latest: InnerCall | undefined
  #chosen: InnerCall | undefined
  /** The interceptor has returned something else than one of them. */
  #readsAhead = false
  #headersGiven = false
  /** How the run ends is decided: headers come with the answer only. */
  #decided = false

  /** @param show shows the application response headers */
  constructor(show: (headers: Metadata) => void) {
    this.#show = show
  }

  /** Starts a call of the continuation. */
  open(below: InterceptedClientCall, input: unknown, metadata: Metadata): AnyCall<unknown> {
    const call: InnerCall = new InnerCall(below, {
      headers: () => this.#giveHeaders(),
      cancelled: () => this.#giveHeaders(),
      ended: () => {
        this.#running.delete(call)
        this.#giveHeaders()
      },
    })
    this.#own.set(call.handle, call)
    this.#running.add(call)
    this.#latest = call
    if (!below.method.responseStream) this.#singles.push(call)
    call.start(input, metadata)
    if (this.#readsAhead) call.readAhead()
    return call.handle
  }

  // ── Which of them ─────────────────────────────────────────────────────────────────────────────────────────────

  /** The one that has this handle. */
  of(handle: unknown): InnerCall | undefined {
    return typeof handle === 'object' && handle !== null ? this.#own.get(handle) : undefined
  }

  get latest(): InnerCall | undefined {
    return this.#latest
  }

  /** The one that the interceptor returned: from then on the interceptor is as if it were not there. */
  get chosen(): InnerCall | undefined {
    return this.#chosen
  }

  /** The handle of the one that what is asked about the run is about. */
  get handle(): AnyCall<unknown> | undefined {
    return (this.#chosen ?? this.#latest)?.handle
  }

  /** The one that an answer comes from. */
  sourceOf(response: unknown): InnerCall | undefined {
    return this.#singles.find(({ handle }) => handle.gave(response)) ?? this.#latest
  }

  // ── What the interceptor has returned ─────────────────────────────────────────────────────────────────────────

  /** One of them, which has been claimed. */
  choose(call: InnerCall): void {
    this.#chosen = call
    this.#giveHeaders()
  }

  /** Something else, out of which one of them may still come. */
  readAhead(): void {
    this.#readsAhead = true
    for (const call of this.#running) call.readAhead()
  }

  // ── Response headers ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Shows the application response headers as soon as it is known whose they are: those of the call that was returned, else of
   * the only one that can still be, of those that have not ended and that the interceptor has not cancelled.
   */
  #giveHeaders(): void {
    if (this.#decided || this.#headersGiven) return
    let call = this.#chosen
    if (call === undefined) {
      for (const other of this.#running) {
        if (!other.inPlay) continue
        if (call !== undefined) return
        call = other
      }
    }
    this.giveHeadersOf(call)
  }

  /** Shows the headers of the call that an answer comes from, unless some were shown. */
  giveHeadersOf(call: InnerCall | undefined): void {
    const headers = this.#headersGiven ? undefined : call?.handle.receivedHeaders
    if (headers === undefined) return
    this.#headersGiven = true
    this.#show(headers)
  }

  // ── The end ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** How the run ends is decided: what they receive from now on changes nothing. */
  decide(): void {
    this.#decided = true
  }

  cancel(code: Code, details: string): void {
    for (const { handle } of this.#running) handle.cancelWith(code, details)
  }

  /** Those that still run are not needed. */
  close(): void {
    this.#decided = true
    this.cancel(Code.CANCELLED, 'The call it was made for has ended')
  }

  /** Settles when those that run now have ended. */
  ended(): Promise<unknown> {
    return Promise.all(Array.from(this.#running, ({ handle }) => handle.status))
  }
}
