import fc from 'fast-check'
import { expect, it } from 'vitest'
import { isoTime } from './iso-time.ts'

it('writes each time as it is, whatever was asked before', () => {
  const near = fc.integer({ min: -3_000, max: 3_000 })
  const now = fc.integer({ min: 0, max: 3_000 }).map((ms) => 1_769_851_800_021 + ms)
  const any = fc.date({ noInvalidDate: true }).map((date) => date.getTime())
  fc.assert(
    fc.property(fc.array(fc.oneof(near, now, any), { minLength: 1, maxLength: 30 }), (times) => {
      for (const ms of times) expect(isoTime(ms)).toBe(new Date(ms).toISOString())
    }),
  )
})
