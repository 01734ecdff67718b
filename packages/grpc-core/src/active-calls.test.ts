import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ActiveCalls, type ListedCall } from './active-calls.ts'

class Call implements ListedCall<Call> {
  before: Call | undefined
  behind: Call | undefined
}

describe('the calls in progress', () => {
  it('are those added and not removed, in whatever order that happened', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7)), { maxLength: 40 }), (steps) => {
        const calls = Array.from({ length: 8 }, () => new Call())
        const active = new ActiveCalls<Call>()
        const model = new Set<Call>()
        for (const [add, i] of steps) {
          const call = calls[i] as Call
          if (!add) {
            active.remove(call)
            model.delete(call)
          } else if (!model.has(call)) {
            active.add(call)
            model.add(call)
          }
          expect(new Set(active.snapshot())).toEqual(model)
          expect(active.snapshot()).toHaveLength(model.size)
        }
      }),
    )
  })

  it('lead nowhere once removed', () => {
    const active = new ActiveCalls<Call>()
    const calls = [new Call(), new Call(), new Call()]
    for (const call of calls) active.add(call)
    for (const call of calls) active.remove(call)
    for (const call of calls) expect([call.before, call.behind]).toEqual([undefined, undefined])
  })
})
