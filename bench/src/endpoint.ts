import { type ChannelCredentials, type ChannelOptions, credentials, ServerCredentials } from '@grpc/grpc-js'
import { certificate, key } from './certificate.ts'
import { conditions } from './conditions.ts'

// How a client and a server on grpc-js reach each other: in plaintext, or over TLS.

export function serverCredentials(): ServerCredentials {
  return conditions.tls
    ? ServerCredentials.createSsl(null, [{ private_key: key, cert_chain: certificate }])
    : ServerCredentials.createInsecure()
}

export function clientCredentials(): ChannelCredentials {
  return conditions.tls ? credentials.createSsl(certificate) : credentials.createInsecure()
}

/** By name: grpc-js 1.14 gives TLS an address for a server name, which Node 26 refuses. */
export const channelOptions: ChannelOptions = conditions.tls ? { 'grpc.ssl_target_name_override': 'localhost' } : {}
