import { randomBytes } from 'node:crypto'
import type { Metadata } from '@grpc/grpc-js'
import { processWide } from '../runtime/copies.ts'
import type { Call } from './call.ts'

/** Takes the credentials of one call out of a text. */
export type CredentialScrubber = (text: string) => string

const MARK = '[redacted]'
/** The length of a run that counts as quoted. `JSON.parse` quotes ten characters on each side of what it stumbles over. */
const RUN = 8
/** Shorter values than this stand in ordinary words. */
const SHORTEST = 3
/** Longer texts are cut first, because a peer can choose their length. */
const LONGEST_TEXT = 16_384
/** Of values in one header: enough for cookies, and few enough for a peer that sends nothing but separators. */
const MOST_PARTS = 64
/** Beyond what HTTP/2 header limits let through. A call with more has no text recorded at all. */
const MOST_SECRETS = 131_072

const NAMES = new Set(
  (
    'auth authorization cookie cookie2 cookies setcookie setcookie2 signature session sessionid sid jwt bearer dpop otp pwd ' +
    'clientassertion privatekey accesskey signingkey encryptionkey sshkey'
  ).split(' '),
)
const ENDINGS =
  /(?:authorization|apikeys?|secretkey|tokens?|secrets?|passwords?|passwd|passphrase|passcode|credentials?|privatekey)$/

/**
 * Whether a metadata key, or the name of a member, announces a credential: `authorization`, `x-api-key`, `api_key`,
 * `clientSecret`, `session-id`. Words may be written together, in camel case, or with `-`, `_` or `.` between them.
 */
export function isCredentialName(name: string): boolean {
  // A longer name is none of an application's own, and is not worth the time.
  if (name.length > 256) return true
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
    .toLowerCase()
    .split(/[-_.\s]+/)
  return words.some((word, i) => isSecretWord(word) || (i > 0 && isSecretWord(`${words[i - 1]}${word}`)))
}

