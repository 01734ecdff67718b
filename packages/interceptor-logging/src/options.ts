import type { Call, Matcher, MethodPredicate, Status } from '@grpc-stack/grpc-core'
import { compileMatcher } from '@grpc-stack/grpc-core'
import { compileLevels, type LevelRule, type LevelTable } from './level.ts'
import { jsonLogger, type LogFields, type Logger } from './logger.ts'
import { Redaction } from './redaction.ts'
import type { TraceContext } from './trace-parent.ts'

/** Where something foreign failed: the name of the option it came in. */
export type FailurePlace =
  | 'clock'
  | 'fields'
  | 'levels'
  | 'logger'
  | 'metadata'
  | 'payload'
  | 'random'
  | 'sizeOf'
  | 'traceContext'

/** Where time comes from. Monotonic: a stepped clock must not make a call take minus an hour. */
export interface Clock {
  /** Milliseconds; what the zero is does not matter. */
  now(): number
}

/** Which messages are logged, and how much of them. */
export interface PayloadOptions {
  /** Methods whose messages are logged. Default: all. */
  readonly methods?: Matcher
  /** Default: true. */
  readonly requests?: boolean
  /** Default: true. */
  readonly responses?: boolean
  /** Most bytes of JSON of one message. Default: 1024, which shows most messages whole and no upload. */
  readonly maxBytes?: number
  /** Most messages of one stream, each way. Default: 10, so that an endless stream is not an endless log. */
  readonly maxMessages?: number
  /**
   * What must not be seen: paths as `Redaction` takes them, which are never even copied; or a function that is given a
   * copy of the message as plain data, cut to `maxBytes`, and returns what may be logged. If it throws, or returns a
   * promise, the record appears without the message.
   */
  readonly redact?: readonly string[] | ((message: unknown, call: Call) => unknown)
}

export interface LoggingOptions {
  /** Default: `jsonLogger()`, JSON lines on standard output. */
  readonly logger?: Logger
  /** Also log when a call starts. Default: false; the finish record says when that was. */
  readonly start?: boolean
  /**
   * Levels per code, over the defaults (`serverLevels`, `clientLevels`), or a function of the status and the call;
   * what it returns undefined for has its default. `silent` suppresses the record.
   */
  readonly levels?: LevelTable | LevelRule
  /** Calls that take at least this many milliseconds are at least `warn` and never sampled out. Default: none is slow. */
  readonly slowMs?: number
  /** The share of successful calls that is logged, 0 to 1. Failures and slow calls are always logged. Default: 1. */
  readonly sample?: number
  /**
   * More fields for every record; `status` is undefined in those before the end. Later wins over the built-in ones.
   * Texts and errors are cleaned of control and invisible characters and, where the call failed, of its credentials; other values
   * go to the logger as they are.
   */
  readonly fields?: (call: Call, status: Status | undefined) => LogFields
  /** Names of fields to leave out, such as `protocol`. Default: none. */
  readonly omit?: readonly string[]
  /**
   * Log request and response metadata and trailers: the keys whose values may be seen. Values of other keys, and of all
   * that look like credentials, read `[masked]`. Default: no metadata at all.
   */
  readonly metadata?: readonly string[]
  /** Log messages: true for the defaults of `PayloadOptions`. Default: false. */
  readonly payload?: boolean | PayloadOptions
  /**
   * Bytes of a message. With it, records say how large requests and responses were. Default: none, because an interceptor
   * sees objects, and serializing each a second time costs more than all the rest of the logging.
   */
  readonly sizeOf?: (message: unknown) => number
  /**
   * The active trace, such as `() => trace.getActiveSpan()?.spanContext()`, for `trace_id` and `span_id`. Default: the
   * trace of the call's `traceparent`, which leaves out the span.
   */
  readonly traceContext?: () => TraceContext | undefined
  /** Default: `performance`. */
  readonly clock?: Clock
  /** In [0, 1), for sampling. Default: `Math.random`. */
  readonly random?: () => number
  /** Told of each failure of something that came in an option. Default: a process warning about the first. */
  readonly onFailure?: (error: unknown, where: FailurePlace) => void
}

export interface PayloadSettings {
  readonly covers: MethodPredicate
  readonly requests: boolean
  readonly responses: boolean
  readonly maxBytes: number
  readonly maxMessages: number
  readonly redaction: Redaction
  readonly redact: ((message: unknown, call: Call) => unknown) | undefined
}

