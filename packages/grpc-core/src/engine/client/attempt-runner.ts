import { status as Code, type InterceptorOptions, type Metadata, type NextCall, type StatusObject } from '@grpc/grpc-js'
import type { CallAttempt, ClientCall } from '../../contract/call.ts'
import { LocalStatus, receivedStatus, type Status, withAttempts } from '../../contract/status.ts'
import { type ChannelFacts, isIntercepted } from '../../grpc-js/channel-facts.ts'
import { takeBytes } from '../../grpc-js/serialized-request.ts'
import { openPromise, resolverOfLatest } from '../../runtime/open-promise.ts'
import { errorText } from '../../runtime/show.ts'
import { abandoned, tapStatus } from '../answer.ts'
import type { AttemptEnd } from '../attempt-taps.ts'
import type { StackRun } from '../stack-run.ts'
import type { ApplicationSide } from './application-side.ts'
import { Attempt } from './attempt.ts'
import { AttemptCount, type Siblings } from './attempt-count.ts'
import type { CallSettings } from './call-settings.ts'
import type { RequestSender } from './request-sender.ts'

/** The call whose attempts it runs. */
interface RunnerOwner extends ClientCall {
  readonly run: StackRun
  readonly settings: CallSettings
  readonly application: ApplicationSide
  readonly requests: RequestSender
  complete(status: Status): Status
  /** Settings belong to one attempt: what is added to its metadata must not be there in the next. */
  readonly repeatable: boolean
  /** The call is committed. */
  onCommit(): void
  /** The attempt could not be started. */
  startFailed(error: unknown): void
  /** grpc-js says that a deadline has passed, of this side or of the peer. */
  deadlineReported(status: Status): void
  /** The attempt has ended, and interceptors have heard so. */
  attemptEnded(status: Status): void
}

/**
 * Runs the attempts of a client call, one after the other: starts them, takes their events, and decides when the call is committed.
 *
 *     begin() ──▶ Attempt ──▶ grpc-js
 *        ▲                      │ metadata, messages: through the taps to the application; the first one commits
 *        └── run.ended ◀────────┘ status: through the interceptors, which may begin another
 */
export class AttemptRunner {
  readonly #owner: RunnerOwner
  readonly #options: InterceptorOptions
  readonly #nextCall: NextCall
  readonly #facts: ChannelFacts
  /** Of the call around the interceptor object whose continuation made this one. */
  readonly #outer: AttemptRunner | undefined
  readonly count: AttemptCount
  /** Running or ended; undefined before the first. */
  current: Attempt | undefined
  /** Nothing can be attempted any more: something of a response is, or is about to be, the application's. */
  committed = false
  /** The response of a method with a unary response. */
  response: { readonly message: unknown } | undefined
  /** Response headers that wait for the commit. */
  heldHeaders: Metadata | undefined
  /** grpc-js's own object for a status, handed back to it when no interceptor replaced the status. */
  #raw: { readonly status: Status; readonly object: StatusObject } | undefined
  #resolve: ((status: Status) => void) | undefined
  #beginning = false
  /** What an attempt ended with before `begin` returns. */
  #atOnce: Status | undefined

  constructor(
    owner: RunnerOwner,
    options: InterceptorOptions,
    nextCall: NextCall,
    facts: ChannelFacts,
    outer: AttemptRunner | undefined,
    among: Siblings | undefined,
  ) {
    this.#owner = owner
    this.#options = options
    this.#nextCall = nextCall
    this.#facts = facts
    this.#outer = outer
    this.count = new AttemptCount(among)
  }

  get application(): ApplicationSide {
    return this.#owner.application
  }

  get running(): Attempt | undefined {
    return this.current !== undefined && !this.current.ended ? this.current : undefined
  }

