import { array, integer, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { holds } from '../../test/holds.ts'
import { type Place, WaitingLine } from './waiting-line.ts'

describe('WaitingLine', () => {
  it('is first in, first out, also where calls leave from the middle', () => {
    holds(
      property(array(integer({ min: -5, max: 10 })), (moves) => {
        const line = new WaitingLine<number>()
        const model: Place<number>[] = []
        for (const [n, move] of moves.entries()) {
          if (move < 0) model.push(line.join(n))
          else {
            const [place] = model.splice(move, 1)
            if (place) expect([line.leave(place), line.leave(place)]).toEqual([true, false])
          }
          expect(line.length).toBe(model.length)
          expect(line.first).toBe(model[0])
        }
        for (const place of [...model]) {
          expect(line.first).toBe(place)
          line.leave(place)
        }
        expect(line.first).toBeUndefined()
      }),
    )
  })
})
