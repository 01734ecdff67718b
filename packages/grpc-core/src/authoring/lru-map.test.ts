import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LruMap } from './lru-map.ts'

describe('LruMap', () => {
  it('forgets what was unused for longest', () => {
    const map = new LruMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.get('a'), map.get('b'), map.get('c'), map.size]).toEqual([1, undefined, 3, 2])
    map.delete('a')
    expect([map.get('a'), map.size]).toEqual([undefined, 1])
  })

  it('keeps nothing with room for none', () => {
    const map = new LruMap<string, number>(0)
    map.set('a', 1)
    expect([map.get('a'), map.size]).toEqual([undefined, 0])
  })

  it('behaves as a list with the latest used at its end', () => {
    const step = fc.record({ key: fc.integer({ min: 0, max: 5 }), action: fc.constantFrom('get', 'set', 'delete') })
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 4 }), (steps, max) => {
        const map = new LruMap<number, number>(max)
        let model: [number, number][] = []
        steps.forEach(({ key, action }, i) => {
          const known = model.find(([k]) => k === key)
          if (action === 'get') expect(map.get(key)).toBe(known?.[1])
          if (action === 'set') map.set(key, i)
          if (action === 'delete') map.delete(key)
          const others = model.filter(([k]) => k !== key)
          if (action === 'set') model = [...others, [key, i] as [number, number]].slice(-max)
          else if (action === 'delete') model = others
          else if (known !== undefined) model = [...others, known]
          expect(map.size).toBe(model.length)
        })
      }),
    )
  })
})
