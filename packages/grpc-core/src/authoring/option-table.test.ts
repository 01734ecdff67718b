import { describe, expect, it } from 'vitest'
import { monotonicClock, monotonicTime, systemMonotonicClock, systemWallClock, wallClock } from './clock.ts'
import { quoted } from './option-error.ts'
import {
  accepts,
  bytes,
  flag,
  func,
  integer,
  listOf,
  matcher,
  milliseconds,
  number,
  objectWith,
  oneOf,
  text,
} from './option-kinds.ts'
import { group, type OptionTable, readOptions, readValue } from './option-table.ts'

interface ExampleOptions {
  readonly verify: () => boolean
  readonly authorize?: () => boolean
  readonly maxAttempts?: number
  readonly timeoutMs?: number
  readonly mode?: 'full' | 'none'
  readonly cache?: boolean | { readonly ttlMs?: number }
}

const table = {
  verify: func<() => boolean>(),
  authorize: func<() => boolean>().optional().refusingUndefined('leave it out to allow everything'),
  maxAttempts: integer({ min: 1 }).default(3),
  timeoutMs: milliseconds({ above: 0 }).optional(),
  mode: oneOf('full', 'none').default('full'),
  cache: flag()
    .or(group({ ttlMs: milliseconds({ min: 0 }).default(10) }))
    .default(true),
} satisfies OptionTable<ExampleOptions>

const verify = () => true
const read = (options: unknown) => readOptions('example', options, table)

describe('options that are right', () => {
  it('come back with the defaults of those left out', () => {
    expect(read({ verify, cache: {} })).toEqual({
      verify,
      authorize: undefined,
      maxAttempts: 3,
      timeoutMs: undefined,
      mode: 'full',
      cache: { ttlMs: 10 },
    })
  })

  it('may be undefined where that is no more open than leaving them out', () => {
    expect(read({ verify, maxAttempts: undefined, timeoutMs: undefined }).maxAttempts).toBe(3)
  })

  it('are typed by their kinds', () => {
    const {
      maxAttempts,
      timeoutMs,
      mode,
    }: { maxAttempts: number; timeoutMs: number | undefined; mode: 'full' | 'none' } = read({ verify, timeoutMs: 5 })
    expect([maxAttempts, timeoutMs, mode]).toEqual([3, 5, 'full'])
  })
})

describe('options that are wrong', () => {
  it.each([
    [undefined, 'example: options must be an object, got undefined'],
    [null, 'example: options must be an object, got null'],
    [[], 'example: options must be an object, got an array'],
    ['s3cret', 'example: options must be an object, got a string'],
    [{}, 'example: option "verify" must be a function, got undefined'],
    [{ verify: undefined }, 'example: option "verify" must be a function, got undefined'],
    [{ verify: 's3cret' }, 'example: option "verify" must be a function, got another string'],
    [{ verify: '' }, 'example: option "verify" must be a function, got an empty string'],
    [{ verify, authorize: undefined }, 'must be a function, got undefined; leave it out to allow everything'],
    [{ verify, authorize: null }, 'option "authorize" must be a function, got null'],
    [{ verify, maxAttempts: 0 }, 'option "maxAttempts" must be an integer ≥ 1, got 0'],
    [{ verify, maxAttempts: 1.5 }, 'option "maxAttempts" must be an integer ≥ 1, got 1.5'],
    [{ verify, maxAttempts: Number.NaN }, 'option "maxAttempts" must be an integer ≥ 1, got NaN'],
    [{ verify, maxAttempts: Number.POSITIVE_INFINITY }, 'option "maxAttempts" must be an integer ≥ 1, got Infinity'],
    [{ verify, maxAttempts: null }, 'option "maxAttempts" must be an integer ≥ 1, got null'],
    [{ verify, timeoutMs: 0 }, 'option "timeoutMs" must be a number of milliseconds > 0, got 0'],
    [{ verify, mode: 'half' }, 'option "mode" must be "full" or "none", got another string'],
    [{ verify, cache: 1 }, 'option "cache" must be true, false or an object, got 1'],
    [{ verify, cache: { ttlMs: -1 } }, 'option "cache.ttlMs" must be a number of milliseconds ≥ 0, got -1'],
    [
      { verify, cache: { ttl: 1 } },
      'example: option "cache": unknown option "ttl"; did you mean "ttlMs"? known are ttlMs',
    ],
  ])('%j', (options, message) => {
    expect(() => read(options)).toThrow(TypeError)
    expect(() => read(options)).toThrow(message)
  })

  it('that the table does not have are refused with the nearest known one', () => {
    expect(() => read({ verify, maxAtempts: 3 })).toThrow('unknown option "maxAtempts"; did you mean "maxAttempts"?')
    expect(() => read({ verify, authorise: verify })).toThrow('did you mean "authorize"?')
    expect(() => read({ verify, colour: 1 })).toThrow('example: unknown option "colour"; known are verify, authorize')
  })

  it('are refused too if they have the name of a member of every object', () => {
    for (const name of ['__proto__', 'constructor', 'toString']) {
      expect(() => read(JSON.parse(`{ "${name}": 1 }`))).toThrow(`unknown option "${name}"`)
    }
  })

  it('tell nothing of a secret, not even of one that is a number', () => {
    const secret = { pin: text().secret() }
    expect(() => readOptions('example', { pin: 4242 }, secret, { show: quoted })).toThrow(
      'option "pin" must be a non-empty string, got a number',
    )
    expect(() => readOptions('example', { pin: '' }, secret)).toThrow('got a string')
  })

  it('may stand outside of an object', () => {
    expect(readValue('example', 'name', 'a', text())).toBe('a')
    expect(() => readValue('example', 'name', 5, text())).toThrow(
      'example: option "name" must be a non-empty string, got 5',
    )
  })

  it('are quoted only on demand, and cut', () => {
    const long = 'x'.repeat(50)
    expect(() => readOptions('example', { mode: long }, { mode: table.mode }, { show: quoted })).toThrow(
      `got "${'x'.repeat(40)}…"`,
    )
  })
})

