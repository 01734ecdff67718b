import { status as Code } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { clientLevels, defaultLevel, serverLevels } from './level.ts'
import { logging } from './logging.ts'

// go-grpc-middleware v2, interceptors/logging/options.go: DefaultServerCodeToLevel, DefaultClientCodeToLevel.
const table = {
  server: {
    info: ['OK', 'NOT_FOUND', 'CANCELLED', 'ALREADY_EXISTS', 'INVALID_ARGUMENT', 'UNAUTHENTICATED'],
    warn: [
      'DEADLINE_EXCEEDED',
      'PERMISSION_DENIED',
      'RESOURCE_EXHAUSTED',
      'FAILED_PRECONDITION',
      'ABORTED',
      'OUT_OF_RANGE',
      'UNAVAILABLE',
    ],
    error: ['UNKNOWN', 'UNIMPLEMENTED', 'INTERNAL', 'DATA_LOSS'],
  },
  client: {
    debug: [
      'OK',
      'CANCELLED',
      'INVALID_ARGUMENT',
      'NOT_FOUND',
      'ALREADY_EXISTS',
      'RESOURCE_EXHAUSTED',
      'FAILED_PRECONDITION',
      'ABORTED',
      'OUT_OF_RANGE',
    ],
    info: ['UNKNOWN', 'DEADLINE_EXCEEDED', 'PERMISSION_DENIED', 'UNAUTHENTICATED'],
    warn: ['UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS'],
  },
} as const

describe('default levels', () => {
  it.each(['server', 'client'] as const)('of the %s are those of go-grpc-middleware, for every code', (side) => {
    const expected = Object.entries<readonly string[]>(table[side]).flatMap(([level, names]) =>
      names.map((name) => [name, level]),
    )
    expect(expected).toHaveLength(17)
    expect(Object.entries(side === 'server' ? serverLevels : clientLevels).sort()).toEqual(expected.sort())
    for (const [name, level] of expected) expect(defaultLevel(side, Code[name as keyof typeof Code])).toBe(level)
  })

  it('cover a code that gRPC does not know', () => {
    expect(defaultLevel('server', 99 as Code)).toBe('error')
    expect(defaultLevel('client', 99 as Code)).toBe('info')
  })
})

describe('option "levels"', () => {
  it.each([
    [{ NOTFOUND: 'info' }, 'option "levels": unknown option "NOTFOUND"; did you mean "NOT_FOUND"?'],
    [
      { NOT_FOUND: 'loud' },
      'option "levels.NOT_FOUND" must be "debug", "info", "warn", "error" or "silent", got "loud"',
    ],
    [7, 'option "levels" must be a table or a function'],
  ])('knows codes and levels: %j', (levels, text) => {
    expect(() => logging({ levels: levels as never })).toThrow(text)
  })
})
