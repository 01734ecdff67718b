import type { NextCall } from '@grpc/grpc-js'
import type { ReplayLimits } from '../../contract/call.ts'
import type { MethodInfo } from '../../contract/method.ts'
import { SerializedRequest } from '../../grpc-js/serialized-request.ts'
import type { StackRun } from '../stack-run.ts'
import type { ApplicationSide } from './application-side.ts'
import type { Attempt } from './attempt.ts'
import type { CallSettings } from './call-settings.ts'
import { type RequestEntry, RequestLog } from './request-log.ts'

type MessageContext = Parameters<ReturnType<NextCall>['sendMessageWithContext']>[0]

const NO_COMPRESS = 2 // grpc-js: WriteFlags.NoCompress

/** The call whose requests it sends. */
interface SenderOwner {
  readonly method: MethodInfo
  readonly run: StackRun
  readonly settings: CallSettings
  readonly application: ApplicationSide
  serialize(message: unknown): Buffer
  /** Running or ended; undefined before the first. */
  readonly attempt: Attempt | undefined
  failAttempt(attempt: Attempt, error: unknown): void
  /** There will be no further attempt. */
  commit(): void
}

/**
 * Request messages on their way from the application to an attempt, in order and one at a time: grpc-js keeps a single unsent message
 * until its own call is up and drops what follows it (resolving-call.ts, 1.14). What waits, or may be needed by another attempt,
 * stands in a log.
 */
export class RequestSender {
  readonly #owner: SenderOwner
  #log: RequestLog | undefined
  /** Indexes of the interceptors that may run the call again, outermost first. */
  #replayPoints: number[] | undefined
  #halfClosed = false
  /** Response headers wait for the first message. */
  holdsHeaders = false

  constructor(owner: SenderOwner) {
    this.#owner = owner
  }

  /** Messages are kept for another attempt. */
  get keeping(): boolean {
    return this.#log?.keeping === true
  }

  mayReplay(index: number): boolean {
    return this.#replayPoints?.includes(index) ?? false
  }

