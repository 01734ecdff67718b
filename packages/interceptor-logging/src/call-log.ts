import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, CallAttempt, ClientCall, Status } from '@grpc-stack/grpc-core'
import { type CredentialScrubber, credentialScrubber } from '@grpc-stack/grpc-core/authoring'
import { CallTraffic } from './call-traffic.ts'
import { cleanText, escaped } from './clean-text.ts'
import { isoTime } from './iso-time.ts'
import { defaultLevel, isLevel } from './level.ts'
import type { Level, LogFields } from './logger.ts'
import type { MethodPlan } from './method-plan.ts'
import type { PayloadSettings } from './options.ts'
import { type Excerpt, excerpt } from './payload.ts'
import { isError, recordedError } from './recorded-error.ts'
import { requestIdOf } from './request-id-var.ts'
import { traceIdOf } from './trace-parent.ts'

const LONGEST_DETAILS = 1024
/** More than any retry policy makes; hedges have a limit of their own. */
const MOST_ATTEMPTS = 16

/**
 * The records of one run of the interceptor. They are written from its hooks, which run in its own asynchronous context: loggers
 * look for traces and requests there.
 *
 * One object, and small: what a call leaves to the garbage collector costs more than what is done with it.
 */
export class CallLog {
  readonly #plan: MethodPlan
  readonly #call: Call
  readonly #startTime: number
  readonly #startedAt: number
  /** What came with the call: an interceptor inside may put other metadata in its place. */
  readonly #metadata: Metadata
  /** What attempts were sent with: a call that may be repeated forgets what interceptors inside set. */
  #sent: Metadata[] | undefined
  /** Which attempt this is, where it is not the first. */
  #attempt = 0
  #sampled = true
  #traffic: CallTraffic | undefined

  constructor(plan: MethodPlan, call: Call) {
    this.#plan = plan
    this.#call = call
    this.#metadata = call.metadata
    this.#startTime = Date.now()
    this.#startedAt = this.#now()
  }

