import { oneOf, text } from '@grpc-stack/grpc-core/authoring'
import type { TableOf } from '../option-kinds.ts'

/** How this process identifies itself to an OAuth 2.0 server. */
export interface ClientIdentity {
  readonly clientId: string
  readonly clientSecret: string
  /**
   * Where the two go: `basic`, the Authorization header, which RFC 6749 requires servers to take; or `post`, the body, for
   * servers that do not. Default: `basic`.
   */
  readonly clientAuthentication?: 'basic' | 'post'
}

export const identityTable: TableOf<ClientIdentity> = {
  clientId: text(),
  clientSecret: text().secret(),
  clientAuthentication: oneOf('basic', 'post').default('basic'),
}

/** A form with these fields, authenticated. */
export function formOf(identity: ClientIdentity, fields: Readonly<Record<string, string | undefined>>): RequestInit {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) form.set(name, value)
  const headers: Record<string, string> = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
  }
  const { clientId, clientSecret } = identity
  if (identity.clientAuthentication === 'post') {
    form.set('client_id', clientId)
    form.set('client_secret', clientSecret)
  } else {
    // Form-encoded first, RFC 6749 §2.3.1: a colon in the id would end it.
    const pair = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  return { method: 'POST', headers, body: form.toString() }
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
