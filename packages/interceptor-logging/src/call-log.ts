import { status as Code, type Metadata } from '@grpc/grpc-js'
import type { Call, MethodInfo, Status } from '@grpc-stack/grpc-core'
import { cleanText } from './clean-text.ts'
import type { Containment } from './containment.ts'
import type { MethodFields } from './fields.ts'
import { isoTime } from './iso-time.ts'
import { defaultLevel, isLevel } from './level.ts'
import type { Level, LogFields } from './logger.ts'
import { maskedMetadata } from './masked-metadata.ts'
import type { FailurePlace, LoggingSettings, PayloadSettings } from './options.ts'
import { excerpt } from './payload.ts'
import { requestIdVar } from './request-id-var.ts'
import { traceIdOf } from './trace-parent.ts'

const LONGEST_DETAILS = 1024

/** What messages of a direction are called in records. */
type Direction = 'request' | 'response'

/** The records of one run of the interceptor. */
export class CallLog {
  readonly #settings: LoggingSettings
  readonly #contained: Containment<FailurePlace>
  readonly #call: Call
  readonly #method: MethodFields
  readonly #startedAt: number
  readonly #startTime: number = Date.now()
  #sampled = true
  #requests = 0
  #responses = 0
  #requestBytes = 0
  #responseBytes = 0
  #requestMetadata: LogFields | undefined
  #responseMetadata: LogFields | undefined

  constructor(settings: LoggingSettings, contained: Containment<FailurePlace>, call: Call, method: MethodFields) {
    this.#settings = settings
    this.#contained = contained
    this.#call = call
    this.#method = method
    this.#startedAt = this.#now()
  }

  /** Before `next()`: registers the taps there is a use for. */
  begin(): void {
    const settings = this.#settings
    const { method } = this.#call
    if (settings.sample < 1) this.#sampled = (this.#contained.run('random', settings.random) ?? 0) < settings.sample
    if (settings.metadata !== undefined) this.#watchMetadata(settings.metadata)
    const payload = this.#payloadFor(method)
    if (method.requestStream || settings.sizeOf || payload?.requests) {
      this.#call.onRequest((message) => this.#onRequest(message, payload?.requests ? payload : undefined))
    }
    if (method.responseStream || settings.sizeOf || payload?.responses) {
      this.#call.onResponse((message) => this.#onResponse(message, payload?.responses ? payload : undefined))
    }
    if (settings.start && this.#sampled) this.#write(this.#usualLevel(), 'started call', this.#common(), undefined)
  }

  /** The one terminal record. */
  finish(status: Status): void {
    const ms = this.#now() - this.#startedAt
    const slow = ms >= this.#settings.slowMs
    if (!this.#sampled && !slow && status.code === Code.OK) return
    const level = this.#levelOf(status, slow)
    if (level === 'silent' || !this.#enabled(level)) return
    const fields = this.#common(Code[status.code] ?? String(status.code))
    fields['grpc.time_ms'] = Math.round(ms * 1000) / 1000
    if (slow) fields['grpc.slow'] = true
    this.#addCounts(fields)
    if (status.attempts !== undefined) fields['grpc.attempts'] = status.attempts
    if (status.code !== Code.OK) this.#addError(fields, status)
    if (this.#settings.metadata !== undefined) this.#addMetadata(fields, status.metadata, this.#settings.metadata)
    this.#write(level, 'finished call', fields, status)
  }

  #addCounts(fields: LogFields): void {
    const { requestStream, responseStream } = this.#call.method
    if (requestStream) fields['grpc.request.count'] = this.#requests
    if (responseStream) fields['grpc.response.count'] = this.#responses
    if (this.#settings.sizeOf === undefined) return
    fields['grpc.request.size'] = this.#requestBytes
    fields['grpc.response.size'] = this.#responseBytes
  }

  #addError(fields: LogFields, status: Status): void {
    fields['grpc.error'] = cleanText(status.details ?? '', LONGEST_DETAILS)
    fields['grpc.origin'] = status.origin
    if (status.refusedBy !== undefined) fields['grpc.refused_by'] = status.refusedBy
    // The key loggers look for to write an error with its stack.
    if (status.cause !== undefined) fields.err = status.cause
  }

  #addMetadata(fields: LogFields, trailers: Metadata | undefined, allowed: ReadonlySet<string>): void {
    if (this.#requestMetadata) fields['grpc.request.metadata'] = this.#requestMetadata
    if (this.#responseMetadata) fields['grpc.response.metadata'] = this.#responseMetadata
    const shown = trailers && this.#contained.run('metadata', () => maskedMetadata(trailers, allowed))
    if (shown && Object.keys(shown).length > 0) fields['grpc.response.trailers'] = shown
  }

  #watchMetadata(allowed: ReadonlySet<string>): void {
    const masked = (metadata: Metadata) => this.#contained.run('metadata', () => maskedMetadata(metadata, allowed))
    this.#requestMetadata = masked(this.#call.metadata)
    this.#call.onResponseMetadata((metadata) => {
      this.#responseMetadata = masked(metadata)
    })
  }

  #onRequest(message: unknown, payload: PayloadSettings | undefined): void {
    this.#requests++
    if (this.#settings.sizeOf !== undefined) this.#requestBytes += this.#sizeOf(message)
    if (payload !== undefined && this.#requests <= payload.maxMessages) this.#showMessage('request', message, payload)
  }

  #onResponse(message: unknown, payload: PayloadSettings | undefined): void {
    this.#responses++
    if (this.#settings.sizeOf !== undefined) this.#responseBytes += this.#sizeOf(message)
    if (payload !== undefined && this.#responses <= payload.maxMessages) this.#showMessage('response', message, payload)
  }

  #sizeOf(message: unknown): number {
    const bytes = this.#contained.run('sizeOf', () => this.#settings.sizeOf?.(message))
    return typeof bytes === 'number' && Number.isFinite(bytes) ? bytes : 0
  }

  #payloadFor(method: MethodInfo): PayloadSettings | undefined {
    const { payload } = this.#settings
    if (payload === undefined || !this.#sampled) return undefined
    return this.#contained.run('payload', () => payload.covers(method)) ? payload : undefined
  }

  #showMessage(direction: Direction, message: unknown, payload: PayloadSettings): void {
    const level = this.#usualLevel()
    if (level === 'silent' || !this.#enabled(level)) return
    const fields = this.#common()
    const shown = this.#contained.run('payload', () => this.#excerpt(message, payload))
    if (shown === undefined) fields[`grpc.${direction}.dropped`] = true
    else {
      fields[`grpc.${direction}.content`] = shown.content
      if (shown.truncated) fields[`grpc.${direction}.truncated`] = true
    }
    const sent = (direction === 'request') === (this.#call.side === 'client')
    this.#write(level, `${direction} ${sent ? 'sent' : 'received'}`, fields, undefined)
  }

  #excerpt(message: unknown, payload: PayloadSettings): ReturnType<typeof excerpt> {
    const { maxBytes, redact, redaction } = payload
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

  /** Start and message records are as serious as success. */
  #usualLevel(): Level | 'silent' {
    return this.#levelOf(USUAL, false)
  }

  #levelOf(status: Status, slow: boolean): Level | 'silent' {
    const { levels } = this.#settings
    let level: Level | 'silent' | undefined
    if (levels !== undefined) {
      level = this.#contained.run('levels', () => {
        const chosen = levels(status, this.#call)
        if (chosen !== undefined && !isLevel(chosen)) throw new TypeError(`there is no level ${String(chosen)}`)
        return chosen
      })
    }
    level ??= defaultLevel(this.#call.side, status.code)
    return slow && (level === 'debug' || level === 'info') ? 'warn' : level
  }

  #enabled(level: Level): boolean {
    const { logger } = this.#settings
    return (
      logger.isLevelEnabled === undefined ||
      this.#contained.run('logger', () => logger.isLevelEnabled?.(level)) !== false
    )
  }