/** `LoggingOptions`, checked, with defaults. */
export interface LoggingSettings {
  readonly logger: Logger
  readonly start: boolean
  readonly levels: LevelRule | undefined
  readonly slowMs: number
  readonly sample: number
  readonly fields: LoggingOptions['fields']
  readonly omit: readonly string[]
  readonly metadata: ReadonlySet<string> | undefined
  readonly payload: PayloadSettings | undefined
  readonly sizeOf: LoggingOptions['sizeOf']
  readonly traceContext: LoggingOptions['traceContext']
  readonly clock: Clock
  readonly random: () => number
  readonly onFailure: LoggingOptions['onFailure']
}

const KNOWN: readonly (keyof LoggingOptions)[] = [
  'logger',
  'start',
  'levels',
  'slowMs',
  'sample',
  'fields',
  'omit',
  'metadata',
  'payload',
  'sizeOf',
  'traceContext',
  'clock',
  'random',
  'onFailure',
]

const KNOWN_OF_PAYLOAD: readonly (keyof PayloadOptions)[] = [
  'methods',
  'requests',
  'responses',
  'maxBytes',
  'maxMessages',
  'redact',
]

/** @throws TypeError naming the option that is wrong. */
export function readLoggingOptions(options: LoggingOptions): LoggingSettings {
  checkNames('logging', options, KNOWN)
  const { logger = jsonLogger(), clock = performance, random = Math.random } = options
  for (const method of ['debug', 'info', 'warn', 'error'] as const) {
    if (typeof logger?.[method] !== 'function') {
      fail('logger', 'an object with debug, info, warn and error (pino, bunyan, console)', logger)
    }
  }
  if (typeof clock?.now !== 'function') fail('clock', 'an object with now()', clock)
  for (const name of ['fields', 'sizeOf', 'traceContext', 'random', 'onFailure'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function') fail(name, 'a function', options[name])
  }
  const { start = false, slowMs = Number.POSITIVE_INFINITY, sample = 1, omit = [] } = options
  if (typeof start !== 'boolean') fail('start', 'true or false', start)
  if (typeof slowMs !== 'number' || !(slowMs >= 0)) fail('slowMs', 'a number of milliseconds ≥ 0', slowMs)
  if (typeof sample !== 'number' || !(sample >= 0 && sample <= 1)) fail('sample', 'a number from 0 to 1', sample)
  return {
    logger,
    start,
    levels: compileLevels(options.levels),
    slowMs,
    sample,
    fields: options.fields,
    omit: names('omit', omit),
    metadata: options.metadata && new Set(names('metadata', options.metadata).map((key) => key.toLowerCase())),
    payload: readPayload(options.payload),
    sizeOf: options.sizeOf,
    traceContext: options.traceContext,
    clock,
    random,
    onFailure: options.onFailure,
  }
}

function readPayload(given: LoggingOptions['payload']): PayloadSettings | undefined {
  if (given === undefined || given === false) return undefined
  const options = given === true ? {} : given
  if (typeof options !== 'object' || options === null) fail('payload', 'true, false or an object', given)
  checkNames('logging: option "payload"', options, KNOWN_OF_PAYLOAD)
  const { methods = '*', requests = true, responses = true, maxBytes = 1024, maxMessages = 10, redact = [] } = options
  if (typeof requests !== 'boolean') fail('payload.requests', 'true or false', requests)
  if (typeof responses !== 'boolean') fail('payload.responses', 'true or false', responses)
  if (!Number.isInteger(maxBytes) || maxBytes < 1) fail('payload.maxBytes', 'an integer ≥ 1', maxBytes)
  if (!Number.isInteger(maxMessages) || maxMessages < 1) fail('payload.maxMessages', 'an integer ≥ 1', maxMessages)
  if (typeof redact !== 'function' && !Array.isArray(redact))
    fail('payload.redact', 'a list of paths or a function', redact)
  return {
    covers: compileMatcher(methods, 'logging: option "payload.methods"'),
    requests,
    responses,
    maxBytes,
    maxMessages,
    redaction: new Redaction(typeof redact === 'function' ? [] : redact, 'logging: option "payload.redact"'),
    redact: typeof redact === 'function' ? redact : undefined,
  }
}

/** @throws TypeError for something that is no object, or a member nobody knows: a typo must not be a default. */
export function checkNames(where: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`${where}: options must be an object, got ${String(options)}`)
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name))
  if (unknown !== undefined) {
    throw new TypeError(`${where}: unknown option "${unknown}"; options are ${known.join(', ')}`)
  }
}

function names(option: string, given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((name) => typeof name === 'string' && name !== '')) return given
  return fail(option, 'a list of names', given)
}

function fail(option: string, expected: string, got: unknown): never {
  const shown = typeof got === 'object' && got !== null ? 'an object' : JSON.stringify(got)
  throw new TypeError(`logging: option "${option}" must be ${expected}, got ${shown ?? String(got)}`)
}