  /** Begins an attempt, in place of one that still runs. Resolves to its status. */
  begin(): Promise<Status> {
    const { run, settings, application, requests, method } = this.#owner
    this.silence()
    const outcome = openPromise<Status>()
    this.#resolve = resolverOfLatest()
    const attempt = new Attempt(this)
    if (this.#facts.opensRpc) attempt.ends = this.#announce(this.count.begin())
    const { block } = run
    if (block !== undefined) {
      // A tap that was shown the attempt has cancelled the call.
      attempt.end()
      this.#countEnd()
      attempt.tellEnd(block.status)
      return run.endedAtOnce(block.status)
    }
    this.#beginning = true
    this.#atOnce = undefined
    try {
      attempt.call = this.#facts.open(this.#nextCall, settings.applyTo(this.#options))
      // What is kept, or had to wait, is serialized already.
      if (method.requestStream || requests.keeping || requests.hasBytes) attempt.takesBytes = takeBytes(attempt.call)
      // In the application's context, as without interceptors: an HTTP/2 stream keeps the context it was made in, and would keep
      // the stores that interceptors entered.
      application.runInAsyncScope(this.#start, this, attempt)
    } catch (error) {
      this.#owner.startFailed(error)
      const status = closedStatus(error)
      attempt.end()
      this.#countEnd()
      attempt.tellEnd(status)
      this.#atOnce = status
    }
    this.#beginning = false
    return this.#atOnce === undefined ? outcome : run.endedAtOnce(this.#atOnce)
  }

  /** Sending the request threw, because the channel is closed. The application hears so from that, interceptors by this status. */
  sendFailed(error: unknown): void {
    const attempt = this.running
    // Complete, as what grpc-js gives here is.
    if (attempt !== undefined) this.receiveStatus(attempt, closedStatus(error) as StatusObject)
  }

  #start(attempt: Attempt): void {
    const { settings, repeatable, requests, application } = this.#owner
    // What grpc-js interceptors further in add to it must not be there in the next attempt. grpc-js itself copies it.
    const metadata = repeatable && isIntercepted(attempt.call) ? settings.metadata : settings.outgoing
    attempt.call.start(metadata, attempt)
    this.current = attempt
    this.response = undefined
    this.heldHeaders = undefined
    requests.begin()
    if (application.readWanted) attempt.call.startRead()
    requests.pump()
  }

  /** Shows an attempt to the taps of this call and of those around it, outermost first. */
  #announce(number: number): AttemptEnd[] | undefined {
    let listened = false
    for (let runner: AttemptRunner | undefined = this; runner !== undefined; runner = runner.#outer) {
      listened ||= runner.#owner.run.taps?.seeAttempts === true
    }
    if (!listened) return undefined
    return this.#show({
      number,
      repeatable: this.#outer !== undefined || this.#owner.requests.keeping,
      call: this.#owner,
    })
  }

  #show(attempt: CallAttempt): AttemptEnd[] | undefined {
    const ends = this.#outer === undefined ? undefined : this.#outer.#show(attempt)
    const { taps } = this.#owner.run
    return taps === undefined ? ends : taps.attempt(attempt, ends)
  }

  /** The status as the interceptor at this index gets it; at -1 the application. */
  counted(status: Status, index: number): Status {
    if (this.count.begun < 2) return withAttempts(status, 0, 0)
    const { begun, hedges } = this.count.since(index)
    return withAttempts(status, begun, hedges)
  }

  #countEnd(): void {
    if (this.#facts.opensRpc) this.count.end()
  }

  /** Ends a running attempt that the call goes on without. */
  silence(): void {
    const attempt = this.running
    if (attempt === undefined) return
    attempt.end()
    this.#countEnd()
    const status = abandoned()
    attempt.tellEnd(status)
    this.#resolve?.(status)
    attempt.cancel(Code.CANCELLED, 'Superseded')
  }

  /** From here on there is no further attempt. */
  commit(): void {
    if (this.committed) return
    this.committed = true
    this.#owner.onCommit()
    this.#owner.requests.release()
    if (this.heldHeaders !== undefined) {
      this.#owner.application.metadata(this.heldHeaders)
      this.heldHeaders = undefined
    }
  }

  /** What grpc-js said of this status, if it did. */
  rawOf(status: Status): StatusObject {
    // A complete status has what grpc-js's type asks for.
    return this.#raw?.status === status ? this.#raw.object : (status as StatusObject)
  }

  /** A tap of an interceptor threw: the attempt ends with what that says, whatever grpc-js makes of the cancellation. */
  fail(attempt: Attempt, error: unknown): void {
    this.endWith(attempt, tapStatus(error, 'client', this.#owner.run.taps?.running))
  }

  /** This side breaks a running attempt off. */
  endWith(attempt: Attempt, status: Status): void {
    attempt.failure ??= status
    attempt.cancel(attempt.failure.code, attempt.failure.details ?? '')
  }

  // ── What attempts say, until they end ─────────────────────────────────────────────────────────────────────────

  receiveMetadata(attempt: Attempt, metadata: Metadata): void {
    const { run, requests, application } = this.#owner
    let tapped: Metadata
    try {
      tapped = run.taps?.seeMetadata ? run.taps.metadata(metadata) : metadata
    } catch (error) {
      this.fail(attempt, error)
      return
    }
    if (requests.holdsHeaders && requests.keeping) this.heldHeaders = tapped
    else {
      this.commit()
      application.metadata(tapped)
    }
  }

  receiveMessage(attempt: Attempt, message: unknown): void {
    const { run, method, application } = this.#owner
    // grpc-js hands up null when a unary response ends without a message; the status says what happened.
    if (!method.responseStream && message === null) return
    if (!method.responseStream && attempt.received) {
      attempt.cancel(Code.UNIMPLEMENTED, 'Too many responses received')
      return
    }
    let tapped: unknown
    try {
      tapped = run.taps?.seeResponses ? run.taps.response(message) : message
    } catch (error) {
      this.fail(attempt, error)
      return
    }
    attempt.received = true
    this.commit()
    if (method.responseStream) application.message(tapped)
    else {
      this.response = { message: tapped }
      if (method.requestStream) attempt.call.startRead()
    }
  }

  /** Returns the application's side, for the caller to deliver the end, if that was the end of the call. */
  receiveStatus(attempt: Attempt, raw: StatusObject): ApplicationSide | undefined {
    const { run, application } = this.#owner
    attempt.end()
    const resolve = this.#resolve // a tap may start the next attempt
    this.#countEnd()
    const received: Status = receivedStatus(raw)
    if (this.#facts.opensRpc && received.attempts !== undefined) {
      this.count.add(received.attempts - 1, received.hedges ?? 0)
    }
    const status = attempt.failure ?? this.#owner.complete(received)
    // Of a failure of this side grpc-js, or an interceptor object, may say something else: it had ended in the same event.
    this.#raw = attempt.failure === undefined || raw.code === status.code ? { status, object: raw } : undefined
    if (status.code === Code.DEADLINE_EXCEEDED) this.#owner.deadlineReported(status)
    attempt.tellEnd(status)
    if (this.#beginning) {
      this.#atOnce = status
      return undefined
    }
    const seen = run.ended(status, true)
    resolve?.(seen)
    if (run.finished) return application
    this.#owner.attemptEnded(status)
    return undefined
  }

  receiveWritten(attempt: Attempt): void {
    this.#owner.requests.written(attempt)
  }
}

function closedStatus(error: unknown): Status {
  return new LocalStatus({ code: Code.UNAVAILABLE, details: errorText(error), cause: error })
}
