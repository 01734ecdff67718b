import { expect, it } from 'vitest'
import { randomUuid } from './random-uuid.ts'

// More than the pool of random bytes holds at once.
const ids = Array.from({ length: 2000 }, randomUuid)

it('is a UUID of version 4', () => {
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
})

it('is another one each time', () => {
  expect(new Set(ids).size).toBe(ids.length)
})

it('has every digit in every place that is not fixed', () => {
  for (let place = 0; place < 36; place++) {
    const digits = new Set(ids.map((id) => id[place]))
    const expected = place === 19 ? 4 : [8, 13, 14, 18, 23].includes(place) ? 1 : 16
    expect({ place, digits: digits.size }).toEqual({ place, digits: expected })
  }
})
