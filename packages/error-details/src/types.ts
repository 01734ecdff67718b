// The messages of google/rpc/error_details.proto: as an application sees them, and as they are encoded.
import { durationMs, int64, type Member, message, messages, optionalText, text, textMap, texts } from './codec.ts'

export interface ErrorInfo {
  /** At most 63 characters, in UPPER_SNAKE_CASE. Unique in the domain. */
  readonly reason: string
  /** For instance `orders.example.com`. */
  readonly domain: string
  /** More about this failure. Keys are at most 64 letters, digits, `-` and `_`. */
  readonly metadata?: Readonly<Record<string, string>>
}

export interface RetryInfo {
  /** Whole milliseconds; a fraction is rounded up. Undefined when the peer sent the detail without it. */
  readonly retryDelayMs?: number
}

export interface DebugInfo {
  readonly stackEntries: readonly string[]
  readonly detail?: string
}

export interface QuotaViolation {
  /** What the quota is counted for, for instance `clientip:203.0.113.9`. */
  readonly subject: string
  readonly description: string
  /** The API whose quota it is. */
  readonly apiService?: string
  readonly quotaMetric?: string
  readonly quotaId?: string
  readonly quotaDimensions?: Readonly<Record<string, string>>
  readonly quotaValue?: bigint
  /** The value after a rollout that is in progress. */
  readonly futureQuotaValue?: bigint
}

export interface QuotaFailure {
  readonly violations: readonly QuotaViolation[]
}

export interface PreconditionViolation {
  /** For instance `TOS`. */
  readonly type: string
  readonly subject: string
  readonly description: string
}

export interface PreconditionFailure {
  readonly violations: readonly PreconditionViolation[]
}

export interface LocalizedMessage {
  /** By BCP 47, for instance `de-CH`. */
  readonly locale: string
  readonly message: string
}

export interface FieldViolation {
  /** Path of the field in the request, for instance `address.street`. */
  readonly field: string
  readonly description: string
  /** As in `ErrorInfo`. */
  readonly reason?: string
  readonly localizedMessage?: LocalizedMessage
}

export interface BadRequest {
  readonly fieldViolations: readonly FieldViolation[]
}

export interface RequestInfo {
  readonly requestId: string
  /** Only the service itself can read it. */
  readonly servingData?: string
}

export interface ResourceInfo {
  readonly resourceType: string
  readonly resourceName: string
  readonly owner?: string
  readonly description?: string
}

export interface HelpLink {
  readonly description: string
  readonly url: string
}

export interface Help {
  readonly links: readonly HelpLink[]
}

/** The standard types, by their names in google.rpc. */
export interface MessageTypes {
  ErrorInfo: ErrorInfo
  RetryInfo: RetryInfo
  DebugInfo: DebugInfo
  QuotaFailure: QuotaFailure
  PreconditionFailure: PreconditionFailure
  BadRequest: BadRequest
  RequestInfo: RequestInfo
  ResourceInfo: ResourceInfo
  Help: Help
  LocalizedMessage: LocalizedMessage
}

const localized: Record<keyof LocalizedMessage, Member> = { locale: text(1), message: text(2) }

const quotaViolation: Record<keyof QuotaViolation, Member> = {
  subject: text(1),
  description: text(2),
  apiService: optionalText(3),
  quotaMetric: optionalText(4),
  quotaId: optionalText(5),
  quotaDimensions: textMap(6),
  quotaValue: int64(7),
  futureQuotaValue: int64(8, { tracked: true }),
}

const preconditionViolation: Record<keyof PreconditionViolation, Member> = {
  type: text(1),
  subject: text(2),
  description: text(3),
}

const fieldViolation: Record<keyof FieldViolation, Member> = {
  field: text(1),
  description: text(2),
  reason: optionalText(3),
  localizedMessage: message(4, localized),
}

const link: Record<keyof HelpLink, Member> = { description: text(1), url: text(2) }

/** How each of them is encoded. */
export const descriptions: { readonly [Type in keyof MessageTypes]: Record<keyof MessageTypes[Type], Member> } = {
  ErrorInfo: { reason: text(1), domain: text(2), metadata: textMap(3) },
  RetryInfo: { retryDelayMs: durationMs(1) },
  DebugInfo: { stackEntries: texts(1), detail: optionalText(2) },
  QuotaFailure: { violations: messages(1, quotaViolation) },
  PreconditionFailure: { violations: messages(1, preconditionViolation) },
  BadRequest: { fieldViolations: messages(1, fieldViolation) },
  RequestInfo: { requestId: text(1), servingData: optionalText(2) },
  ResourceInfo: { resourceType: text(1), resourceName: text(2), owner: optionalText(3), description: optionalText(4) },
  Help: { links: messages(1, link) },
  LocalizedMessage: localized,
}
