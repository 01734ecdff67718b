import type { Metadata } from '@grpc/grpc-js'
import { processWide } from '../runtime/copies.ts'
import type { Call } from './call.ts'
import { searchedOnce } from './clean-texts.ts'
import { addHeaders, type CredentialHeaders, secretsIn } from './credential-values.ts'
import { MARK } from './runs.ts'
import { Secrets } from './secrets.ts'

export { isCredentialName } from './credential-name.ts'

/** Takes the credentials of one call out of a text. */
export type CredentialScrubber = (text: string) => string

/** Longer texts are cut first, because a peer can choose their length. */
const LONGEST_TEXT = 16_384

/** A call, or what is known of one that has no call of ours. */
type ScrubbedCall = Pick<Call, 'metadata'> & Partial<Pick<Call, 'side'>>

const remembered = processWide('credentials', () => new WeakMap<object, (string | Buffer)[]>())

/** Tells the observers of a call of a credential that its metadata do not hold, such as one in call credentials. */
export function rememberCredentials(call: Call, values: readonly (string | Buffer)[]): void {
  const known = remembered.get(call)
  if (known === undefined) remembered.set(call, [...values])
  else known.push(...values)
}

/**
 * Takes credentials out of texts that are recorded of a call: what its request metadata hold under a name that announces a
 * credential, what `rememberCredentials` was told, and the same of `more`, such as the trailers. The value is found with and
 * without its scheme, as a fragment of eight characters or more, in base64, hexadecimal, URL encoding and JSON escapes, and
 * in any case of letters. What looks like a credential of another call is taken out too: JSON web tokens, `Bearer …`, the
 * password of a URL, private keys. A text of more than 16384 characters is cut.
 *
 * Costs nothing until the first text comes.
 */
export function credentialScrubber(call: ScrubbedCall, ...more: readonly (Metadata | undefined)[]): CredentialScrubber {
  return new CallCredentials(call).scrubber(more)
}

/**
 * What the scrubbers of one call have in common. Each looks at the metadata by itself, when its first text comes; where they hold the
 * same credentials as the last time, what was worked out then still serves.
 */
export class CallCredentials {
  readonly #call: ScrubbedCall
  #last: Worked | undefined

  constructor(call: ScrubbedCall) {
    this.#call = call
  }

  scrubber(more: readonly (Metadata | undefined)[]): CredentialScrubber {
    let worked: Worked | undefined
    return (text) => {
      if (text === '') return text
      worked ??= this.#workOut(more)
      return worked.scrub(text)
    }
  }

  #workOut(more: readonly (Metadata | undefined)[]): Worked {
    const headers = headersOf(this.#call, more)
    if (this.#last?.isFor(headers)) return this.#last
    const ofClient = this.#call.side === 'client' ? lastOfClient?.deref() : undefined
    this.#last = ofClient?.isFor(headers) ? ofClient : new Worked(headers)
    if (this.#call.side === 'client' && this.#last !== ofClient) lastOfClient = new WeakRef(this.#last)
    return this.#last
  }
}

/**
 * A client sends the same token with call after call, and holds it anyway. It is kept here until the next full collection at the latest,
 * as the garbage of a call is. The tokens of a server's callers are not kept after their call.
 */
let lastOfClient: WeakRef<Worked> | undefined

/** Longer texts are not worth keeping. */
const LONGEST_KEPT = 1024

/** What is worked out from credentials. */
class Worked {
  readonly #headers: CredentialHeaders
  #secrets: Secrets | undefined
  #text = ''
  #scrubbed = ''

  constructor(headers: CredentialHeaders) {
    this.#headers = headers
  }

  isFor(headers: CredentialHeaders): boolean {
    const known = this.#headers
    // The bytes of binary metadata can be changed in place.
    return known.length === headers.length && known.every((part, i) => typeof part === 'string' && part === headers[i])
  }

  scrub(text: string): string {
    if (text === this.#text) return this.#scrubbed
    if (text.length > LONGEST_KEPT) return this.#search(text)
    this.#scrubbed = searchedOnce(this.#headers, text, (searched) => this.#search(searched))
    this.#text = text
    return this.#scrubbed
  }

  #search(text: string): string {
    const bounded = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
    this.#secrets ??= new Secrets(secretsIn(this.#headers))
    return withoutKnownForms(this.#secrets.scrub(bounded))
  }
}

function headersOf(call: ScrubbedCall, more: readonly (Metadata | undefined)[]): CredentialHeaders {
  const headers: CredentialHeaders = []
  for (const value of remembered.get(call) ?? []) headers.push('authorization', value)
  const { metadata } = call
  addHeaders(headers, metadata)
  for (const other of more) if (other !== undefined && other !== metadata) addHeaders(headers, other)
  return headers
}

const TOKEN = /\beyJ[\w-]{6,}(?:\.[\w-]{4,}|[\w-]{8,})(?:\.[\w-]*){0,4}/g
const SCHEME = /\b(bearer|basic|dpop|negotiate)(\s{1,8}|%20|\+)(?=[a-z._~+/=-]{0,64}\d)[\w.~+/=%-]{16,}/gi
const URL_PASSWORD = /(:\/\/)[^\s/?#@:"'<>]*:[^\s/?#@"'<>]*@/g
const PRIVATE_KEY =
  /-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(?:(?!-----END)[\s\S])*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g

function withoutKnownForms(text: string): string {
  return text
    .replace(TOKEN, MARK)
    .replace(SCHEME, `$1$2${MARK}`)
    .replace(URL_PASSWORD, `$1${MARK}@`)
    .replace(PRIVATE_KEY, MARK)
}
