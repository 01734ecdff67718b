import { Metadata } from '@grpc/grpc-js'

/** What transports and the packages add on their own; the rest is what the application has sent. */
const ADDED = new Set([
  'authorization',
  'chaos-run',
  'content-type',
  'date',
  'grpc-accept-encoding',
  'grpc-encoding',
  'grpc-previous-rpc-attempts',
  'grpc-timeout',
  'te',
  'traceparent',
  'tracestate',
  'user-agent',
  'x-request-id',
])

export type Entries = readonly (readonly [key: string, value: string])[]

export function metadataFrom(entries: Entries): Metadata {
  const metadata = new Metadata()
  for (const [key, value] of entries) metadata.add(key, key.endsWith('-bin') ? Buffer.from(value, 'base64') : value)
  return metadata
}

/** The application's entries, sorted, binary ones as base64. */
export function metadataText(metadata: Metadata | undefined): string {
  if (metadata === undefined) return 'none'
  const texts = Object.keys(metadata.getMap())
    .filter((key) => !ADDED.has(key))
    .sort()
    .map(
      (key) =>
        `${key}=${metadata
          .get(key)
          .map((value) => (typeof value === 'string' ? value : value.toString('base64')))
          .join('|')}`,
    )
  return `{${texts.join('; ')}}`
}
