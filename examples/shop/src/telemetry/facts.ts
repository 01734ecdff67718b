import type { ServiceName } from '../services/service.ts'

/** Who makes or answers RPCs in the shop. `outside` is the process with the customers in it. */
export type Place = ServiceName | 'outside'

/** A finished span. */
export interface SpanFact {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly name: string
  readonly side: 'client' | 'server' | 'internal'
  /** Epoch milliseconds. */
  readonly startMs: number
  readonly durationMs: number
  /** Name of the status code. */
  readonly code: string | undefined
  readonly failed: boolean
  readonly requestId: string | undefined
}

/** A log record. */
export interface LogFact {
  /** Epoch milliseconds. */
  readonly at: number
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What a process tells about itself as it happens. */
export type Fact = { readonly type: 'span'; readonly span: SpanFact } | { readonly type: 'log'; readonly log: LogFact }

export type Report = (fact: Fact) => void
