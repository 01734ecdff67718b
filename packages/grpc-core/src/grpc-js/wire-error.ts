import type { Metadata } from '@grpc/grpc-js'

/**
 * The error behind a status a handler ended with, for observers in this process. grpc-js makes a plain status of the
 * error on its way; the one thing it hands on by identity is the metadata.
 */
const causes = new WeakMap<Metadata, unknown>()

export function rememberCause(metadata: Metadata, error: unknown): void {
  causes.set(metadata, error)
}

export function causeOf(metadata: Metadata): unknown {
  return causes.get(metadata)
}
