import { create, toBinary } from '@bufbuild/protobuf'
import { status as Code, Metadata } from '@grpc/grpc-js'
import type { ServerCall, Status } from '@grpc-stack/grpc-core'
import { type CheckResponse, type HeaderValueOption, StatusSchema } from './authorization_pb.ts'

/** What gRPC makes of the HTTP status of a refusal. */
const CODES: ReadonlyMap<number, Code> = new Map([
  [400, Code.INTERNAL],
  [401, Code.UNAUTHENTICATED],
  [403, Code.PERMISSION_DENIED],
  [404, Code.UNIMPLEMENTED],
  [429, Code.UNAVAILABLE],
  [502, Code.UNAVAILABLE],
  [503, Code.UNAVAILABLE],
  [504, Code.UNAVAILABLE],
])

/** @throws TypeError if the answer says neither yes nor no: a service that is not understood has not said yes */
export function allows({ status, httpResponse }: CheckResponse): boolean {
  if (status === undefined && httpResponse.case === undefined) throw new TypeError('the answer has no status')
  const code = status?.code ?? 0
  if (httpResponse.case === 'deniedResponse' && code === 0)
    throw new TypeError('the answer has status OK and a refusal')
  return code === 0
}

/** Changes the call as the service says. */
export function admit(call: ServerCall, { httpResponse }: CheckResponse): void {
  if (httpResponse.case !== 'okResponse') return
  const { headers, headersToRemove, responseHeadersToAdd } = httpResponse.value
  for (const name of headersToRemove) if (isFree(name)) call.metadata.remove(name)
  setAll(call.metadata, headers)
  setAll(call.responseMetadata, responseHeadersToAdd)
}

/** The refusal that the service has answered with, and what it says of it: code, text, details, headers as trailers. */
export function refusal({ status, httpResponse }: CheckResponse): Status {
  const denied = httpResponse.case === 'deniedResponse' ? httpResponse.value : undefined
  const http = denied?.status?.code
  const code = http === undefined ? codeOf(status?.code) : (CODES.get(http) ?? Code.UNKNOWN)
  const details = denied?.body || status?.message || 'Denied by external authorization'
  const metadata = new Metadata()
  if (status !== undefined && status.details.length > 0) {
    const message = create(StatusSchema, { code, message: details, details: status.details })
    metadata.set('grpc-status-details-bin', Buffer.from(toBinary(StatusSchema, message)))
  }
  setAll(metadata, denied?.headers ?? [])
  return { code, details, metadata }
}

function codeOf(code: number | undefined): Code {
  return code !== undefined && code > 0 && code <= 16 ? code : Code.PERMISSION_DENIED
}

/** A header takes the place of what the caller sent by its name, unless the service says to append it. */
function setAll(metadata: Metadata, headers: readonly HeaderValueOption[]): void {
  for (const { header, append } of headers) {
    if (header === undefined || !isFree(header.key)) continue
    const { key, value, rawValue } = header
    try {
      const text = rawValue.length > 0 ? Buffer.from(rawValue) : undefined
      const sent = key.toLowerCase().endsWith('-bin')
        ? (text ?? Buffer.from(value, 'base64'))
        : (text?.toString('latin1') ?? value)
      if (append?.value === true) metadata.add(key, sent)
      else metadata.set(key, sent)
    } catch {
      // Not a name or value of metadata: no reason to end a call.
    }
  }
}

/** HTTP/2's and gRPC's own names are not the service's to change. */
function isFree(name: string): boolean {
  return !name.startsWith(':') && !name.toLowerCase().startsWith('grpc-')
}
