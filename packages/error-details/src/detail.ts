import type { Metadata } from '@grpc/grpc-js'
import { type Description, decode, encode, type Limits, type Message, pick, problemOf } from './codec.ts'
import { type Any, appendDetail, type StatusText } from './status-details.ts'
import {
  type BadRequest,
  type DebugInfo,
  descriptions,
  type ErrorInfo,
  type Help,
  type LocalizedMessage,
  type MessageTypes,
  type PreconditionFailure,
  type QuotaFailure,
  type RequestInfo,
  type ResourceInfo,
  type RetryInfo,
} from './types.ts'

interface Encodable {
  toAny(): Any
  /** Adds this detail to the trailers of a status. `RpcError` calls it for what stands in its option `details`. */
  addTo(trailers: Metadata, status: StatusText): void
}

/** A detail of one of the standard types, by its name in google.rpc. */
export type StandardDetail = {
  [Type in keyof MessageTypes]: { readonly type: Type } & MessageTypes[Type] & Encodable
}[keyof MessageTypes]

/** A detail of any other type, and one whose bytes do not match their type. `typeUrl` says which. */
export type UnknownDetail = { readonly type: 'Any' } & Any & Encodable

/** A detail of a status, distinguished by `type`. */
export type ErrorDetail = StandardDetail | UnknownDetail

/** The detail whose `type` is this one. */
export type DetailOf<Type extends ErrorDetail['type']> = Extract<ErrorDetail, { type: Type }>

const TYPE_PREFIX = 'type.googleapis.com/google.rpc.'

class Detail implements Encodable {
  // As it came or as it was made: a detail that is passed on keeps the fields that this version does not know.
  readonly #any: Any

  constructor(type: string, members: Message, any: Any) {
    Object.assign(this, { type }, members)
    this.#any = any
  }

  toAny(): Any {
    return this.#any
  }

  addTo(trailers: Metadata, status: StatusText): void {
    appendDetail(trailers, status, this.#any)
  }
}

function unknownDetail(any: Any): UnknownDetail {
  return new Detail('Any', { ...any }, any) as unknown as UnknownDetail // its members are assigned
}

/** The detail an `Any` holds. Never throws: what cannot be decoded stays an `Any`. */
export function detailFromAny(any: Any, limits: Limits): ErrorDetail {
  // Resolvers of type URLs go by what follows the last slash.
  const [, type = ''] = /^(?:.*\/)?google\.rpc\.(\w+)$/s.exec(any.typeUrl) ?? []
  if (!Object.hasOwn(descriptions, type)) return unknownDetail(any)
  const description = descriptions[type as keyof MessageTypes]
  try {
    const members = decode(description, any.value, limits)
    return new Detail(type, members, any) as unknown as StandardDetail // by the description of the type
  } catch {
    return unknownDetail(any)
  }
}

function makeDetail<Type extends keyof MessageTypes>(
  type: Type,
  factory: string,
  given: MessageTypes[Type],
): DetailOf<Type> {
  const description: Description = descriptions[type]
  const problem = problemOf(description, given, '')
  if (problem !== undefined) throw new TypeError(`${factory}: ${problem}`)
  const members = pick(description, given as unknown as Message)
  const any = { typeUrl: TYPE_PREFIX + type, value: encode(description, members) }
  return new Detail(type, members, any) as unknown as DetailOf<Type> // by the description of the type
}

// A member of the wrong type is a TypeError that names it, in each of the following.

/** Why the call failed, for programs: a reason that is unique in its domain. */
export const errorInfo = (info: ErrorInfo): DetailOf<'ErrorInfo'> => makeDetail('ErrorInfo', 'errorInfo', info)

/** How long a client should wait at least before it tries again. */
export const retryInfo = (info: Required<RetryInfo>): DetailOf<'RetryInfo'> => {
  if (info?.retryDelayMs === undefined) throw new TypeError('retryInfo: retryDelayMs must be a number of milliseconds')
  return makeDetail('RetryInfo', 'retryInfo', info)
}

/** For developers. It leaves the process: keep it away from clients that are strangers. */
export const debugInfo = (info: DebugInfo): DetailOf<'DebugInfo'> => makeDetail('DebugInfo', 'debugInfo', info)

/** Which quotas the call exceeds. */
export const quotaFailure = (failure: QuotaFailure): DetailOf<'QuotaFailure'> =>
  makeDetail('QuotaFailure', 'quotaFailure', failure)

/** Which preconditions do not hold. Goes with FAILED_PRECONDITION. */
export const preconditionFailure = (failure: PreconditionFailure): DetailOf<'PreconditionFailure'> =>
  makeDetail('PreconditionFailure', 'preconditionFailure', failure)

/** Which fields of the request are wrong. Goes with INVALID_ARGUMENT. */
export const badRequest = (request: BadRequest): DetailOf<'BadRequest'> =>
  makeDetail('BadRequest', 'badRequest', request)

/** What a client may quote in a report about the failure. */
export const requestInfo = (info: RequestInfo): DetailOf<'RequestInfo'> =>
  makeDetail('RequestInfo', 'requestInfo', info)

/** Which resource the failure is about. Goes with NOT_FOUND, ALREADY_EXISTS and PERMISSION_DENIED. */
export const resourceInfo = (info: ResourceInfo): DetailOf<'ResourceInfo'> =>
  makeDetail('ResourceInfo', 'resourceInfo', info)

/** Links to read on or to act. */
export const help = (links: Help): DetailOf<'Help'> => makeDetail('Help', 'help', links)

/** A text for the user of the client, in the user's language. */
export const localizedMessage = (message: LocalizedMessage): DetailOf<'LocalizedMessage'> =>
  makeDetail('LocalizedMessage', 'localizedMessage', message)

/** A message of your own type, encoded by your own code. */
export function anyDetail({ typeUrl, value }: Any): UnknownDetail {
  if (typeof typeUrl !== 'string' || !typeUrl.includes('/')) {
    throw new TypeError("anyDetail: typeUrl must be a string such as 'type.googleapis.com/shop.v1.OutOfStock'")
  }
  if (!(value instanceof Uint8Array)) throw new TypeError('anyDetail: value must be a Uint8Array')
  return unknownDetail({ typeUrl, value })
}
