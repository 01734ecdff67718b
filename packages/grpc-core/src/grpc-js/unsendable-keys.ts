import type { Metadata } from '@grpc/grpc-js'

/**
 * What gRPC and HTTP/2 say about a response themselves. grpc-js would let metadata replace them: an error whose trailers hold
 * `grpc-status: 0` reaches its client as OK.
 */
const OF_THE_PROTOCOL = ['content-length', 'content-type', 'grpc-encoding', 'grpc-message', 'grpc-status']

/** HTTP/1 headers about a connection, which HTTP/2 forbids and Node throws on (RFC 9113, 8.2.2). */
const OF_A_CONNECTION = [
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]

const UNSENDABLE: ReadonlySet<string> = new Set([...OF_THE_PROTOCOL, ...OF_A_CONNECTION])

/** Node throws on a second value of these (`kSingleValueFields` in its lib/internal/http2/util.js). */
const SINGLE: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-location',
  'content-md5',
  'content-range',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
])

/**
 * Response headers or trailers that Node can send and that leave the status to its code: the same object, or a copy without the
 * keys that do not. grpc-js hands them to Node when it has noted the RPC as answered, in an event of the stream in the case of
 * trailers, so what Node throws then ends the process or hangs the call (server-interceptors.ts, 1.14).
 */
export function withoutUnsendable(metadata: Metadata): Metadata {
  const headers = metadata.toHttp2Headers()
  let copy: Metadata | undefined
  for (const name in headers) {
    const values: unknown = headers[name]
    if (!UNSENDABLE.has(name) && !(Array.isArray(values) && values.length > 1 && SINGLE.has(name))) continue
    copy ??= metadata.clone()
    copy.remove(name)
    warnOnce(name)
  }
  return copy ?? metadata
}

let warned = false

function warnOnce(name: string): void {
  if (warned) return
  warned = true
  process.emitWarning(
    `A server left "${name}" out of the metadata of a response: HTTP/2 or gRPC has a meaning of its own for it, or it may have one ` +
      'value only. Do not copy headers of other protocols into metadata. This is said once.',
    { type: 'GrpcStackWarning', code: 'GRPC_STACK_METADATA_UNSENDABLE' },
  )
}
