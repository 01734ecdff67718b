import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, Status } from '@grpc-stack/grpc-core'
import { type CallRecord, type CredentialScrubber, isThenable, type Observation } from '@grpc-stack/grpc-core/authoring'
import { escaped } from './clean-text.ts'
import { defaultLevel, isLevel } from './level.ts'
import type { Level, LogFields } from './logger.ts'
import { MetadataLog } from './metadata-log.ts'
import type { MethodPlan } from './method-plan.ts'
import type { LoggingSettings, PayloadSettings } from './options.ts'
import { type Excerpt, excerpt } from './payload.ts'
import { addError, attemptOf, commonFields } from './record-fields.ts'
import { isError, recordedError } from './recorded-error.ts'

/**
 * The records of one run of the interceptor. They are written from its hooks, which run in its own asynchronous context: loggers
 * look for traces and requests there.
 *
 * One object, and small: what a call leaves to the garbage collector costs more than what is done with it.
 */
export class CallLog implements Observation {
  readonly #plan: MethodPlan
  readonly #call: Call
  readonly #startTime: number = Date.now()
  /** Now, because a retry inside changes it while the call goes on. 0 for the first. */
  readonly #attempt: number
  readonly #sampled: boolean
  readonly #metadata: MetadataLog | undefined
  // Made where there is a use for them.
  declare request?: (message: unknown, n: number) => void
  declare response?: (message: unknown, n: number) => void
  declare headers?: (metadata: Metadata) => void

  /** Asks the record for what will be written. */
  constructor(plan: MethodPlan, call: Call, record: CallRecord) {
    const { settings, payload } = plan
    const { sample, metadata: allowed } = settings
    this.#plan = plan
    this.#call = call
    this.#attempt = attemptOf(call)
    this.#sampled = sample >= 1 || this.#drawn(sample)
    record.followCredentials()
    if (call.method.requestStream) record.countRequests()
    if (call.method.responseStream) record.countResponses()
    this.#bytesOf(record)
    if (payload !== undefined && this.#sampled) this.#watchPayload(payload)
    if (allowed === undefined) return
    const metadata = new MetadataLog(plan, allowed, call)
    this.#metadata = metadata
    this.headers = (headers) => metadata.headers(headers)
  }

  /** The record of the start, if one is wanted. */
  start(): void {
    if (!this.#plan.settings.start || !this.#sampled) return
    const level = this.#usualLevel()
    if (level !== 'silent' && this.#enabled(level)) this.#write(level, 'started call', this.#common(), undefined)
  }

  /** The end of the RPC: the one terminal record. */
  end(status: Status, durationMs: number, record: CallRecord): void {
    const slow = durationMs >= this.#plan.settings.slowMs
    if (!this.#sampled && !slow && status.code === Code.OK) return
    const level = this.#levelOf(status, slow)
    if (level === 'silent' || !this.#enabled(level)) return
    const fields = this.#common(Code[status.code] ?? String(status.code), Math.round(durationMs * 1000) / 1000)
    if (slow) fields['grpc.slow'] = true
    const scrub = status.code === Code.OK ? undefined : record.scrubber(status)
    this.#addTraffic(fields, record)
    this.#metadata?.addTo(fields, status.metadata, scrub)
    if (status.attempts !== undefined) fields['grpc.attempts'] = status.attempts
    if (status.hedges !== undefined) fields['grpc.hedges'] = status.hedges
    if (scrub !== undefined) addError(fields, status, scrub)
    this.#write(level, 'finished call', fields, status, scrub)
  }

  #addTraffic(fields: LogFields, record: CallRecord): void {
    const { requestStream, responseStream } = this.#call.method
    if (requestStream) fields['grpc.request.count'] = record.requests
    if (responseStream) fields['grpc.response.count'] = record.responses
    const bytes = this.#bytesOf(record)
    if (bytes === undefined) return
    fields['grpc.request.size'] = bytes.requests
    fields['grpc.response.size'] = bytes.responses
  }

  #bytesOf(record: CallRecord): ReturnType<CallRecord['measure']> | undefined {
    const { sizeOf } = this.#plan.settings
    return sizeOf && this.#measured(record, sizeOf)
  }

  // Apart, because a function with a closure in it costs each call something, with the option or without.
  #measured(record: CallRecord, sizeOf: (message: unknown) => number): ReturnType<CallRecord['measure']> {
    return record.measure(sizeOf, (error) => this.#plan.contained.failed(error, 'sizeOf', this.#call))
  }

  #watchPayload(payload: PayloadSettings): void {
    const { requests, responses, maxMessages } = payload
    if (requests) {
      this.request = (message, n) => {
        if (n <= maxMessages) this.#writeMessage('request', message, payload)
      }
    }
    if (responses) {
      this.response = (message, n) => {
        if (n <= maxMessages) this.#writeMessage('response', message, payload)
      }
    }
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

  #drawn(sample: number): boolean {
    const { contained, settings } = this.#plan
    return (contained.run('random', settings.random, this.#call) ?? 0) < sample
  }

  /** Start and message records are as serious as success. */
  #usualLevel(): Level | 'silent' {
    return this.#levelOf(USUAL, false)
  }

  #levelOf(status: Status, slow: boolean): Level | 'silent' {
    const { levels } = this.#plan.settings
    const level = (levels && this.#chosenLevel(status, levels)) ?? defaultLevel(this.#call.side, status.code)
    return slow && (level === 'debug' || level === 'info') ? 'warn' : level
  }

  // Not by contained.run: the closure for it would be 110 bytes for each record.
  #chosenLevel(status: Status, levels: NonNullable<LoggingSettings['levels']>): Level | 'silent' | undefined {
    const { contained } = this.#plan
    let chosen: unknown
    try {
      chosen = levels(status, this.#call)
      if (isThenable(chosen)) this.#catchLevel(chosen)
    } catch (error) {
      contained.failed(error, 'levels', this.#call)
      return undefined
    }
    if (chosen === undefined || isLevel(chosen)) return chosen
    contained.failed(new TypeError(`there is no level ${levelText(chosen)}`), 'levels', this.#call)
    return undefined
  }

  #catchLevel(chosen: PromiseLike<unknown>): void {
    chosen.then(undefined, (error: unknown) => this.#plan.contained.failed(error, 'levels', this.#call))
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
    return commonFields(this.#plan, this.#call, this.#startTime, this.#attempt, code, ms)
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
      if (isThenable(returned)) this.#catch(returned)
    } catch (error) {
      contained.failed(error, 'logger', this.#call)
    }
  }

  #catch(written: PromiseLike<unknown>): void {
    written.then(undefined, (error: unknown) => this.#plan.contained.failed(error, 'logger', this.#call))
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
}

const USUAL: Status = Object.freeze({ code: Code.OK })

function levelText(chosen: unknown): string {
  return typeof chosen === 'string' ? chosen : typeof chosen
}

function asItIs(text: string): string {
  return text
}
