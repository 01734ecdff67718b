import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { excerpt } from './payload.ts'
import { enterEntry, enterMember, Redaction, type RedactionState } from './redaction.ts'

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

  it("goes through google-protobuf's maps and lists, by the names of the fields too", () => {
    const fields = {
      labelsMap: [
        ['password', 'p'],
        ['region', 'eu'],
      ],
      usersMap: [['a', { pin: '1', name: 'x' }]],
      linesList: [{ sku: 's' }],
      tagsList: ['password', 'x'],
    }
    const message = { array: [], toObject: () => fields }
    expect(redacted(message, '**.password', 'users.a.pin', 'lines.sku')).toEqual({
      labelsMap: [
        ['password', R],
        ['region', 'eu'],
      ],
      usersMap: [['a', { pin: R, name: 'x' }]],
      linesList: [{ sku: R }],
      tagsList: ['password', 'x'],
    })
    expect(redacted(message, 'labelsMap.password', 'usersMap.pin')).toMatchObject({
      labelsMap: [
        ['password', R],
        ['region', 'eu'],
      ],
      usersMap: [['a', { pin: R, name: 'x' }]],
    })
  })

  it.each(['low', 'high', 'unsigned', '$price', '$a'])('reaches a member called %s', (name) => {
    const range = { low: 1, high: 2, unsigned: true, $price: 3, $a: { b: 4 }, toString: () => '12' }
    const shown = redacted({ range }, `range.${name}`, 'range.$a.b') as { range: Record<string, unknown> }
    expect(shown.range[name]).toBe(R)
  })

  it.each([
    ['api_key', 'apiKey'],
    ['apiKey', 'api_key'],
    ['api-key', 'apiKey'],
    ['apikey', 'API_KEY'],
    ['line_1_note', 'line1Note'],
    ['**.private_key', 'privateKey'],
  ])('%s stands for %s', (path, name) => {
    expect(redacted({ [name]: 'x' }, path)).toEqual({ [name]: R })
  })

  it('knows a key by all of it, not by what is shown of it', () => {
    const long = `password${'x'.repeat(200)}`
    expect(
      Object.values(
        redacted(
          new Map([
            [long, 'a'],
            ['pass\nword', 'b'],
          ]),
          long,
          'pass\nword',
        ) as object,
      ),
    ).toEqual([R, R])
  })

  const name = fc.constantFrom('a', 'b', 'c')
  const segment = fc.constantFrom('a', 'b', '*', '**')
  const path = fc.tuple(fc.array(segment, { maxLength: 4 }), name).map(([before, last]) => [...before, last].join('.'))
  const paths = fc.array(path, { minLength: 1, maxLength: 4 })

  it('holds no more than the paths have segments, however deep the maps', () => {
    fc.assert(
      fc.property(paths, fc.array(fc.tuple(name, fc.boolean()), { maxLength: 60 }), (given, steps) => {
        const segments = given.join('.').split('.').length
        let state: RedactionState = new Redaction(given, 'redact').start()
        for (const [at, isEntry] of steps) {
          const below = isEntry ? enterEntry(state, at) : enterMember(state, at)
          if (below === 'redacted') break
          state = below
          expect(state.length).toBeLessThanOrEqual(segments)
        }
      }),
    )
  })

  it('visits each entry of nested maps once', () => {
    let visits = 0
    class Counted extends Map<string, unknown> {
      override get(key: string): unknown {
        visits++
        return super.get(key)
      }
    }
    let deep: unknown = 'end'
    for (let i = 0; i < 30; i++) deep = new Counted([['x1', deep]])
    expect(JSON.stringify(redacted(deep, '**.x', '**.x.**.y'))).toContain('end')
    expect(visits).toBe(30)
  })

  /** The meaning of a path, spelled out. */
  const matches = (segments: readonly string[], names: readonly string[]): boolean => {
    const [first, ...rest] = segments
    if (first === undefined) return names.length === 0
    if (first === '**' && matches(rest, names)) return true
    if (names.length === 0) return false
    return (
      (first === '**' ? matches(segments, names.slice(1)) : first === '*' || first === names[0]) &&
      (first === '**' || matches(rest, names.slice(1)))
    )
  }

  it('redacts what some path leads to, and nothing else', () => {
    fc.assert(
      fc.property(paths, fc.array(name, { minLength: 1, maxLength: 6 }), (given, names) => {
        let state: RedactionState | 'redacted' = new Redaction(given, 'redact').start()
        const seen: string[] = []
        for (const at of names) {
          state = enterMember(state, at)
          seen.push(at)
          expect(state === 'redacted').toBe(given.some((one) => matches(one.split('.'), seen)))
          if (state === 'redacted') break
        }
      }),
      { numRuns: 1000 },
    )
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
