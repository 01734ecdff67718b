import type { Call } from '@grpc-stack/grpc-core'
import { property, string, tuple, uniqueArray } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { unlimited } from './keys.ts'
import { resolveKey } from './resolve-key.ts'

// Of a call only peer() is looked at.
const call = { peer: () => '10.0.0.7:53110' } as unknown as Call
const resolve = (key: unknown) => resolveKey('limit', () => key as string, call)

describe('resolveKey', () => {
  it('keeps keys apart and bounded, whatever callers put into them', () => {
    const anything = string({ unit: 'binary', maxLength: 400 })
    holds(
      property(uniqueArray(anything, { minLength: 2 }), (keys) => {
        const resolved = keys.map(resolve)
        expect(new Set(resolved).size).toBe(keys.length)
        for (const key of resolved) expect(key?.length).toBeLessThanOrEqual(128)
        expect(keys.map(resolve)).toEqual(resolved)
      }),
    )
    holds(
      property(tuple(anything, anything), ([a, b]) => {
        const long = 'x'.repeat(200)
        expect(resolve(long + a) === resolve(long + b)).toBe(a === b)
      }),
    )
  })

  it('counts a call without a key against its peer, and an exempt one against nothing', () => {
    expect(resolve(undefined)).toBe('\0peer=10.0.0.7')
    expect(resolve('')).toBe('\0peer=10.0.0.7')
    expect(resolve(unlimited)).toBeUndefined()
  })

  it.each([[undefined], ['']])('takes all addresses of an IPv6 /64 for one caller where the key is %j', (key) => {
    const from = (peer: string) => resolveKey('limit', () => key, { peer: () => peer } as unknown as Call)
    expect(from('2001:db8::1:53110')).toBe('\0peer=2001:db8:0:0:0:0:0:0/64')
    expect(from('2001:db8::2:53110')).toBe(from('2001:db8::1:53110'))
    expect(from('2001:db8:0:1::1:53110')).not.toBe(from('2001:db8::1:53110'))
  })

  it.each([null, 0, false, {}, [], Symbol('x'), Promise.resolve('x')])('refuses %s', (key) => {
    expect(() => resolve(key)).toThrow('limit: the key must be a string')
  })
})
