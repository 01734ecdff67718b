import { status as Code, type Metadata, type ServerErrorResponse } from '@grpc/grpc-js'
import { meantStatus, usableMetadata } from '../contract/given-status.ts'
import { newMetadata } from '../grpc-js/metadata.ts'
import { rememberCause } from '../grpc-js/status-cause.ts'

/**
 * What a handler threw, rejected with, emitted or gave to its callback, as grpc-js sends it. What is meant as a status
 * (`meantStatus`) is that status; all else is INTERNAL, and its text stays with the cause. Never throws.
 * @param trailers that the handler gave beside the error, in the place of those of the error
 */
export function handlerError(error: unknown, trailers?: Metadata): ServerErrorResponse {
  if (HandlerError.is(error) && trailers === undefined) return error
  const meant = meantStatus(error)
  // Trailers of a call this server made are between it and that server: its pushback, say, is not for our caller.
  const own = meant?.origin === 'remote' ? undefined : meant?.metadata
  const given = trailers ?? own
  if (given === undefined) return made(error, meant?.code, meant?.details, newMetadata())
  const usable = usableMetadata(given)
  if (usable === undefined) return made(error, undefined, undefined, newMetadata())
  return made(error, meant?.code, meant?.details, usable.clone())
}

function made(error: unknown, code: Code | undefined, details: string | undefined, metadata: Metadata): HandlerError {
  rememberCause(metadata, { error, concealed: code === undefined })
  return new HandlerError(code ?? Code.INTERNAL, details?.toWellFormed() ?? 'Internal error', metadata)
}

/**
 * An error that can be sent: giving it again changes nothing. Not an `Error`, since its stack would cost more than the rest of the
 * call.
 */
class HandlerError implements ServerErrorResponse {
  readonly name = 'HandlerError'
  readonly message: string
  readonly details: string
  readonly code: Code
  readonly metadata: Metadata
  readonly #made = true

  /** Proxies have no trap for this question. */
  static is(value: unknown): value is HandlerError {
    return typeof value === 'object' && value !== null && #made in value
  }

  constructor(code: Code, details: string, metadata: Metadata) {
    this.message = details
    this.details = details
    this.code = code
    this.metadata = metadata
  }
}
