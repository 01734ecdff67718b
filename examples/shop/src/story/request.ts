import { randomUUID } from 'node:crypto'
import { Metadata } from '@grpc/grpc-js'
import type { Log, Observatory } from '../telemetry/observatory.ts'

/** An id to follow one request through all services by, and the metadata to give it to a call with. */
export function newRequest(name: string): { id: string; metadata: Metadata } {
  const id = `${name}-${randomUUID().slice(0, 8)}`
  const metadata = new Metadata()
  metadata.set('x-request-id', id)
  return { id, metadata }
}

/** What the services logged about a request. */
export function recordsOf(observatory: Observatory, id: string): Log[] {
  return observatory.logs.filter((log) => log.fields['request.id'] === id)
}
