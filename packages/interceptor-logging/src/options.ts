import type { Call, Matcher, MethodPredicate, Status } from '@grpc-stack/grpc-core'
import {
  flag,
  func,
  group,
  integer,
  listOf,
  type MonotonicTime,
  matcher,
  milliseconds,
  monotonicTime,
  number,
  type OptionsOf,
  type OptionTable,
  objectWith,
  quoted,
  readOptions,
  text,
} from '@grpc-stack/grpc-core/authoring'
import { type LevelRule, type LevelTable, levelsOption } from './level.ts'
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
  /** Default: `jsonLogger()`, JSON lines on standard output, of every level. */
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
   * sees objects, and serializing each a second time costs more than all the rest of the logging. Give `metrics()` the same
   * function, and each message is measured once.
   */
  readonly sizeOf?: (message: unknown) => number
  /**
   * The active trace, such as `() => trace.getActiveSpan()?.spanContext()`, for `trace_id` and `span_id`. Default: the span
   * that `tracing()` made for the call, else the trace of its `traceparent`, which leaves out the span.
   */
  readonly traceContext?: () => TraceContext | undefined
  /** For durations. Default: the system's monotonic clock. */
  readonly clock?: MonotonicTime
  /** In [0, 1), for sampling. Default: `Math.random`. */
  readonly random?: () => number
  /** Told of each failure of something that came in an option. Default: a process warning about the first of each. */
  readonly onFailure?: (error: unknown, where: FailurePlace) => void
}

export interface PayloadSettings {
  readonly methods: MethodPredicate
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
  readonly clock: MonotonicTime
  readonly random: () => number
  readonly onFailure: LoggingOptions['onFailure']
}

const NAMES = listOf(text(), { expected: 'a list of names' })

const payloadTable = {
  methods: matcher()
    .default(() => true)
    .refusingUndefined('leave it out to log the messages of all methods'),
  requests: flag().default(true).refusingUndefined('leave it out to log requests'),
  responses: flag().default(true).refusingUndefined('leave it out to log responses'),
  maxBytes: integer({ min: 1 }).default(1024),
  maxMessages: integer({ min: 1 }).default(10),
  redact: listOf(text())
    .or(func<(message: unknown, call: Call) => unknown>())
    .expecting('a list of paths or a function')
    .default([])
    .refusingUndefined('leave it out to redact nothing'),
} satisfies OptionTable<PayloadOptions>

const table = {
  logger: objectWith<Logger>('debug', 'info', 'warn', 'error')
    .expecting('an object with debug, info, warn and error (pino, bunyan, console)')
    .default(jsonLogger()),
  start: flag().default(false),
  levels: levelsOption.optional(),
  slowMs: milliseconds({ min: 0, infinite: true }).default(Number.POSITIVE_INFINITY),
  sample: number({ min: 0, max: 1 }).default(1),
  fields: func<NonNullable<LoggingOptions['fields']>>().optional(),
  omit: NAMES.default([]).refusingUndefined('leave it out to omit nothing'),
  metadata: NAMES.optional(),
  payload: flag().or(group(payloadTable)).expecting('true, false or an object').default(false),
  sizeOf: func<NonNullable<LoggingOptions['sizeOf']>>().optional(),
  traceContext: func<NonNullable<LoggingOptions['traceContext']>>().optional(),
  clock: monotonicTime(),
  random: func<() => number>().default(Math.random),
  onFailure: func<NonNullable<LoggingOptions['onFailure']>>().optional(),
} satisfies OptionTable<LoggingOptions>

/** @throws TypeError naming the option that is wrong. */
export function readLoggingOptions(options: LoggingOptions): LoggingSettings {
  const { metadata, payload, ...read } = readOptions('logging', options, table, { show: quoted })
  return {
    ...read,
    metadata: metadata && new Set(metadata.map((key) => key.toLowerCase())),
    payload:
      payload === false
        ? undefined
        : payloadSettings(payload === true ? readOptions('logging', {}, payloadTable) : payload),
  }
}

function payloadSettings({ redact, ...read }: OptionsOf<typeof payloadTable>): PayloadSettings {
  const paths = typeof redact === 'function' ? [] : redact
  return {
    ...read,
    redaction: new Redaction(paths, 'logging: option "payload.redact"'),
    redact: typeof redact === 'function' ? redact : undefined,
  }
}
