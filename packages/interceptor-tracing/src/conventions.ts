import { status as Code } from '@grpc/grpc-js'
import type { MethodInfo, Status } from '@grpc-stack/grpc-core'
import type { Attributes } from '@opentelemetry/api'

/** Which names spans carry: today's conventions, those of before, or both where they do not collide. */
export type SemanticConventions = 'stable' | 'legacy' | 'both'

// Stable since semantic conventions 1.45.0; copied, so that no version of the constants' package is required.
export const RPC_STATUS_CODE = 'rpc.status_code'
export const ERROR_TYPE = 'error.type'
export const SERVER_ADDRESS = 'server.address'
export const SERVER_PORT = 'server.port'
export const NETWORK_PEER_ADDRESS = 'network.peer.address'
export const NETWORK_PEER_PORT = 'network.peer.port'
const RPC_SYSTEM_NAME = 'rpc.system.name'
const RPC_METHOD = 'rpc.method'
const RPC_METHOD_ORIGINAL = 'rpc.method_original'

// Of before, as instrumentation-grpc still emits them.
export const RPC_GRPC_STATUS_CODE = 'rpc.grpc.status_code'
const RPC_SYSTEM = 'rpc.system'
const RPC_SERVICE = 'rpc.service'

/** What no convention has a name for. */
export const ATTEMPTS = 'grpc_stack.attempts'
export const HEDGES = 'grpc_stack.hedges'
export const REFUSED_BY = 'grpc_stack.refused_by'
export const OUTGOING = 'grpc_stack.outgoing'

/** gRFC A72: how many attempts came before this one. On servers too, where the caller says so. */
export const PREVIOUS_ATTEMPTS = 'previous-rpc-attempts'

/** The name of every status code: the value of `rpc.status_code` and `error.type`. */
export function codeName(code: Code): string {
  return Code[code]
}

/** The path without its leading slash: `pkg.Service/Method`. */
export function fullName(method: MethodInfo): string {
  return method.path.startsWith('/') ? method.path.slice(1) : method.path
}

/**
 * Name of the span. For an unregistered path the conventions allow no name that a caller can make up.
 */
export function spanNameOf(method: MethodInfo): string {
  return method.registered ? fullName(method) : 'grpc'
}

/** gRFC A72. */
export function attemptNameOf(method: MethodInfo): string {
  return `Attempt.${method.service}.${method.name}`
}

/** Attributes that every call of a method has. */
export function methodAttributes(method: MethodInfo, conventions: SemanticConventions): Attributes {
  const attributes: Attributes = {}
  if (conventions !== 'legacy') {
    attributes[RPC_SYSTEM_NAME] = 'grpc'
    attributes[RPC_METHOD] = method.registered ? fullName(method) : '_OTHER'
    if (!method.registered) attributes[RPC_METHOD_ORIGINAL] = fullName(method)
  }
  if (conventions !== 'stable') {
    attributes[RPC_SYSTEM] = 'grpc'
    attributes[RPC_SERVICE] = method.service
    // One key with two meanings: with both sets of names, today's wins.
    attributes[RPC_METHOD] ??= method.name
  }
  return attributes
}

/**
 * Whether the conventions count a status as an error: on the client every one but OK; on the server those that are the
 * server's own doing.
 */
export function isErrorByConvention(code: Code, side: 'client' | 'server'): boolean {
  return side === 'client' ? code !== Code.OK : SERVER_ERRORS.has(code)
}

const SERVER_ERRORS: ReadonlySet<Status['code']> = new Set([
  Code.UNKNOWN,
  Code.DEADLINE_EXCEEDED,
  Code.UNIMPLEMENTED,
  Code.INTERNAL,
  Code.UNAVAILABLE,
  Code.DATA_LOSS,
])
