import type { LogFields, Logger } from '@grpc-stack/interceptor-logging'
import type { LogFact, Report } from './facts.ts'

/** A logger that reports records instead of printing them. */
export function reportLogger(report: Report): Logger {
  const at =
    (level: LogFact['level']) =>
    (fields: LogFields, message: string): void => {
      report({ type: 'log', log: { at: Date.now(), level, message, fields: plain(fields) } })
    }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

/** Fields that another process can be told: errors by their text. */
function plain(fields: LogFields): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value instanceof Error ? String(value) : value]),
  )
}
