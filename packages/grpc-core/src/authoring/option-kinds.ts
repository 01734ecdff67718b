import { compileMatcher, type Matcher } from '../compose/match.ts'
import type { MethodPredicate } from '../compose/namings.ts'
import { OptionKind } from './option-kind.ts'

/** The range of a number. Without `infinite`, a number is finite. NaN is never one. */
export interface NumberRange {
  readonly min?: number
  /** The number is greater than this. */
  readonly above?: number
  readonly max?: number
  /** The number is less than this. */
  readonly below?: number
  /** Whether `Infinity`, no bound, is allowed. */
  readonly infinite?: boolean
}

export function number(range: NumberRange = {}): OptionKind<number> {
  return ranged('a number', range, () => true)
}

export function integer(range: NumberRange = {}): OptionKind<number> {
  return ranged('an integer', range, (n) => Number.isInteger(n) || (range.infinite === true && n === Infinity))
}

/** Durations. */
export function milliseconds(range: NumberRange = { min: 0 }): OptionKind<number> {
  return ranged('a number of milliseconds', range, () => true)
}

/** A size. */
export function bytes(range: NumberRange = { min: 0 }): OptionKind<number> {
  return ranged('a number of bytes', range, () => true)
}

export function flag(): OptionKind<boolean> {
  return new OptionKind(
    ['true', 'false'],
    (value) => typeof value === 'boolean',
    (value: boolean) => value,
  )
}

/** A string that is not empty. */
export function text(): OptionKind<string> {
  return new OptionKind(
    ['a non-empty string'],
    (value) => typeof value === 'string',
    (value: string, _place, refuse) => {
      if (value === '') throw refuse(value)
      return value
    },
  )
}

export function oneOf<const Choice extends string>(...choices: readonly Choice[]): OptionKind<Choice> {
  return new OptionKind(
    choices.map((choice) => `"${choice}"`),
    (value) => choices.some((choice) => choice === value),
    (value: Choice) => value,
  )
}

/** A function. What it returns cannot be checked when it is given; `contain` runs it. */
// biome-ignore lint/suspicious/noExplicitAny: any function type is one; with unknown, none with parameters would be
export function func<F extends (...args: any) => unknown>(): OptionKind<F> {
  return new OptionKind(
    ['a function'],
    (value) => typeof value === 'function',
    (value: F) => value,
  )
}

/** An object of another library or the application that has these methods, such as a clock, a logger or a store. */
export function objectWith<T extends object>(...methods: readonly (keyof T & string)[]): OptionKind<T> {
  return accepts(`an object with ${inWords(methods)}`, (value): value is T => hasMethods(value, methods))
}

/** Methods of services, as everything in `Matcher` says them. Read as a predicate. */
export function matcher(): OptionKind<MethodPredicate> {
  return new OptionKind(
    ['a matcher of methods'],
    (value) => value !== undefined,
    (value, { where, path }) => compileMatcher(value as Matcher, `${where}: option "${path}"`),
  )
}

/** A list whose items are of one kind. */
export function listOf<T>(item: OptionKind<T>, { min = 0, expected }: ListShape = {}): OptionKind<readonly T[]> {
  return new OptionKind(
    [expected ?? `a list of ${item.expected}`],
    (value) => Array.isArray(value) && value.length >= min,
    (value: readonly unknown[], place) =>
      value.map((each, i) => item.read(each, { ...place, path: `${place.path}[${i}]` })),
  )
}

export interface ListShape {
  /** How many items there are at least. Default: 0. */
  readonly min?: number
  /** What errors call the list. */
  readonly expected?: string
}

/** A value that is read elsewhere, by what knows its shape. */
export function anything(): OptionKind<unknown> {
  return accepts('given', (_value): _value is unknown => true)
}

/** Whatever passes a check of your own. */
export function accepts<T>(expected: string, check: (value: unknown) => value is T): OptionKind<T> {
  return new OptionKind([expected], check, (value: T) => value)
}

function ranged(what: string, range: NumberRange, whole: (n: number) => boolean): OptionKind<number> {
  const { min = -Infinity, above, max = Infinity, below, infinite = false } = range
  return new OptionKind(
    [what + rangeInWords(range)],
    (value) => typeof value === 'number',
    (n: number, _place, refuse) => {
      const bounded = infinite ? !Number.isNaN(n) : Number.isFinite(n)
      if (
        !bounded ||
        n < min ||
        n > max ||
        (above !== undefined && n <= above) ||
        (below !== undefined && n >= below) ||
        !whole(n)
      )
        throw refuse(n)
      return n
    },
  )
}

function rangeInWords({ min, above, max, below }: NumberRange): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`
  const bounds = [
    min !== undefined && `≥ ${min}`,
    above !== undefined && `> ${above}`,
    max !== undefined && `≤ ${max}`,
    below !== undefined && `< ${below}`,
  ]
  const said = bounds.filter((bound) => bound !== false)
  return said.length === 0 ? '' : ` ${said.join(' and ')}`
}

function hasMethods(value: unknown, methods: readonly string[]): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  return methods.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
}

function inWords(methods: readonly string[]): string {
  const named = methods.length === 1 ? methods.map((name) => `${name}()`) : methods
  return named.length < 2 ? named.join('') : `${named.slice(0, -1).join(', ')} and ${named.at(-1)}`
}