  #common(code?: string): LogFields {
    const call = this.#call
    const { deadline } = call
    const { component, service, method, type } = this.#method
    const startTime = isoTime(this.#startTime)
    const peer = cleanText(call.peer(), LONGEST_DETAILS)
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
            'grpc.start_time': startTime,
            'peer.address': peer,
          }
    if (deadline !== Number.POSITIVE_INFINITY) this.#addDeadline(fields, deadline)
    const attempt = call.metadata.get('grpc-previous-rpc-attempts')[0]
    if (attempt !== undefined && /^\d{1,4}$/.test(attempt.toString())) fields['grpc.attempt'] = Number(attempt) + 1
    const requestId = call.context.get(requestIdVar)
    if (requestId !== undefined) fields['request.id'] = cleanText(requestId, LONGEST_DETAILS)
    this.#addTrace(fields)
    return fields
  }

  #addDeadline(fields: LogFields, deadline: number): void {
    const date = new Date(deadline)
    // A deadline beyond the year 275760 has no date.
    if (!Number.isNaN(date.getTime())) fields['grpc.request.deadline'] = date.toISOString()
    fields['grpc.deadline_left_ms'] = Math.round(deadline - Date.now())
  }

  #addTrace(fields: LogFields): void {
    const { traceContext } = this.#settings
    if (traceContext === undefined) {
      const traceId = traceIdOf(this.#call.metadata.get('traceparent')[0])
      if (traceId !== undefined) fields.trace_id = traceId
      return
    }
    const active = this.#contained.run('traceContext', traceContext)
    if (active == null) return
    fields.trace_id = active.traceId
    if (active.spanId !== undefined) fields.span_id = active.spanId
  }

  #write(level: Level | 'silent', message: string, fields: LogFields, status: Status | undefined): void {
    if (level === 'silent') return
    const { logger, omit } = this.#settings
    const more = this.#settings.fields
    if (more !== undefined)
      Object.assign(
        fields,
        this.#contained.run('fields', () => more(this.#call, status)),
      )
    for (const name of omit) delete fields[name]
    try {
      const returned: unknown = logger[level](fields, message)
      if (isThenable(returned)) returned.then(undefined, (error: unknown) => this.#contained.failed(error, 'logger'))
    } catch (error) {
      this.#contained.failed(error, 'logger')
    }
  }

  #now(): number {
    return this.#contained.run('clock', () => this.#settings.clock.now()) ?? 0
  }
}

const USUAL: Status = Object.freeze({ code: Code.OK })

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'
}