  /** Before `next()`: registers the taps there is a use for. */
  begin(): void {
    const { settings, watchesRequests, watchesResponses } = this.#plan
    // Now, because a retry inside changes it while the call goes on.
    this.#attempt = attemptOf(this.#call)
    if (this.#call.side === 'client') (this.#call as ClientCall).onAttempt((attempt) => this.#note(attempt))
    if (settings.sample < 1) this.#sampled = this.#drawn()
    if (watchesRequests || watchesResponses || settings.metadata !== undefined) this.#watchTraffic()
    if (settings.start && this.#sampled) this.#writeStart()
  }

  #note({ repeatable, call, number }: CallAttempt): void {
    if ((repeatable || call !== this.#call) && number <= MOST_ATTEMPTS) {
      this.#sent ??= []
      this.#sent.push(call.metadata)
    }
  }

  /** The end of the RPC: the one terminal record. */
  end(status: Status): void {
    try {
      this.#finish(status)
    } catch (error) {
      this.#plan.contained.failed(error, 'logger', this.#call)
    }
  }

  #finish(status: Status): void {
    const { slowMs } = this.#plan.settings
    const ms = this.#now() - this.#startedAt
    const slow = ms >= slowMs
    if (!this.#sampled && !slow && status.code === Code.OK) return
    const level = this.#levelOf(status, slow)
    if (level === 'silent' || !this.#enabled(level)) return
    const fields = this.#common(Code[status.code] ?? String(status.code), Math.round(ms * 1000) / 1000)
    if (slow) fields['grpc.slow'] = true
    const scrub = status.code === Code.OK ? undefined : this.#scrubber(status)
    this.#traffic?.addTo(fields, this.#call, status.metadata, scrub)
    if (status.attempts !== undefined) fields['grpc.attempts'] = status.attempts
    if (scrub !== undefined) addError(fields, status, scrub)
    this.#write(level, 'finished call', fields, status, scrub)
  }

  #scrubber(status: Status): CredentialScrubber {
    return credentialScrubber(this.#call, this.#metadata, status.metadata, ...(this.#sent ?? []))
  }

  #writeStart(): void {
    const level = this.#usualLevel()
    if (level !== 'silent' && this.#enabled(level)) this.#write(level, 'started call', this.#common(), undefined)
  }

  #watchTraffic(): void {
    const { payload } = this.#plan
    this.#traffic = new CallTraffic(this.#plan, this.#call, (direction, message, n) => {
      if (payload === undefined || !this.#sampled || n > payload.maxMessages) return
      if (direction === 'request' ? payload.requests : payload.responses)
        this.#writeMessage(direction, message, payload)
    })
  }

  #writeMessage(direction: 'request' | 'response', message: unknown, payload: PayloadSettings): void {
    const level = this.#usualLevel()
    if (level === 'silent' || !this.#enabled(level)) return
    const fields = this.#common()
    const shown = this.#plan.contained.run('payload', () => this.#excerpt(message, payload), this.#call)
    if (shown === undefined) fields[`grpc.${direction}.dropped`] = true
    else {
      fields[`grpc.${direction}.content`] = shown.content
      if (shown.truncated) fields[`grpc.${direction}.truncated`] = true
    }
    const sent = (direction === 'request') === (this.#call.side === 'client')
    this.#write(level, `${direction} ${sent ? 'sent' : 'received'}`, fields, undefined)
  }

  #excerpt(message: unknown, { maxBytes, redact, redaction }: PayloadSettings): Excerpt {
    const first = excerpt(message, maxBytes, redaction.start())
    if (redact === undefined) return first
    const redacted = redact(first.content, this.#call)
    if (isThenable(redacted)) {
      redacted.then(undefined, () => undefined)
      throw new TypeError('payload.redact returned a promise; it must be synchronous')
    }
    const second = excerpt(redacted, maxBytes, [])
    return { content: second.content, truncated: first.truncated || second.truncated }
  }

  #drawn(): boolean {
    const { contained, settings } = this.#plan
    return (contained.run('random', settings.random, this.#call) ?? 0) < settings.sample
  }

  /** Start and message records are as serious as success. */
  #usualLevel(): Level | 'silent' {
    return this.#levelOf(USUAL, false)
  }

  #levelOf(status: Status, slow: boolean): Level | 'silent' {
    const { levels } = this.#plan.settings
    const level = (levels && this.#chosenLevel(status)) ?? defaultLevel(this.#call.side, status.code)
    return slow && (level === 'debug' || level === 'info') ? 'warn' : level
  }

  #chosenLevel(status: Status): Level | 'silent' | undefined {
    const { contained, settings } = this.#plan
    const choose = () => {
      const chosen = settings.levels?.(status, this.#call)
      if (chosen !== undefined && !isLevel(chosen)) throw new TypeError(`there is no level ${String(chosen)}`)
      return chosen
    }
    return contained.run('levels', choose, this.#call)
  }

  #enabled(level: Level): boolean {
    const { contained, settings } = this.#plan
    const { logger } = settings
    if (logger.isLevelEnabled === undefined) return true
    try {
      return logger.isLevelEnabled(level) !== false
    } catch (error) {
      contained.failed(error, 'logger', this.#call)
      return true
    }
  }

  /** The fields of every record. With a code: of the record of the end. */
  #common(code?: string, ms?: number): LogFields {
    const call = this.#call
    const { deadline } = call
    const { component, service, method, type } = this.#plan
    const startTime = isoTime(this.#startTime)
    const peer = cleanPeer(call.peer())
    // Two literals instead of one with a spread, which would cost as much as all the rest of the record.
    const fields: LogFields =
      code === undefined
        ? {
            protocol: 'grpc',
            'grpc.component': component,
            'grpc.service': service,
            'grpc.method': method,
            'grpc.method_type': type,
            'grpc.start_time': startTime,
            'peer.address': peer,
          }
        : {
            protocol: 'grpc',
            'grpc.component': component,
            'grpc.service': service,
            'grpc.method': method,
            'grpc.method_type': type,
            'grpc.code': code,
            'grpc.time_ms': ms,
            'grpc.start_time': startTime,
            'peer.address': peer,
          }
    if (deadline !== Number.POSITIVE_INFINITY) addDeadline(fields, deadline)
    if (this.#attempt > 0) fields['grpc.attempt'] = this.#attempt
    const requestId = requestIdOf(call)
    if (requestId !== undefined) fields['request.id'] = cleanText(requestId, LONGEST_DETAILS)
    this.#addTrace(fields)
    return fields
  }

  #addTrace(fields: LogFields): void {
    const { contained, settings } = this.#plan
    const { traceContext } = settings
    if (traceContext === undefined) {
      const traceId = traceIdOf(this.#call.metadata.get('traceparent')[0])
      if (traceId !== undefined) fields.trace_id = traceId
      return
    }
    const active = contained.run('traceContext', traceContext, this.#call)
    if (active == null) return
    fields.trace_id = active.traceId
    if (active.spanId !== undefined) fields.span_id = active.spanId
  }

  #write(
    level: Level,
    message: string,
    fields: LogFields,
    status: Status | undefined,
    scrub: CredentialScrubber = asItIs,
  ): void {
    const { contained, settings } = this.#plan
    const { logger, omit } = settings
    if (settings.fields !== undefined) this.#addOwn(fields, status, scrub)
    for (const name of omit) delete fields[name]
    try {
      const returned: unknown = logger[level](fields, message)
      if (isThenable(returned))
        returned.then(undefined, (error: unknown) => contained.failed(error, 'logger', this.#call))
    } catch (error) {
      contained.failed(error, 'logger', this.#call)
    }
  }

  #addOwn(fields: LogFields, status: Status | undefined, scrub: CredentialScrubber): void {
    const { contained, settings } = this.#plan
    const own = contained.run('fields', () => settings.fields?.(this.#call, status), this.#call)
    if (typeof own !== 'object' || own === null) return
    for (const [name, value] of Object.entries(own)) {
      if (typeof value === 'string') fields[name] = escaped(scrub(value))
      else fields[name] = isError(value) ? recordedError(value, scrub) : value
    }
  }

  #now(): number {
    const { contained, settings } = this.#plan
    try {
      return settings.clock.now()
    } catch (error) {
      contained.failed(error, 'clock', this.#call)
      return 0
    }
  }
}

const USUAL: Status = Object.freeze({ code: Code.OK })

let lastPeer = ''
let lastCleanPeer = ''

/** A connection carries many calls: their peer is cleaned once. */
function cleanPeer(peer: string): string {
  if (peer !== lastPeer) {
    lastPeer = peer
    lastCleanPeer = cleanText(peer, LONGEST_DETAILS)
  }
  return lastCleanPeer
}

function addError(fields: LogFields, status: Status, scrub: CredentialScrubber): void {
  fields['grpc.error'] = cleanText(scrub(status.details ?? ''), LONGEST_DETAILS)
  fields['grpc.origin'] = status.origin
  if (status.refusedBy !== undefined) fields['grpc.refused_by'] = status.refusedBy
  // The key loggers look for to write an error with its stack.
  const err = recordedError(status.cause, scrub)
  if (err !== undefined) fields.err = err
}

function asItIs(text: string): string {
  return text
}

/** gRFC A6: how many attempts came before, from 1 on; the first says nothing. */
function attemptOf(call: Call): number {
  const previous = call.metadata.get('grpc-previous-rpc-attempts')[0]
  return typeof previous === 'string' && /^\d{1,4}$/.test(previous) ? Number(previous) + 1 : 0
}

function addDeadline(fields: LogFields, deadline: number): void {
  const date = new Date(deadline)
  // A deadline beyond the year 275760 has no date.
  if (!Number.isNaN(date.getTime())) fields['grpc.request.deadline'] = date.toISOString()
  fields['grpc.deadline_left_ms'] = Math.round(deadline - Date.now())
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}
