import { func, type OptionTable, oneOf, quoted, readOptions } from '@grpc-stack/grpc-core/authoring'
import { escaped } from './clean-text.ts'
import { isoTime } from './iso-time.ts'

/** How serious a record is, lowest first. */
export type Level = 'debug' | 'info' | 'warn' | 'error'

export const levels: readonly Level[] = ['debug', 'info', 'warn', 'error']

/** What a record consists of beside its message. */
export type LogFields = Record<string, unknown>

/**
 * A logger, by shape: pino and bunyan loggers are ones, and so is `console`. Whatever a method returns is ignored, except
 * that the rejection of a promise is caught and counted.
 */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** Where it exists (pino has it), a record of a level that is not written is not put together. */
  isLevelEnabled?(level: Level): boolean
}

/** Options of `jsonLogger`. */
export interface JsonLoggerOptions {
  /** The lowest level that is written. Default: `debug`, everything: what is logged at all is for the options of `logging()` to say. */
  readonly level?: Level
  /** Takes each line, line break included. Default: standard output. */
  readonly write?: (line: string) => void
}

const table = {
  level: oneOf('debug', 'info', 'warn', 'error').default('debug'),
  write: func<(line: string) => void>().default((line) => void process.stdout.write(line)),
} satisfies OptionTable<JsonLoggerOptions>

/**
 * The default logger: one JSON object per line, `time`, `level` and `msg` first.
 *
 *     {"time":"2026-01-31T09:30:00.000Z","level":"info","msg":"finished call","grpc.service":"shop.v1.Cart",…}
 *
 * Values JSON has no form for are written as text, so that no record is lost over one: errors as
 * `{ type, message, stack, code }`, bigints as digits, what refers to itself as `[circular]`.
 *
 * @throws TypeError for an option that does not exist or has a wrong value.
 */
export function jsonLogger(options: JsonLoggerOptions = {}): Logger {
  const { level: lowest, write } = readOptions('jsonLogger', options, table, { show: quoted })
  const least = levels.indexOf(lowest)
  const isLevelEnabled = (level: Level): boolean => levels.indexOf(level) >= least
  const at =
    (level: Level) =>
    (fields: LogFields, message: string): void => {
      if (!isLevelEnabled(level)) return
      write(`${escaped(stringify({ time: isoTime(Date.now()), level, msg: message, ...fields }))}\n`)
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), isLevelEnabled }
}

function stringify(record: LogFields): string {
  try {
    return JSON.stringify(record, plainValue)
  } catch {
    // A cycle, or a toJSON or getter that throws: keep what can be kept.
    return JSON.stringify(Object.fromEntries(Object.entries(record).map(([key, value]) => [key, alone(value)])))
  }
}

function alone(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value, plainValue) ?? 'null')
  } catch (error) {
    return error instanceof TypeError && /circular/i.test(error.message) ? '[circular]' : '[unreadable]'
  }
}

function plainValue(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (!(value instanceof Error)) return value
  const { code, cause } = value as { code?: unknown; cause?: unknown }
  return {
    type: value.name,
    message: value.message,
    stack: value.stack,
    ...(code !== undefined && { code }),
    ...(cause !== undefined && { cause }),
  }
}
