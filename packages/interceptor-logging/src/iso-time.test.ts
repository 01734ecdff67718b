import { expect, it } from 'vitest'
import { isoTime } from './iso-time.ts'

it('writes each time as it is, however often it is asked', () => {
  for (const ms of [0, 0, 1, 1_769_851_800_021, 1_769_851_800_021, 1, 0]) {
    expect(isoTime(ms)).toBe(new Date(ms).toISOString())
  }
})
