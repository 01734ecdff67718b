import { createHash } from 'node:crypto'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { ServerCall } from '@grpc-stack/grpc-core'
import { distinguishedName } from '../authenticators/distinguished-name.ts'
import { parseAltNames } from '../authenticators/subject-alt-name.ts'
import type { CheckRequestSchema } from './authorization_pb.ts'

/** What a service is told of a call. */
export interface CallFacts {
  readonly address: string
  readonly port: number
  /** Of a certificate; empty without one. */
  readonly principal: string
  readonly path: string
  readonly host: string
  readonly scheme: 'http' | 'https'
  readonly headers: Readonly<Record<string, string>>
}

/** @param told names of metadata, in lower case; undefined: all */
export function factsOf(call: ServerCall, told: ReadonlySet<string> | undefined): CallFacts {
  const { method, host } = call
  const [, address = call.peer(), port = '0'] = /^(.*):(\d+)$/.exec(call.peer()) ?? []
  return {
    address: address.replace(/^\[(.*)\]$/, '$1'),
    port: Number(port),
    principal: certificateName(call),
    path: method.path,
    host,
    scheme: isSecure(call) ? 'https' : 'http',
    headers: headersOf(call, told),
  }
}

/** The call as Envoy describes an HTTP request. */
export function checkRequest(
  { address, port, principal, path, host, scheme, headers }: CallFacts,
  contextExtensions: Readonly<Record<string, string>>,
): MessageInitShape<typeof CheckRequestSchema> {
  const nowMs = Date.now()
  const seconds = Math.floor(nowMs / 1000)
  return {
    attributes: {
      source: { address: { socketAddress: { address, portValue: port } }, principal },
      request: {
        time: { seconds: BigInt(seconds), nanos: (nowMs - seconds * 1000) * 1e6 },
        http: { method: 'POST', path, host, scheme, size: -1n, protocol: 'HTTP/2', headers: { ...headers } },
      },
      contextExtensions: { ...contextExtensions },
    },
  }
}

/** The same for calls that the service cannot tell apart but by time and port. A digest, since credentials are among the headers. */
export function identityOf({ address, principal, path, host, scheme, headers }: CallFacts): string {
  const sorted = Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash('sha256')
    .update(JSON.stringify([address, principal, path, host, scheme, sorted]))
    .digest('base64')
}

/** Several values of one name are joined by commas, as Envoy does it; binary values are in base64, as they are sent. */
function headersOf(call: ServerCall, told: ReadonlySet<string> | undefined): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (const name of Object.keys(call.metadata.getMap())) {
    if (told !== undefined && !told.has(name)) continue
    const values = call.metadata.get(name)
    headers[name] = values.map((value) => (typeof value === 'string' ? value : value.toString('base64'))).join(',')
  }
  // Last, so that no metadata stands in for them.
  headers[':method'] = 'POST'
  headers[':path'] = call.method.path
  headers[':authority'] = call.host
  headers['content-type'] = 'application/grpc'
  return headers
}

function isSecure(call: ServerCall): boolean {
  return call.authContext.transportSecurityType === 'ssl'
}

/** As Envoy names a peer: by the first URI of its certificate, else the first DNS name, else the subject. */
function certificateName(call: ServerCall): string {
  const certificate = isSecure(call) ? call.authContext.sslPeerCertificate : undefined
  if (certificate === undefined) return ''
  const names = parseAltNames(certificate.subjectaltname)
  // Names that cannot be read are no name: the service decides about a peer without one.
  return names === undefined ? '' : (names.uri[0] ?? names.dns[0] ?? distinguishedName(certificate.raw))
}
