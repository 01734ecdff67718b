import { status as Code, Metadata } from '@grpc/grpc-js'
import { show } from '../runtime/show.ts'

// What applications, peers and other libraries give as a status, or as a part of one. It may be anything: nothing here throws.

/** The members of a value that is meant as a status other than OK. */
export interface MeantStatus {
  readonly code: Code
  readonly details: string
  readonly metadata: Metadata | undefined
  readonly cause: unknown
  readonly origin: unknown
  readonly refusedBy: unknown
  readonly attempts: unknown
  readonly hedges: unknown
}

/**
 * The status that an error stands for: it has a code from 1 to 16, details that are a string, and Metadata if any. `RpcError` has
 * that shape, and so has grpc-js's `ServiceError`. A number in `code` alone says nothing: drivers, `execFile` and
 * `DOMException` have numbers of their own there.
 */
export function meantStatus(error: unknown): MeantStatus | undefined {
  if (typeof error !== 'object' || error === null) return undefined
  try {
    const { code, details, metadata, cause, origin, refusedBy, attempts, hedges } = error as Record<string, unknown>
    if (!isCode(code) || code === Code.OK || typeof details !== 'string') return undefined
    if (!isAbsent(metadata) && !isMetadata(metadata)) return undefined
    return { code, details, metadata: metadata ?? undefined, cause, origin, refusedBy, attempts, hedges }
  } catch {
    return undefined // a getter's, or a proxy's
  }
}

/** Why a value is not a usable status, or undefined when it is one. */
export function statusProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return `returned ${show(value)} instead of a status`
  try {
    const { code, details, metadata } = value as Record<string, unknown>
    if (!isCode(code)) return `returned a status whose code is ${show(code)}`
    if (details !== undefined && typeof details !== 'string') {
      return `returned a status whose details are ${show(details)} instead of a string`
    }
    if (!isAbsent(metadata) && !isMetadata(metadata)) {
      return `returned a status whose metadata is ${show(metadata)} instead of a grpc-js Metadata`
    }
    return undefined
  } catch {
    return `returned ${show(value)} whose members cannot be read`
  }
}

/** Whether a value is a status code of gRPC, 0 to 16. */
export function isCode(value: unknown): value is Code {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 16
}

const METADATA_METHODS = ['clone', 'get', 'getMap', 'merge', 'remove', 'set', 'toHttp2Headers'] as const

/** By shape, because an application may hold a second copy of grpc-js. */
export function isMetadata(value: unknown): value is Metadata {
  try {
    if (value instanceof Metadata) return true
    if (typeof value !== 'object' || value === null) return false
    return METADATA_METHODS.every((name) => typeof (value as Partial<Metadata>)[name] === 'function')
  } catch {
    return false
  }
}

/**
 * Metadata that can be read, copied and sent: the value itself, or for that of a second copy of grpc-js, or of a derived class, the
 * same entries in grpc-js's own. Undefined where there are none to be had.
 */
export function usableMetadata(value: unknown): Metadata | undefined {
  if (!isMetadata(value)) return undefined
  try {
    const { clone, toHttp2Headers } = Metadata.prototype
    if (value.clone === clone && value.toHttp2Headers === toHttp2Headers) return value
    const copy = new Metadata(value.getOptions?.() ?? {})
    for (const key of Object.keys(value.getMap())) for (const item of value.get(key)) copy.add(key, item)
    return copy
  } catch {
    return undefined
  }
}

export function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}
