import type { Metadata } from '@grpc/grpc-js'

/** The error behind a status. */
export interface Cause {
  readonly error: unknown
  /** The peer gets another text in its place. */
  readonly concealed: boolean
}

/**
 * The error behind the status that a handler ended with, for observers in this process. grpc-js turns the error into a plain
 * status and keeps only its metadata object, so that object is the key.
 */
const causes = new WeakMap<Metadata, Cause>()

export function rememberCause(metadata: Metadata, cause: Cause): void {
  causes.set(metadata, cause)
}

export function causeOf(metadata: Metadata): Cause | undefined {
  return causes.get(metadata)
}
