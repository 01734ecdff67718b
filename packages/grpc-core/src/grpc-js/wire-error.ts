import type { Metadata } from '@grpc/grpc-js'

/** The error behind a status. */
export interface Cause {
  readonly error: unknown
  /** The peer gets another text in its place. */
  readonly concealed: boolean
}

/**
 * The error behind a status a handler ended with, for observers in this process. grpc-js makes a plain status of the
 * error on its way; the one thing that it passes on by identity is the metadata.
 */
const causes = new WeakMap<Metadata, Cause>()

export function rememberCause(metadata: Metadata, cause: Cause): void {
  causes.set(metadata, cause)
}

export function causeOf(metadata: Metadata): Cause | undefined {
  return causes.get(metadata)
}
