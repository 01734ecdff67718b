import type { Level, LogFields, Logger } from '../src/logger.ts'

export interface LogRecord {
  readonly level: Level
  readonly message: string
  readonly fields: LogFields
}

/** A logger that keeps what it is given. */
export class RecordingLogger implements Logger {
  readonly records: LogRecord[] = []
  #waiting: { readonly count: number; readonly resolve: () => void }[] = []

  readonly debug = (fields: LogFields, message: string): void => this.#add('debug', fields, message)
  readonly info = (fields: LogFields, message: string): void => this.#add('info', fields, message)
  readonly warn = (fields: LogFields, message: string): void => this.#add('warn', fields, message)
  readonly error = (fields: LogFields, message: string): void => this.#add('error', fields, message)

  get finished(): LogRecord[] {
    return this.records.filter(({ message }) => message === 'finished call')
  }

  /** The records, as soon as there are this many. */
  async atLeast(count: number): Promise<LogRecord[]> {
    if (this.records.length < count) await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
    return this.records
  }

  #add(level: Level, fields: LogFields, message: string): void {
    this.records.push({ level, message, fields })
    for (const { count, resolve } of this.#waiting) if (this.records.length >= count) resolve()
  }
}
