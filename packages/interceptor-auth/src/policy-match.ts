import { invalidAs, invalidText } from './option-checks.ts'

/** A test of one text. */
export type TextTest = (text: string) => boolean

/**
 * Patterns as in gRFC A43: `*` is any text but the empty one, `abc*` a prefix, `*abc` a suffix, anything else the text
 * itself.
 * @throws TypeError naming the option.
 */
export function compilePatterns(where: string, name: string, given: unknown): TextTest {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  if (list.length === 0) throw invalidAs(where, name, 'a text or a list of texts', 'an empty list')
  const tests = list.map((pattern) => compilePattern(where, name, pattern))
  return (text) => tests.some((test) => test(text))
}

function compilePattern(where: string, name: string, pattern: unknown): TextTest {
  if (typeof pattern !== 'string') throw invalidText(where, name, 'a text or a list of texts', pattern)
  const star = pattern.indexOf('*')
  if (star < 0) return (text) => text === pattern
  if (pattern === '*') return (text) => text !== ''
  if (star !== pattern.lastIndexOf('*') || (star !== 0 && star !== pattern.length - 1)) {
    throw invalidText(where, name, 'a text with one * at its beginning or end', pattern)
  }
  if (star === 0) return (text) => text.endsWith(pattern.slice(1))
  return (text) => text.startsWith(pattern.slice(0, -1))
}

/**
 * The same for a rule that denies, which must not be missed by the way a text is written: spaces around it do not count, and
 * numbers are compared as numbers.
 */
export function compileDenyPatterns(where: string, name: string, given: unknown): TextTest {
  const test = compilePatterns(where, name, given)
  const numbers = [given].flat().map(numberIn)
  return (text) => {
    if (test(text) || test(text.trim())) return true
    const number = numberIn(text)
    return number !== undefined && numbers.includes(number)
  }
}

function numberIn(text: unknown): number | undefined {
  if (typeof text !== 'string' || text.trim() === '') return undefined
  const number = Number(text)
  return Number.isNaN(number) ? undefined : number
}

type Claims = Readonly<Record<string, unknown>> | undefined

/** Whether one of the claim's texts matches. Numbers and booleans count as they are written, anything else not at all. */
export function claimMatches(claims: Claims, name: string, test: TextTest): boolean {
  return claimTexts(claims, name).some(test)
}

/** For a rule that denies: a claim in a shape that has no texts matches, since what it means is not known. */
export function claimDenies(claims: Claims, name: string, test: TextTest): boolean {
  const value = claimOf(claims, name)
  return isOdd(value) || textsOf(value).some(test)
}

/** Whether the claims `scope` and `scp`, texts of words or lists of them, hold a match for each of these. */
export function scopesMatch(claims: Claims, wanted: readonly TextTest[]): boolean {
  const held = SCOPE_CLAIMS.flatMap((name) => claimTexts(claims, name)).flatMap((text) => text.split(' '))
  return hold(held, wanted)
}

/** For a rule that denies: any white space and commas separate words too, and an odd shape matches. */
export function scopesDeny(claims: Claims, wanted: readonly TextTest[]): boolean {
  const values = SCOPE_CLAIMS.map((name) => claimOf(claims, name))
  return (
    values.some(isOdd) ||
    hold(
      values.flatMap(textsOf).flatMap((text) => text.split(/[\s,]+/)),
      wanted,
    )
  )
}

const SCOPE_CLAIMS = ['scope', 'scp']

function hold(held: readonly string[], wanted: readonly TextTest[]): boolean {
  const words = held.filter((word) => word !== '')
  return wanted.every((test) => words.some(test))
}

function claimTexts(claims: Claims, name: string): readonly string[] {
  return claims !== undefined && Object.hasOwn(claims, name) ? textsOf(claims[name]) : []
}

/** The claim, also one that the object has from its class. What every object has is no claim. */
function claimOf(claims: Claims, name: string): unknown {
  if (claims === undefined || (!Object.hasOwn(claims, name) && name in Object.prototype)) return undefined
  return claims[name]
}

function textsOf(value: unknown): string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.filter((item) => TEXTUAL.includes(typeof item)).map(String)
}

/** Neither nothing, a text, a number or a boolean, nor a list of those. */
function isOdd(value: unknown): boolean {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  return list.some((item) => item !== null && item !== undefined && !TEXTUAL.includes(typeof item))
}

const TEXTUAL = ['string', 'number', 'boolean', 'bigint']

/**
 * A test of all values of a metadata key. HTTP joins several values with commas on the way, so an ambiguous call is denied:
 * for a rule that allows, every value and every part of it must match, or the rule names the value, comma included; for
 * one that denies, any is enough.
 */
export function compileMetadataTest(
  where: string,
  name: string,
  given: unknown,
  denies: boolean,
): (values: readonly (string | Buffer)[]) => boolean {
  const test = compilePatterns(where, name, given)
  const exact: readonly unknown[] = [given].flat()
  const partsOf = (value: string): string[] => value.split(',').map((part) => part.trim())
  const matches = denies
    ? (value: string) => test(value) || partsOf(value).some(test)
    : (value: string) => exact.includes(value) || partsOf(value).every(test)
  return (values) => {
    const texts = values.map((value) => (typeof value === 'string' ? value : value.toString('base64')))
    return denies ? texts.some(matches) : texts.length > 0 && texts.every(matches)
  }
}

// gRFC A43: what the transport sets or removes says nothing about the caller.
const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'host']

/** @throws TypeError if a rule may not look at this metadata key. */
export function checkMetadataKey(where: string, name: string, key: string): void {
  const forbidden = /^(grpc-|proxy-|:)/.test(key) || HOP_BY_HOP.includes(key)
  if (forbidden || !/^[0-9a-z_.-]+$/.test(key)) {
    throw invalidText(where, name, 'keyed by lower-case metadata keys, none of the transport or of gRPC itself', key)
  }
}
