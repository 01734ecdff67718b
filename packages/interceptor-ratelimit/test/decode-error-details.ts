import { fileURLToPath } from 'node:url'
import type { Metadata } from '@grpc/grpc-js'
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader'

const loaded = loadSync(fileURLToPath(new URL('error-details.proto', import.meta.url)), {
  longs: Number,
  defaults: true,
})
const decoders = loaded['google.rpc.Decoders'] as ServiceDefinition

export interface DecodedStatus {
  readonly code: number
  readonly message: string
  /** By the name of their type. */
  readonly details: Readonly<Record<string, unknown>>
}

/** google.rpc.Status with its details, read by protobuf.js. */
export function decodeStatus(bytes: Buffer): DecodedStatus {
  const { code, message, details } = decode('Status', bytes) as {
    code: number
    message: string
    details: { typeUrl: string; value: Buffer }[]
  }
  const entries = details.map(({ typeUrl, value }) => {
    const [, name] = /^type\.googleapis\.com\/google\.rpc\.(\w+)$/.exec(typeUrl) ?? []
    if (name === undefined) throw new Error(`unexpected type ${typeUrl}`)
    return [name, decode(name, value)]
  })
  return { code, message, details: Object.fromEntries(entries) }
}

/** The details of a refusal, as a client finds them in the trailers. */
export function detailsOf(metadata: Metadata | undefined): DecodedStatus {
  const [bytes] = metadata?.get('grpc-status-details-bin') ?? []
  if (!Buffer.isBuffer(bytes)) throw new Error('no grpc-status-details-bin')
  return decodeStatus(bytes)
}

function decode(name: string, bytes: Buffer): object {
  const method = decoders[name]
  if (method === undefined) throw new Error(`no decoder for ${name}`)
  return method.requestDeserialize(bytes)
}
