import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { excerpt } from './payload.ts'
import { Redaction } from './redaction.ts'

const show = (message: unknown, maxBytes = 1024) => {
  const { content, truncated } = excerpt(message, maxBytes, [])
  return { content: content === undefined ? undefined : JSON.parse(JSON.stringify(content)), truncated }
}

describe('excerpt', () => {
  it.each([
    [
      { name: 'x', n: 1, yes: true, nothing: null },
      { name: 'x', n: 1, yes: true, nothing: null },
    ],
    [{ list: [1, 'two', { three: 3 }] }, { list: [1, 'two', { three: 3 }] }],
    [{ id: 12345678901234567890n }, { id: '12345678901234567890' }],
    [{ bytes: Buffer.from([1, 2, 3]) }, { bytes: 'AQID' }],
    [{ bytes: new Uint8Array([1, 2, 3]).subarray(1) }, { bytes: 'AgM=' }],
    [{ at: new Date(0) }, { at: '1970-01-01T00:00:00.000Z' }],
    [{ ratio: Number.NaN, none: undefined, run: () => 1 }, { ratio: 'NaN' }],
    [{ id: { low: 1, high: 0, unsigned: true, toString: () => '4294967296' } }, { id: '4294967296' }],
    [
      { range: { low: 'cold', high: 3, unsigned: true, note: 'x' }, bits: { low: 1, high: 0, unsigned: false } },
      { range: { low: 'cold', high: 3, unsigned: true, note: 'x' }, bits: { low: 1, high: 0, unsigned: false } },
    ],
    [
      { $typeName: 'shop.Item', $type: 'shop.Item', $unknown: [], $price: 7, name: 'x' },
      { $price: 7, name: 'x' },
    ],
    [
      { tags: new Map([['a', 1]]), set: new Set([1]) },
      { tags: { a: 1 }, set: [1] },
    ],
    [{ array: [1], wrappers_: {}, toObject: () => ({ name: 'x' }) }, { name: 'x' }],
    ['text\nforged', 'text\\u000aforged'],
    [undefined, undefined],
  ])('%#', (message, content) => {
    expect(show(message)).toEqual({ content, truncated: false })
  })

  it('says when it cut something, and where', () => {
    expect(show({ text: 'x'.repeat(100), n: 1 }, 30)).toEqual({
      content: { text: `${'x'.repeat(16)}…` },
      truncated: true,
    })
    expect(show([1, 2, 3, 4, 5, 6], 9)).toEqual({ content: [1, 2, 3, 4], truncated: true })
  })

  it('survives what refers to itself, and what is very deep', () => {
    const loop: Record<string, unknown> = { name: 'loop' }
    loop.self = loop
    expect(show(loop)).toEqual({ content: { name: 'loop', self: '[circular]' }, truncated: false })
    let deep: unknown = 'end'
    for (let i = 0; i < 10_000; i++) deep = [deep]
    expect(show(deep).truncated).toBe(true)
    const twice = { same: 1 }
    expect(show([twice, twice]).content).toEqual([{ same: 1 }, { same: 1 }])
  })

  it('marks where it was too deep', () => {
    let deep: unknown = 'end'
    for (let i = 0; i < 100; i++) deep = { a: deep }
    expect(JSON.stringify(show(deep).content)).toMatch(/^(\{"a":){32}"\[truncated\]"\}+$/)
  })

  it('looks at a bounded number of members, and marks where it stopped', () => {
    let looks = 0
    const message: Record<string, unknown> = {}
    for (let i = 0; i < 100_000; i++) {
      Object.defineProperty(message, `none${i}`, { enumerable: true, get: () => void looks++ })
    }
    expect(show({ message })).toEqual({ content: { message: { '…': '[truncated]' } }, truncated: true })
    expect(looks).toBeLessThan(3000)
  })

  it('reads no more of a huge message than it shows', () => {
    let read = 0
    const item = Object.defineProperty({}, 'value', {
      enumerable: true,
      get: () => {
        read++
        return 'x'.repeat(50)
      },
    })
    show({ items: Array.from({ length: 100_000 }, () => item) })
    expect(read).toBeLessThan(50)
  })

  it('a member called __proto__ is a member', () => {
    const { content } = excerpt(JSON.parse('{"__proto__":{"polluted":true}}'), 100, [])
    expect(JSON.stringify(content)).toBe('{"__proto__":{"polluted":true}}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withNullPrototype: true,
  })

  it('never exceeds its limit, whatever the message', () => {
    fc.assert(
      fc.property(anything, fc.integer({ min: 1, max: 300 }), (message, maxBytes) => {
        const { content } = excerpt(message, maxBytes, new Redaction(['**.a'], 'redact').start())
        expect(Buffer.byteLength(JSON.stringify(content) ?? '')).toBeLessThanOrEqual(maxBytes)
      }),
      { numRuns: 500 },
    )
  })

  it('never changes the message', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (message) => {
        const before = JSON.stringify(message)
        const { content, truncated } = excerpt(message, 1_000_000, [])
        expect(JSON.stringify(message)).toBe(before)
        expect(truncated).toBe(false)
        expect(content).not.toBe(typeof message === 'object' && message !== null ? message : Symbol())
      }),
    )
  })
})
