import { invalidOption, OptionKind, type OptionPlace, quoted } from '@grpc-stack/grpc-core/authoring'

/** A test of one text. */
export type TextTest = (text: string) => boolean

/** What a text that is compared must be. */
interface PatternForm {
  /** Whether `''` may be meant, as the value of a claim may be empty and a subject may not. Default: false. */
  readonly empty?: boolean
  /** Whether it is one word, so that white space in it could never match. Default: false. */
  readonly word?: boolean
}

const TEXTS = 'a text or a list of texts'

/** Patterns of which one must match. */
export function patterns(form: PatternForm = {}): OptionKind<TextTest> {
  return givenPatterns((given, place) => anyOf(given.map((pattern) => compilePattern(pattern, place, form))))
}

/** A pattern, and how it is written. */
export interface ListedPattern {
  readonly text: string
  readonly matches: TextTest
}

/** Patterns of which one must match, each by itself, so that one that names nothing can be told of. */
export function listedPatterns(): OptionKind<readonly ListedPattern[]> {
  return givenPatterns((given, place) =>
    given.map((pattern) => ({ matches: compilePattern(pattern, place, {}), text: pattern as string })),
  )
}

/** Patterns as they are written, for a compiler of its own. */
function givenPatterns<T>(compile: (given: readonly unknown[], place: OptionPlace) => T): OptionKind<T> {
  return new OptionKind(
    [TEXTS],
    (value) => typeof value === 'string' || (Array.isArray(value) && value.length > 0),
    (value: string | readonly unknown[], place) => compile([value].flat(), place),
  )
}

function anyOf(tests: readonly TextTest[]): TextTest {
  return (text) => tests.some((test) => test(text))
}

/** Whether its only `*`, if it has one, stands at its beginning or end. */
export function isPattern(text: string): boolean {
  const star = text.indexOf('*')
  return star < 0 || (star === text.lastIndexOf('*') && (star === 0 || star === text.length - 1))
}

/**
 * A pattern as in gRFC A43: `*` is any text but the empty one, `abc*` a prefix, `*abc` a suffix, anything else the text itself.
 * @throws TypeError naming the option.
 */
function compilePattern(pattern: unknown, { where, path }: OptionPlace, form: PatternForm): TextTest {
  const refuse = (expected: string) => invalidOption(where, path, expected, pattern, quoted)
  if (typeof pattern !== 'string') throw refuse(TEXTS)
  if (pattern === '' && form.empty !== true) throw refuse('a text that is not empty, or a list of them')
  if (form.word === true && /\s/.test(pattern)) throw refuse('a word, or a list of words')
  if (!isPattern(pattern)) throw refuse('a text with one * at its beginning or end')
  const star = pattern.indexOf('*')
  if (star < 0) return (text) => text === pattern
  if (pattern === '*') return (text) => text !== ''
  if (star === 0) return (text) => text.endsWith(pattern.slice(1))
  return (text) => text.startsWith(pattern.slice(0, -1))
}

/**
 * The same for a rule that denies, which must not be missed by the way a text is written: spaces around it do not count, and
 * numbers are compared as numbers.
 */
function compileDenyPattern(pattern: unknown, place: OptionPlace, form: PatternForm): TextTest {
  const test = compilePattern(pattern, place, form)
  const number = numberIn(pattern)
  return (text) => test(text) || test(text.trim()) || (number !== undefined && numberIn(text) === number)
}

/** Patterns of claims, of which one must match. */
export function claimPatterns(denies: boolean): OptionKind<TextTest> {
  const compile = denies ? compileDenyPattern : compilePattern
  return givenPatterns((given, place) => anyOf(given.map((pattern) => compile(pattern, place, { empty: true }))))
}

/** Patterns of scopes, all of which must match. */
export function scopePatterns(denies: boolean): OptionKind<readonly TextTest[]> {
  const compile = denies ? compileDenyPattern : compilePattern
  return givenPatterns((given, place) => given.map((pattern) => compile(pattern, place, { word: true })))
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
export function metadataPatterns(denies: boolean): OptionKind<MetadataTest> {
  const partsOf = (value: string): string[] => value.split(',').map((part) => part.trim())
  return givenPatterns((given, place) => {
    const test = anyOf(given.map((pattern) => compilePattern(pattern, place, { empty: true })))
    const matches = denies
      ? (value: string) => test(value) || partsOf(value).some(test)
      : (value: string) => given.includes(value) || partsOf(value).every(test)
    return (values) => {
      const texts = values.map((value) => (typeof value === 'string' ? value : value.toString('base64')))
      if (!denies) return texts.length > 0 && texts.every(matches)
      // gRFC A43 compares them as one text.
      return texts.some(matches) || (texts.length > 1 && test(texts.join(',')))
    }
  })
}

export type MetadataTest = (values: readonly (string | Buffer)[]) => boolean

// gRFC A43: what the transport sets or removes says nothing about the caller.
const HOP_BY_HOP = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'host']

// grpc-js (server-interceptors.ts, 1.14) takes them out of the metadata, so that a deny rule about them would deny nothing.
const TAKEN_OUT = ['accept-encoding', 'content-type']

/** @throws TypeError if a rule may not look at this metadata key. */
export function checkMetadataKey(key: string, { where, path }: OptionPlace): void {
  if (isMetadataKey(key)) return
  const expected = 'keyed by lower-case metadata keys, none of the transport or of gRPC itself'
  throw invalidOption(where, path, expected, key, quoted)
}

/** Whether it is the lower-case name of metadata that callers set. */
export function isMetadataKey(key: string): boolean {
  return /^[0-9a-z_.-]+$/.test(key) && !/^(grpc-|proxy-)/.test(key) && ![...HOP_BY_HOP, ...TAKEN_OUT].includes(key)
}
