import { describe, expect, it } from 'vitest'
import { excerpt } from './payload.ts'
import { Redaction } from './redaction.ts'

const redacted = (message: unknown, ...paths: string[]): unknown => {
  const { content } = excerpt(message, 10_000, new Redaction(paths, 'redact').start())
  return JSON.parse(JSON.stringify(content))
}

describe('redaction by path', () => {
  const order = {
    id: 'o-1',
    card: { number: '4111', holder: { name: 'x', number: '2' } },
    lines: [
      { sku: 'a', note: { number: 1 } },
      { sku: 'b', note: { number: 2 } },
    ],
  }
  const R = '[redacted]'

  it.each([
    [['id'], { ...order, id: R }],
    [['card.number'], { ...order, card: { ...order.card, number: R } }],
    [['card'], { ...order, card: R }],
    [
      ['lines.sku'],
      {
        ...order,
        lines: [
          { ...order.lines[0], sku: R },
          { ...order.lines[1], sku: R },
        ],
      },
    ],
    [
      ['lines[*].sku'],
      {
        ...order,
        lines: [
          { ...order.lines[0], sku: R },
          { ...order.lines[1], sku: R },
        ],
      },
    ],
    [['*.number'], { ...order, card: { ...order.card, number: R } }],
    [
      ['**.number'],
      {
        id: 'o-1',
        card: { number: R, holder: { name: 'x', number: R } },
        lines: [
          { sku: 'a', note: { number: R } },
          { sku: 'b', note: { number: R } },
        ],
      },
    ],
    [['**.id'], { ...order, id: R }],
    [['card.**.number'], { ...order, card: { number: R, holder: { name: 'x', number: R } } }],
    [['number', 'card.id', 'nothing.here'], order],
    [['id', 'card'], { ...order, id: R, card: R }],
  ])('%j', (paths, expected) => {
    expect(redacted(order, ...paths)).toEqual(expected)
  })

  it('goes through maps, sets and nested lists', () => {
    const message = {
      users: new Map([['a', { password: 'p', pin: '1' }]]),
      sets: new Set([{ password: 'q' }]),
      deep: [[{ password: 'r' }]],
    }
    expect(redacted(message, 'users.password', 'users.a.pin', 'sets.password', 'deep.password')).toEqual({
      users: { a: { password: R, pin: R } },
      sets: [{ password: R }],
      deep: [[{ password: R }]],
    })
  })

  it('leaves the message as it was', () => {
    const before = structuredClone(order)
    redacted(order, '**.number')
    expect(order).toEqual(before)
  })

  it.each([[''], ['.a'], ['a..b'], ['a.'], ['a[0]'], ['a.**'], [7 as unknown as string]])('refuses %j', (path) => {
    expect(() => new Redaction([path], 'redact')).toThrow(/redact\[0\]/)
  })
})