describe('the kinds of options', () => {
  const one = (kind: Parameters<typeof readOptions>[2][string], value: unknown) =>
    readOptions('example', { it: value }, { it: kind }).it

  it.each([
    [number(), -1.5],
    [number({ min: 0, max: 1 }), 1],
    [number({ min: 0, infinite: true }), Number.POSITIVE_INFINITY],
    [integer({ min: 0, infinite: true }), Number.POSITIVE_INFINITY],
    [bytes(), 0],
    [flag(), false],
    [text(), 'a'],
    [listOf(text()), []],
    [objectWith<{ now(): number }>('now'), performance],
    [oneOf('a', 'b').or(func()), 'b'],
    [accepts('a date', (value): value is Date => value instanceof Date), new Date(0)],
  ])('accept what is in range (%#)', (kind, value) => {
    expect(one(kind, value)).toEqual(value)
  })

  it.each([
    [number({ min: 0, max: 1 }), 1.1, 'a number from 0 to 1, got 1.1'],
    [number({ above: 0, max: 1 }), 0, 'a number > 0 and ≤ 1, got 0'],
    [number(), Number.POSITIVE_INFINITY, 'a number, got Infinity'],
    [number({ min: 0, infinite: true }), Number.NaN, 'a number ≥ 0, got NaN'],
    [number(), '1', 'a number, got another string'],
    [bytes(), -1, 'a number of bytes ≥ 0, got -1'],
    [flag(), 'yes', 'true or false, got another string'],
    [text(), '', 'a non-empty string, got an empty string'],
    [listOf(text(), { min: 1, expected: 'a list of names' }), [], 'a list of names, got an empty list'],
    [
      objectWith<{ now(): number; stop(): void }>('now', 'stop'),
      { now: 1 },
      'an object with now and stop, got an object',
    ],
    [objectWith<{ now(): number }>('now'), null, 'an object with now(), got null'],
    [oneOf('service', 'method').or(func()), 5, '"service", "method" or a function, got 5'],
    [oneOf('a').expecting('the letter'), 5, 'the letter, got 5'],
  ])('refuse what is out of range (%#)', (kind, value, message) => {
    expect(() => one(kind, value)).toThrow(`example: option "it" must be ${message}`)
  })

  it('name the item of a list that is wrong', () => {
    expect(() => one(listOf(text()), ['a', 1])).toThrow('option "it[1]" must be a non-empty string, got 1')
  })

  it('read a matcher as a predicate', () => {
    const { it: matches } = readOptions('example', { it: 'pkg.*' }, { it: matcher() })
    expect(matches({ path: '/pkg.S/M', service: 'pkg.S', name: 'M' } as never)).toBe(true)
    expect(() => one(matcher(), 5)).toThrow('example: option "it"')
  })

  it('take a clock of the time that is meant, or one of a test', () => {
    const ofTest = { now: () => 0, setTimeout: () => 0, clearTimeout: () => undefined }
    expect(one(monotonicClock(), undefined)).toBe(systemMonotonicClock)
    expect(one(wallClock(), undefined)).toBe(systemWallClock)
    for (const kind of [monotonicClock(), wallClock()]) expect(one(kind, ofTest)).toBe(ofTest)
    expect(() => one(monotonicClock(), systemWallClock)).toThrow('an object with now, setTimeout and clearTimeout')
    expect(() => one(wallClock(), systemMonotonicClock)).toThrow('of epoch milliseconds')
    expect(() => one(wallClock(), Date)).toThrow('option "it"')
    expect(one(monotonicTime(), performance)).toBe(performance)
    for (const wall of [Date, systemWallClock])
      expect(() => one(monotonicTime(), wall)).toThrow('with now(), monotonic')
  })
})