function isSecretWord(word: string): boolean {
  return NAMES.has(word) || ENDINGS.test(word)
}

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
export function credentialScrubber(
  call: Pick<Call, 'metadata'>,
  ...more: readonly (Metadata | undefined)[]
): CredentialScrubber {
  let secrets: Secrets | undefined
  return (text) => {
    if (text === '') return text
    secrets ??= new Secrets(credentialsOf(call, more))
    const bounded = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text
    return withoutKnownForms(secrets.scrub(bounded))
  }
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

function credentialsOf(call: Pick<Call, 'metadata'>, more: readonly (Metadata | undefined)[]): string[] {
  const found: string[] = []
  for (const value of remembered.get(call) ?? []) addValue(found, 'authorization', value)
  for (const metadata of [call.metadata, ...more]) {
    if (metadata === undefined) continue
    for (const key of Object.keys(metadata.getMap())) {
      if (isCredentialName(key)) for (const value of metadata.get(key)) addValue(found, key, value)
    }
  }
  return found
}

function addValue(found: string[], key: string, value: string | Buffer): void {
  if (typeof value !== 'string') {
    found.push(value.toString('latin1'), value.toString('utf8'))
    return
  }
  // HTTP/2 joins several values of a key with commas.
  for (const part of new Set([value, ...value.split(/,\s*/, MOST_PARTS)])) {
    if (key.includes('cookie')) addCookies(found, part)
    else addToken(found, part.trim())
  }
}

function addCookies(found: string[], cookies: string): void {
  // A cookie without a name is a value.
  for (const cookie of cookies.split(/;\s*/))
    found.push(cookie.slice(cookie.indexOf('=') + 1).replace(/^"(.*)"$/, '$1'))
}

const SCHEMES = /^(?:bearer|basic|digest|dpop|token|apikey|negotiate|ntlm|hawk)$/i

function addToken(found: string[], value: string): void {
  const [, scheme = '', token = value] = /^([a-z][\w-]*)\s+(\S.*)$/i.exec(value) ?? []
  if (SCHEMES.test(token)) return
  found.push(token)
  // A first word that is no scheme is a part of the secret.
  if (scheme !== '' && !SCHEMES.test(scheme)) found.push(value)
  for (const [, parameter = ''] of [...token.matchAll(/=\s*"([^"]*)"/g)].slice(0, MOST_PARTS)) found.push(parameter)
  for (const part of token.split('.', MOST_PARTS)) addDecoded(found, part, scheme)
}

/** What a verifier decodes and then quotes, unless it is a set of claims: those are no secret, and say why a token failed. */
function addDecoded(found: string[], part: string, scheme: string): void {
  if (part.length < RUN || !/^[\w+/-]+={0,2}$/.test(part)) return
  const decoded = Buffer.from(part, 'base64').toString('utf8')
  if (/[\p{Cc}\ufffd]/u.test(decoded) || isObject(decoded)) return
  const colon = decoded.indexOf(':')
  found.push(scheme.toLowerCase() === 'basic' && colon >= 0 ? decoded.slice(colon + 1) : decoded)
}

function isObject(json: string): boolean {
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}

// Odd, and of this process alone, so that a peer cannot choose credentials whose runs all land in one place.
const MULTIPLIER = randomBytes(4).readUInt32LE() | 1
let leaving = 1
for (let i = 0; i < RUN; i++) leaving = Math.imul(leaving, MULTIPLIER)

/** Every run of eight characters that some spelling of a secret has, in a hash table; and the secrets too short for one. */
class Secrets {
  readonly #corpus: Uint8Array
  readonly #table: Int32Array
  readonly #shorts: RegExp | undefined

  constructor(values: readonly string[]) {
    const spellings = new Set(values.flatMap(spellingsOf))
    const shorts = [...spellings].filter(({ length }) => length >= SHORTEST && length < RUN).slice(0, MOST_PARTS)
    this.#shorts = shorts.length === 0 ? undefined : wholeWords(shorts)
    this.#corpus = folded([...spellings].filter(({ length }) => length >= RUN).join('\0'))
    const bounded = this.#corpus.length <= MOST_SECRETS ? this.#corpus.length : 0
    this.#table = new Int32Array(bounded === 0 ? 0 : 2 ** Math.ceil(Math.log2(bounded * 2)))
    if (bounded === 0) return
    eachRun(this.#corpus, (start, hash) => {
      const slot = this.#slotOf(this.#corpus, start, hash)
      if (this.#table[slot] === 0) this.#table[slot] = start + 1
    })
  }

  scrub(text: string): string {
    if (this.#corpus.length > MOST_SECRETS) return MARK
    const scrubbed = this.#table.length === 0 ? text : this.#withoutRuns(text)
    return this.#shorts === undefined ? scrubbed : scrubbed.replace(this.#shorts, MARK)
  }

  /** Where a run is in the table, or the free place where it would be. */
  #slotOf(codes: Uint8Array, start: number, hash: number): number {
    const mask = this.#table.length - 1
    let slot = (hash ^ (hash >>> 15)) & mask
    for (let known = this.#table[slot] as number; known !== 0; known = this.#table[slot] as number) {
      if (sameRun(this.#corpus, known - 1, codes, start)) break
      slot = (slot + 1) & mask
    }
    return slot
  }

  #withoutRuns(text: string): string {
    const marked = new Uint8Array(text.length)
    for (const { plain, startOf } of viewsOf(text)) {
      const view = folded(plain)
      eachRun(view, (start, hash) => {
        if (this.#table[this.#slotOf(view, start, hash)] !== 0) marked.fill(1, startOf(start), startOf(start + RUN))
      })
    }
    return replaceMarked(text, marked)
  }
}

/**
 * A secret as it is and with its escapes resolved, its bytes in hexadecimal, and in base64 at each of the three places they
 * can have in longer data.
 */
function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret, 'latin1')
  const spellings = [secret, unescaped(secret)?.plain ?? secret, bytes.toString('hex')]
  for (let before = 0; before < 3; before++) {
    // base64url leaves the padding out.
    const base64 = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64url')
    // The first and the last characters also depend on what stands next to the secret.
    const inner = base64.slice(before === 0 ? 0 : before + 1, (before + bytes.length) % 3 === 0 ? undefined : -1)
    if (before === 0 || inner.length >= RUN) spellings.push(inner)
  }
  return spellings
}

function wholeWords(texts: readonly string[]): RegExp {
  const alternatives = texts.map((text) => text.replace(/[^A-Za-z0-9]/g, '\\$&')).join('|')
  return new RegExp(`(?<![A-Za-z0-9])(?:${alternatives})(?![A-Za-z0-9])`, 'gi')
}

const FOLDED = Uint8Array.from({ length: 256 }, (_, code) => {
  if (code >= 0x41 && code <= 0x5a) return code + 0x20
  return code === 0x2d ? 0x2b : code === 0x5f ? 0x2f : code
})

/** A byte per character, with letters without their case and base64url as base64. Headers hold no wider characters. */
function folded(text: string): Uint8Array {
  const codes = Buffer.from(text, 'latin1')
  for (let i = 0; i < codes.length; i++) codes[i] = FOLDED[codes[i] as number] as number
  return codes
}

/** A text without escapes, and where its nth character starts in the text as it stands. */
interface View {
  readonly plain: string
  readonly startOf: (n: number) => number
}

/** The text as it stands, and without one and two layers of escapes. */
function viewsOf(text: string): View[] {
  const views: View[] = [{ plain: text, startOf: (n) => n }]
  for (let outer = views[0]; outer !== undefined && views.length < 3; ) {
    const { startOf } = outer
    const inner: View | undefined = unescaped(outer.plain)
    outer = inner && { plain: inner.plain, startOf: (n) => startOf(inner.startOf(n)) }
    if (outer !== undefined) views.push(outer)
  }
  return views
}

const ESCAPE = /%([0-9a-f]{2})|\\u([0-9a-f]{4})|\\x([0-9a-f]{2})|\\(["'\\/])/gi

/** Undefined where there are no escapes. */
function unescaped(text: string): View | undefined {
  if (!/[%\\]/.test(text)) return undefined
  const starts: number[] = []
  let plain = ''
  let from = 0
  const copyUntil = (end: number): void => {
    plain += text.slice(from, end)
    for (; from < end; from++) starts.push(from)
  }
  for (const match of text.matchAll(ESCAPE)) {
    const [whole, percent, unicode, hex, quoted] = match
    copyUntil(match.index)
    starts.push(from)
    plain += quoted ?? String.fromCharCode(Number.parseInt(percent ?? unicode ?? (hex as string), 16))
    from += whole.length
  }
  copyUntil(text.length)
  starts.push(text.length)
  return plain.length === text.length ? undefined : { plain, startOf: (n) => starts[n] as number }
}

/** Visits every run of eight characters with a hash of it. */
function eachRun(codes: Uint8Array, visit: (start: number, hash: number) => void): void {
  let hash = 0
  for (let i = 0; i < codes.length; i++) {
    hash = (Math.imul(hash, MULTIPLIER) + (codes[i] as number)) | 0
    if (i >= RUN) hash = (hash - Math.imul(codes[i - RUN] as number, leaving)) | 0
    if (i >= RUN - 1) visit(i - RUN + 1, hash)
  }
}

function sameRun(a: Uint8Array, atA: number, b: Uint8Array, atB: number): boolean {
  for (let i = 0; i < RUN; i++) if (a[atA + i] !== b[atB + i]) return false
  return true
}

function replaceMarked(text: string, marked: Uint8Array): string {
  let shown = ''
  let from = 0
  for (let start = marked.indexOf(1); start >= 0; start = marked.indexOf(1, from)) {
    const end = marked.indexOf(0, start)
    shown += text.slice(from, start) + MARK
    from = end < 0 ? text.length : end
    if (end < 0) break
  }
  return shown + text.slice(from)
}
