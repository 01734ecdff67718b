import type { Metadata } from '@grpc/grpc-js'
import type { Call } from '@grpc-stack/grpc-core'
import type { TextMapGetter, TextMapSetter } from '@opentelemetry/api'

/** Reads what a propagator wants from request metadata. Binary values are base64 to it. */
export const metadataGetter: TextMapGetter<Metadata> = {
  get(metadata, key) {
    const values = metadata.get(key)
    const [first] = values
    if (values.length <= 1) return typeof first === 'object' ? first.toString('base64') : first
    return values.map((value) => (typeof value === 'object' ? value.toString('base64') : value))
  },
  keys: (metadata) => Object.keys(metadata.getMap()),
}

/**
 * Writes what a propagator gives into the request metadata of a call. The carrier is the call: its metadata is copied
 * from the caller's on first use, and a propagator may have nothing to write.
 */
export const metadataSetter: TextMapSetter<Call> = {
  set(call, key, value) {
    call.metadata.set(key, key.endsWith('-bin') ? Buffer.from(value, 'base64') : value)
  },
}
