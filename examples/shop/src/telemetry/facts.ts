import type { ServiceName } from '../services/service.ts'
import type { MethodWindow } from './window-recorder.ts'

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

/** Something an interceptor told its listeners. */
export interface EventFact {
  /** Epoch milliseconds. */
  readonly at: number
  /** Name of the interceptor. */
  readonly from: 'circuitBreaker' | 'faults' | 'rateLimit' | 'retry'
  readonly name: string
  readonly detail: Readonly<Record<string, unknown>>
}

/** What a process measured since the last time. */
export interface PulseFact {
  /** Epoch milliseconds. */
  readonly at: number
  readonly methods: readonly MethodWindow[]
  /** What the interceptors of this process say about themselves, by name. */
  readonly gauges: Readonly<Record<string, unknown>>
  readonly memoryBytes: number
}

/** What a process tells about itself as it happens. */
export type Fact =
  | { readonly type: 'span'; readonly span: SpanFact }
  | { readonly type: 'log'; readonly log: LogFact }
  | { readonly type: 'event'; readonly event: EventFact }
  | { readonly type: 'pulse'; readonly pulse: PulseFact }

export type Report = (fact: Fact) => void
