import type { Metadata } from '@grpc/grpc-js'
import { isCredentialName } from './credential-name.ts'

/** Shorter parts are quoted by nothing. */
const SHORTEST_DECODED = 8
/** Of values in one header: enough for cookies, and few enough for a peer that sends nothing but separators. */
export const MOST_PARTS = 64

/** Metadata keys that announce a credential and their values, as they came: key, value, key, value. */
export type CredentialHeaders = (string | Buffer)[]

/** Adds what metadata hold under names that announce a credential. */
export function addHeaders(found: CredentialHeaders, metadata: Metadata): void {
  for (const key of Object.keys(metadata.getMap())) {
    if (isCredentialName(key)) for (const value of metadata.get(key)) found.push(key, value)
  }
}

/** What is secret in such headers. */
export function secretsIn(headers: CredentialHeaders): string[] {
  const found: string[] = []
  for (let i = 0; i < headers.length; i += 2) addValue(found, headers[i] as string, headers[i + 1] as string | Buffer)
  return found
}

function addValue(found: string[], key: string, value: string | Buffer): void {
  if (typeof value !== 'string') {
    found.push(value.toString('latin1'), value.toString('utf8'))
    return
  }
  addPart(found, key, value)
  // HTTP/2 joins several values of a key with commas.
  if (value.includes(',')) for (const part of value.split(/,\s*/, MOST_PARTS)) addPart(found, key, part)
}

function addPart(found: string[], key: string, part: string): void {
  if (key.includes('cookie')) addCookies(found, part)
  else addToken(found, part.trim())
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
  if (token.includes('"')) addParameters(found, token)
  for (const part of token.split('.', MOST_PARTS)) addDecoded(found, part, scheme)
}

function addParameters(found: string[], token: string): void {
  for (const [, parameter = ''] of [...token.matchAll(/=\s*"([^"]*)"/g)].slice(0, MOST_PARTS)) found.push(parameter)
}

/** What a verifier decodes and then quotes, unless it is a set of claims: those are no secret, and say why a token failed. */
function addDecoded(found: string[], part: string, scheme: string): void {
  if (part.length < SHORTEST_DECODED || !/^[\w+/-]+={0,2}$/.test(part)) return
  const decoded = Buffer.from(part, 'base64').toString('utf8')
  if (/[\p{Cc}\ufffd]/u.test(decoded) || isObject(decoded)) return
  const colon = decoded.indexOf(':')
  found.push(scheme.toLowerCase() === 'basic' && colon >= 0 ? decoded.slice(colon + 1) : decoded)
}

function isObject(json: string): boolean {
  // What JSON.parse throws costs more than all the rest.
  if (!/^\s*[{[]/.test(json)) return false
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null
  } catch {
    return false
  }
}
