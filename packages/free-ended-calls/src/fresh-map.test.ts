import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { FreshMap } from './fresh-map.ts'
import { FreshSet } from './fresh-set.ts'

const change = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key: fc.nat(20), value: fc.nat() }),
  fc.record({ kind: fc.constant('delete' as const), key: fc.nat(20), value: fc.nat() }),
  fc.record({ kind: fc.constant('clear' as const), key: fc.nat(0), value: fc.nat(0) }),
)
type Change = { kind: 'set' | 'delete' | 'clear'; key: number; value: number }

function apply(map: Map<number, number>, { kind, key, value }: Change): unknown {
  if (kind === 'set') return map.set(key, value) === map
  if (kind === 'delete') return map.delete(key)
  return map.clear()
}

/** Deletes much, so that the table is renewed in between. */
function churn(map: Map<number, number>): void {
  for (let key = 1000; key < 1100; key++) map.set(key, key)
  for (let key = 1000; key < 1100; key++) map.delete(key)
}

describe('a map that is renewed', () => {
  it('does what a Map does', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        const plain = new Map<number, number>()
        const fresh = new FreshMap<number, number>()
        changes.forEach((one, index) => {
          expect(apply(fresh, one)).toEqual(apply(plain, one))
          if (index % 7 === 0) churn(fresh)
        })
        expect([...fresh]).toEqual([...plain])
        expect([...fresh.keys()]).toEqual([...plain.keys()])
        expect([...fresh.values()]).toEqual([...plain.values()])
        expect(fresh.size).toBe(plain.size)
        for (let key = 0; key <= 20; key++) {
          expect(fresh.get(key)).toBe(plain.get(key))
          expect(fresh.has(key)).toBe(plain.has(key))
        }
      }),
    )
  })

  it.each([
    ['forEach', (map: Map<number, number>, visit: (key: number) => void) => map.forEach((_, key) => void visit(key))],
    [
      'for of',
      (map: Map<number, number>, visit: (key: number) => void) => {
        for (const [key] of map) visit(key)
      },
    ],
  ])('is visited as a Map is when entries come and go meanwhile, by %s', (_, walk) => {
    const visits = (map: Map<number, number>): number[] => {
      for (let key = 0; key < 200; key++) map.set(key, key)
      const seen: number[] = []
      walk(map, (key) => {
        seen.push(key)
        if (key === 50) for (let gone = 51; gone < 190; gone++) map.delete(gone)
        if (key === 195) map.set(500, 500)
      })
      return seen
    }
    expect(visits(new FreshMap())).toEqual(visits(new Map()))
  })

  it('goes on being renewed after a visitor has thrown or left', () => {
    const map = new FreshMap<number, number>([[1, 1]])
    expect(() =>
      map.forEach(() => {
        throw new Error('stop')
      }),
    ).toThrow('stop')
    for (const _ of map) break
    expect(moved(() => churn(map))).toBeGreaterThan(0)
  })

  it.each([0, 10, 1_000, 20_000])('moves at most one entry per deletion with %i entries standing', (standing) => {
    const map = new FreshMap<number, number>()
    for (let key = 0; key < standing; key++) map.set(key, key)
    const deletions = 100_000
    const entries = moved(() => {
      for (let i = 0; i < deletions; i++) {
        map.set(standing + i, i)
        map.delete(standing + i)
      }
    })
    expect(entries).toBeLessThanOrEqual(deletions)
    expect(entries).toBeGreaterThan(standing === 0 ? -1 : 0)
  })
})

/** How many entries were given to new tables meanwhile. */
function moved(work: () => void): number {
  let entries = 0
  const Original = Map
  vi.stubGlobal(
    'Map',
    class extends Original<unknown, unknown> {
      constructor(given?: Iterable<readonly [unknown, unknown]>) {
        super(given)
        entries += this.size
      }
    },
  )
  try {
    work()
  } finally {
    vi.unstubAllGlobals()
  }
  return entries
}

describe('a set that is renewed', () => {
  it('does what a Set does', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(50)), { maxLength: 300 }), (changes) => {
        const plain = new Set<number>([1, 2])
        const fresh = new FreshSet<number>([1, 2])
        for (const [add, member] of changes) {
          if (add) expect(fresh.add(member)).toBe(fresh)
          else expect(fresh.delete(member)).toBe(plain.delete(member))
          if (add) plain.add(member)
          expect(fresh.has(member)).toBe(plain.has(member))
          expect(fresh.size).toBe(plain.size)
        }
        expect([...fresh]).toEqual([...plain])
        expect([...fresh.entries()]).toEqual([...plain.entries()])
        const seen: number[] = []
        fresh.forEach((member) => void seen.push(member))
        expect(seen).toEqual([...plain])
        fresh.clear()
        expect(fresh.size).toBe(0)
      }),
    )
  })
})
