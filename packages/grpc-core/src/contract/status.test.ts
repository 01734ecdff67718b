import { status as Code, Metadata } from '@grpc/grpc-js'
import { describe, expect, it } from 'vitest'
import { show } from '../runtime/show.ts'
import { isCode, isMetadata, meantStatus, statusProblem } from './given-status.ts'
import { LocalStatus, RemoteStatus, UnattemptedStatus } from './status.ts'

describe('a status', () => {
  it('of grpc-js has exactly three own properties, cancelled early or not', () => {
    for (const status of [
      new RemoteStatus(Code.ABORTED, 'x', new Metadata()),
      new UnattemptedStatus(Code.CANCELLED, 'x', new Metadata()),
    ]) {
      expect(Reflect.ownKeys(status)).toEqual(['code', 'details', 'metadata'])
    }
    expect(new UnattemptedStatus(Code.CANCELLED, 'x', new Metadata()).origin).toBe('local')
  })

  it('made here has no member without a value', () => {
    expect(Reflect.ownKeys(new LocalStatus({ code: Code.ABORTED }))).toEqual(['code', 'details', 'metadata', 'origin'])
    expect(new LocalStatus({ code: Code.ABORTED, refusedBy: 'inner' }, 'outer').refusedBy).toBe('inner')
  })

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
    [{}, 'code is undefined'],
    [{ code: 99 }, 'code is 99'],
    [{ code: '5' }, 'code is "5"'],
    [{ code: 5, details: 7 }, 'details are 7'],
    [{ code: 5, metadata: {} }, 'metadata is an object'],
  ])('that is none is told apart: %j', (value, problem) => {
    expect(statusProblem(value)).toContain(problem)
  })

  it.each([
    [{ code: 0 }],
    [{ code: 16, details: 'x' }],
    [{ code: 5, metadata: new Metadata() }],
    [{ code: 5, metadata: null }],
  ])('that is good passes: %#', (value) => {
    expect(statusProblem(value)).toBeUndefined()
  })

  it('tells codes, metadata and errors by what they are', () => {
    expect([0, 16].every(isCode)).toBe(true)
    expect([-1, 17, 0.5, Number.NaN, '1', null].some(isCode)).toBe(false)
    // A second copy of grpc-js has a class of its own.
    const theirs = Object.fromEntries(
      Object.getOwnPropertyNames(Metadata.prototype).map((name) => [name, () => undefined]),
    )
    expect(isMetadata(theirs)).toBe(true)
    expect([null, {}, 'x', new Map(), { getMap() {}, toHttp2Headers() {} }].some(isMetadata)).toBe(false)
    expect(meantStatus(Object.assign(new Error(), { code: 5, details: '' }))).toMatchObject({ code: 5, details: '' })
    expect(meantStatus({ code: 5, message: '' })).toBeUndefined()
  })

  it('values are shown short', () => {
    expect(show('a'.repeat(100))).toBe(`"${'a'.repeat(40)}…"`)
    expect([undefined, null, 7, [], {}, Object.create(null), () => 1, function named() {}, 10n].map(show)).toEqual([
      'undefined',
      'null',
      '7',
      'an array',
      'an object (Object)',
      'an object (no prototype)',
      'function (anonymous)',
      'function named',
      '10',
    ])
  })
})