  /** The interceptor at this index may run the call again. */
  keepFor(index: number, limits: ReplayLimits): void {
    if (this.#replayPoints === undefined) this.#replayPoints = [index]
    else if (!this.#replayPoints.includes(index)) {
      this.#replayPoints.push(index)
      this.#replayPoints.sort((a, b) => a - b)
    }
    if (limits.commit === 'message' && !this.#owner.method.requestStream) this.holdsHeaders = true
    this.#log ??= new RequestLog()
    this.#log.keep(this.#owner.method.requestStream ? limits : SINGLE_REQUEST)
  }

  // ── What the application calls ────────────────────────────────────────────────────────────────────────────────

  send(context: MessageContext, message: unknown): void {
    const { attempt } = this.#owner
    const log = this.#log
    const ready = attempt !== undefined && !attempt.ended && !attempt.writing
    if (ready && (log === undefined || (!log.keeping && log.drained))) {
      this.#write(attempt, message, context.flags, context.callback)
      return
    }
    this.#log ??= new RequestLog()
    const bytes = this.#serialized(message)
    const entry: RequestEntry = {
      message,
      bytes,
      flags: context.flags,
      written: context.callback,
      passed: 0,
      stages: undefined,
    }
    const fits = this.#log.add(entry, this.#owner.method.requestStream && this.#log.keeping ? (bytes?.length ?? 0) : 0)
    // Between attempts everything is still there, so the next attempt may start; it is then the last.
    if (!fits && !attempt?.ended) this.#owner.commit()
    this.pump()
  }

  halfClose(): void {
    this.#halfClosed = true
    this.pump()
  }

  // ── What attempts call ────────────────────────────────────────────────────────────────────────────────────────

  /** There are messages to be sent in the bytes they had when they were written. */
  get hasBytes(): boolean {
    return this.#log !== undefined && this.#log.entries.length > 0
  }

  /** A new attempt has begun: it gets all that is kept, and what comes. */
  begin(): void {
    this.#log?.rewind()
    if (this.#log?.overflown) this.#owner.commit()
  }

  /** The interceptor at this index runs the call again: messages pass the taps inside of it once more. */
  again(index: number): void {
    if (this.#replayPoints !== undefined) this.#log?.forgetStagesFrom(this.#replayPoints.indexOf(index) + 1)
  }

  /** No further attempt needs what was sent. */
  release(): void {
    this.#log?.release()
  }

  written(attempt: Attempt): void {
    const written = attempt.takeWritten()
    if (written !== undefined) this.#owner.application.runInAsyncScope(written)
    this.pump()
  }

  /** The call has ended, and nothing is kept. */
  end(): void {
    const log = this.#log
    if (log === undefined) return
    const unsent = log.entries.slice(log.cursor)
    log.release()
    this.#log = undefined
    for (const { message, flags, written } of unsent) this.sendLate(messageContext(flags, written), message)
  }

  /** A message for a call that has ended. grpc-js answers for it, as without interceptors: it confirms what serializes. */
  sendLate({ flags, callback }: MessageContext, message: unknown): void {
    const { attempt, application } = this.#owner
    const written = callback && (() => application.runInAsyncScope(callback))
    if (attempt !== undefined) attempt.call.sendMessageWithContext(messageContext(flags, written), message)
    else if (written !== undefined) this.confirmLate(message, written)
  }

  /** As grpc-js does where a call ends before it is on a connection. A writer that waits for each message can go on. */
  confirmLate(message: unknown, written: () => void): void {
    // As after a write: not before the write has returned.
    if (this.#serialized(message) !== undefined) process.nextTick(written)
  }

  /** Sends what can be sent. */
  pump(): void {
    const { attempt } = this.#owner
    if (attempt === undefined || attempt.ended) return
    const log = this.#log
    while (log !== undefined && !attempt.writing) {
      const entry = log.take()
      if (entry === undefined) break
      this.#write(attempt, entry.message, entry.flags, entry.written, entry)
    }
    if (this.#halfClosed && !attempt.halfClosed && !attempt.writing && (log === undefined || log.drained)) {
      attempt.halfClosed = true
      attempt.call.halfClose()
    }
  }

  #write(
    attempt: Attempt,
    message: unknown,
    flags: number | undefined,
    written?: () => void,
    entry?: RequestEntry,
  ): void {
    let tapped: unknown = message
    if (this.#owner.run.taps?.seeRequests) {
      try {
        tapped = this.#tapInStages(message, entry)
      } catch (error) {
        this.#owner.failAttempt(attempt, error) // never sent, so its write callback does not come
        return
      }
    }
    if (tapped === message && entry?.bytes !== undefined && attempt.takesBytes)
      tapped = new SerializedRequest(entry.bytes)
    const marks = this.#owner.settings.compression === 'identity' ? (flags ?? 0) | NO_COMPRESS : flags
    if (!this.#owner.method.requestStream) {
      // One message, written at once: its callback has no one to wait for it, and half-close may follow directly.
      attempt.call.sendMessageWithContext(messageContext(marks, written), tapped)
      return
    }
    attempt.writing = true
    attempt.written = written
    attempt.entry = entry
    const { call } = attempt
    const context = attempt.messageContext(marks)
    // grpc-js cancels the call over it, which may be in the tick of its start (early-cancel.ts). Bound: a closure would cost every message.
    if (entry && !entry.bytes) process.nextTick(call.sendMessageWithContext.bind(call, context, tapped))
    else call.sendMessageWithContext(context, tapped)
  }

  /** Outer taps see a replayed message once; taps inside the replaying interceptor see it on each attempt. */
  #tapInStages(message: unknown, entry: RequestEntry | undefined): unknown {
    const taps = this.#owner.run.observed
    const points = this.#replayPoints
    if (points === undefined || entry === undefined) return taps.request(message)
    const { passed } = entry
    let seen = entry.stages === undefined ? message : entry.stages[passed - 1]
    let depth = points[passed - 1] ?? Number.NEGATIVE_INFINITY
    for (let i = passed; i < points.length; i++) {
      const point = points[i] as number // i is in range
      seen = taps.request(seen, depth, point)
      if (seen !== message) entry.stages ??= new Array<unknown>(i).fill(message)
      entry.stages?.push(seen)
      entry.passed++ // one by one: the next tap may throw
      depth = point
    }
    return taps.request(seen, depth)
  }

  /** grpc-js serializes a message when it is written; one that has to wait must be as it was then. */
  #serialized(message: unknown): Buffer | undefined {
    try {
      return this.#owner.serialize(message)
    } catch {
      return undefined // grpc-js will end the RPC over it
    }
  }
}

/** A single request counts for no limit. */
const SINGLE_REQUEST: ReplayLimits = { maxBytes: Number.POSITIVE_INFINITY, maxMessages: Number.POSITIVE_INFINITY }

function messageContext(flags: number | undefined, callback: (() => void) | undefined): MessageContext {
  const context: MessageContext = {}
  if (callback !== undefined) context.callback = callback
  if (flags !== undefined) context.flags = flags
  return context
}
