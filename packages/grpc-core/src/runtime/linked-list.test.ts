import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Linked, LinkedList } from './linked-list.ts'

class Item implements Linked<Item> {
  before: Item | undefined
  behind: Item | undefined
}

describe('a linked list', () => {
  it('holds what was added and not removed, in the order in which it came', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('add', 'remove', 'shift'), fc.nat(7)), { maxLength: 60 }),
        (steps) => {
          const items = Array.from({ length: 8 }, () => new Item())
          const list = new LinkedList<Item>()
          const model: Item[] = []
          for (const [what, i] of steps) {
            const item = items[i] as Item
            const at = model.indexOf(item)
            if (what === 'shift') expect(list.shift()).toBe(model.shift())
            else if (what === 'remove') {
              expect(list.remove(item)).toBe(at >= 0)
              if (at >= 0) model.splice(at, 1)
            } else if (at < 0) {
              list.add(item)
              model.push(item)
            }
            const seen = list.snapshot()
            expect(seen.length === model.length && seen.every((one, n) => one === model[n])).toBe(true)
            expect(list.isEmpty).toBe(model.length === 0)
          }
        },
      ),
    )
  })

  it('leaves nothing behind on what was removed', () => {
    const list = new LinkedList<Item>()
    const items = [new Item(), new Item(), new Item()]
    for (const item of items) list.add(item)
    for (const item of items) list.remove(item)
    for (const item of items) expect([item.before, item.behind]).toEqual([undefined, undefined])
  })
})
