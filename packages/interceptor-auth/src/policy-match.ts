import type { Metadata } from '@grpc/grpc-js'
import { invalid } from './option-checks.ts'

/** A test of one text. */
export type TextTest = (text: string) => boolean

/**
 * Patterns as in gRFC A43: `*` is any text but the empty one, `abc*` a prefix, `*abc` a suffix, anything else the text
 * itself.
 * @throws TypeError naming the option.
 */
export function compilePatterns(where: string, name: string, given: unknown): TextTest {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw invalid(where, name, 'a text or a list of texts', 'an empty list')
  const tests = list.map((pattern) => compilePattern(where, name, pattern))
  return (text) => tests.some((test) => test(text))
}

function compilePattern(where: string, name: string, pattern: unknown): TextTest {
  if (typeof pattern !== 'string') throw invalid(where, name, 'a text or a list of texts', pattern)
  const star = pattern.indexOf('*')
  if (star < 0) return (text) => text === pattern
  if (pattern === '*') return (text) => text !== ''
  if (star !== pattern.lastIndexOf('*') || (star !== 0 && star !== pattern.length - 1)) {
    throw invalid(where, name, 'a text with one * at its beginning or end', pattern)
  }
  if (star === 0) return (text) => text.endsWith(pattern.slice(1))
  return (text) => text.startsWith(pattern.slice(0, -1))
}

/** The texts of a claim: of a list each member, of numbers and booleans how they are written, of anything else none. */
export function claimTexts(claims: Readonly<Record<string, unknown>> | undefined, name: string): readonly string[] {
  if (claims === undefined || !Object.hasOwn(claims, name)) return []
  const value = claims[name]
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.filter((item) => ['string', 'number', 'boolean'].includes(typeof item)).map(String)
}

/** A claim such as `scope`: a text of words, or a list of them. */
export function claimWords(claims: Readonly<Record<string, unknown>> | undefined, name: string): readonly string[] {
  return claimTexts(claims, name).flatMap((text) => text.split(' ').filter((word) => word !== ''))
}

/**
 * Whether metadata matches, read so that an ambiguous call is denied: HTTP joins several values with commas on the way,
 * so for a rule that denies each part counts, and for one that allows all of them must match.
 */
export function metadataMatches(metadata: Metadata, key: string, test: TextTest, denies: boolean): boolean {
  const values = metadata.get(key).map((value) => (typeof value === 'string' ? value : value.toString('base64')))
  if (values.length === 0) return false
  if (!denies) return values.every(test)
  return values.some((value) => test(value) || value.split(',').some((part) => test(part.trim())))
}

// gRFC A43: what the transport sets or removes says nothing about the caller.
const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'host']

/** @throws TypeError if a rule may not look at this metadata key. */
export function checkMetadataKey(where: string, name: string, key: string): void {
  const forbidden = /^(grpc-|proxy-|:)/.test(key) || HOP_BY_HOP.includes(key)
  if (forbidden || !/^[0-9a-z_.-]+$/.test(key)) {
    throw invalid(where, name, 'keyed by lower-case metadata keys, none of the transport or of gRPC itself', key)
  }
}
